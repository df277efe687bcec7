//! `DELETE /sessions/{id}`: end a session. Answered when no validator accepts it any more.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use session_domain::service_key::Scope;
use session_domain::usecase::end::end;

use super::{session_id, tenant};
use crate::app::App;
use crate::http::caller::Anybody;
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct End;

#[derive(ApiResponse)]
enum Gone {
    /// It is over: no validator anywhere accepts it in a request that begins after this answer.
    #[oai(status = 204)]
    Done(
        /// The log entry that made it so.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
    ),
}

#[OpenApi]
impl End {
    /// End a session
    ///
    /// Answered only once no validator accepts it any more. Ending what has ended is a success.
    #[oai(
        path = "/api/v1/sessions/:id",
        method = "delete",
        tag = "Tag::Sessions",
        operation_id = "endSession"
    )]
    async fn end(
        &self,
        app: Data<&Arc<App>>,
        caller: Anybody,
        /// The session's id.
        id: Path<String>,
        /// The tenant, where a service that isn't tied to one asks; `default` where nobody says.
        #[oai(name = "tenant")]
        asked: Query<Option<String>>,
    ) -> Result<Gone, Problem> {
        let caller = caller.caller(Scope::Revoke)?;
        let (id, tenant) = (session_id(&id)?, tenant(&caller, asked.0)?);
        let ended = end(&app.end_ports(), &caller, &tenant, id, None).await?;
        Ok(Gone::Done(ended.seq.0))
    }
}
