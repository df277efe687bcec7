//! `POST /sessions/{id}/revoke`: end a session and say why.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;
use session_domain::service_key::Scope;
use session_domain::usecase::end::end;

use super::{session_id, tenant};
use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::Anybody;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::SessionView;

pub(super) struct Revoke;

/// Why a session is ended.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct RevokeSession {
    /// In the caller's words, for the audit trail. No personal data, please: it is kept.
    #[oai(validator(max_length = 256))]
    reason: Option<String>,
}

#[derive(ApiResponse)]
enum Revoked {
    /// It is over: no validator anywhere accepts it in a request that begins after this answer.
    #[oai(status = 200)]
    Done(
        Json<SessionView>,
        /// The log entry that made it so.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
    ),
}

#[OpenApi]
impl Revoke {
    /// End a session, with a reason
    ///
    /// As `DELETE /sessions/{id}`, and shows the session.
    #[oai(
        path = "/api/v1/sessions/:id/revoke",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "revokeSession"
    )]
    async fn revoke(
        &self,
        app: Data<&Arc<App>>,
        caller: Anybody,
        /// The session's id.
        id: Path<String>,
        /// The tenant, where a service that isn't tied to one asks; `default` where nobody says.
        #[oai(name = "tenant")]
        asked: Query<Option<String>>,
        body: Body<RevokeSession>,
    ) -> Result<Revoked, Problem> {
        let caller = caller.caller(Scope::Revoke)?;
        let (id, tenant) = (session_id(&id)?, tenant(&caller, asked.0)?);
        let ended = end(&app.end_ports(), &caller, &tenant, id, body.value.reason).await?;
        Ok(Revoked::Done(
            Json(SessionView::new(ended.session, caller.session())),
            ended.seq.0,
        ))
    }
}
