//! `DELETE /sessions/{id}`: end a session. Answered when no validator accepts it any more.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use session_domain::service_key::Scope;
use session_domain::usecase::end::{Patience, end};

use super::{session_id, tenant};
use crate::app::App;
use crate::http::caller::Anybody;
use crate::http::prefer::{RESPOND_ASYNC, patience};
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
    /// It is written: every validator will have heard within the length of a lease, and then none
    /// accepts it.
    #[oai(status = 202)]
    Accepted(
        /// The log entry that makes it so, for `Session-Min-Seq`.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
        /// `respond-async`.
        #[oai(header = "Preference-Applied")]
        String,
    ),
}

#[OpenApi]
impl End {
    /// End a session
    ///
    /// Answered only once no validator accepts it any more, unless the
    /// caller prefers not to wait. Ending what has ended is a success.
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
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
        /// `respond-async`: don't wait for validators (RFC 7240).
        #[oai(name = "Prefer")]
        prefer: Header<Option<String>>,
    ) -> Result<Gone, Problem> {
        let caller = caller.caller(Scope::Revoke)?;
        let (id, tenant) = (session_id(&id)?, tenant(&caller, asked.0)?);
        let patience = patience(prefer.as_deref());
        let ended = end(&app.end_ports(), &caller, &tenant, id, None, patience).await?;
        Ok(match patience {
            Patience::UntilRefused => Gone::Done(ended.seq.0),
            Patience::UntilWritten => Gone::Accepted(ended.seq.0, RESPOND_ASYNC.to_owned()),
        })
    }
}
