//! `POST /sessions/{id}/revoke`: end a session and say why.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;
use session_domain::service_key::Scope;
use session_domain::usecase::end::{Patience, end};

use super::{session_id, tenant};
use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::Anybody;
use crate::http::prefer::{RESPOND_ASYNC, patience};
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
    /// It is written: every validator will have heard within the length of a lease, and then none
    /// accepts it.
    #[oai(status = 202)]
    Accepted(
        Json<SessionView>,
        /// The log entry that makes it so, for `Session-Min-Seq`.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
        /// `respond-async`.
        #[oai(header = "Preference-Applied")]
        String,
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
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
        /// `respond-async`: don't wait for validators (RFC 7240).
        #[oai(name = "Prefer")]
        prefer: Header<Option<String>>,
        body: Body<RevokeSession>,
    ) -> Result<Revoked, Problem> {
        let caller = caller.caller(Scope::Revoke)?;
        let (id, tenant) = (session_id(&id)?, tenant(&caller, asked.0)?);
        let patience = patience(prefer.as_deref());
        let (ports, reason) = (app.end_ports(), body.value.reason);
        let ended = end(&ports, &caller, &tenant, id, reason, patience).await?;
        let view = Json(SessionView::new(ended.session, caller.session()));
        Ok(match patience {
            Patience::UntilRefused => Revoked::Done(view, ended.seq.0),
            Patience::UntilWritten => {
                Revoked::Accepted(view, ended.seq.0, RESPOND_ASYNC.to_owned())
            }
        })
    }
}
