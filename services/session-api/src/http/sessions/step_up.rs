//! `POST /sessions/{id}/step-up`: new credentials for a user who has proven more.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;
use session_domain::service_key::Scope;
use session_domain::time::Timestamp;
use session_domain::usecase::step_up::{Proof, StepUpError, step_up};

use super::credentials::Credentials;
use super::{session_id, tenant};
use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::Service;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::SessionView;

pub(super) struct StepUp;

/// What the user has just proven.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct StepUpSession {
    /// The authentication context class reached now (RFC 9470).
    #[oai(validator(max_length = 128, pattern = "^[!-~]+$"))]
    acr: Option<String>,
    /// All authentication methods the session stands on now (RFC 8176); at least one.
    #[oai(validator(min_items = 1, max_items = 16, max_length = 64, pattern = "^[ -~]+$"))]
    amr: Vec<String>,
    /// When they authenticated, in seconds since 1970; now where nobody says.
    #[oai(validator(minimum(value = "0")))]
    auth_time: Option<i64>,
}

#[derive(ApiResponse)]
enum SteppedUp {
    /// The session has new credentials: no validator anywhere accepts the old ones in a request
    /// that begins after this answer.
    #[oai(status = 200)]
    Done(
        Json<Credentials>,
        /// The log entry that ended the old credentials.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
    ),
}

#[OpenApi]
impl StepUp {
    /// Give a session new credentials, because its user has proven more
    ///
    /// Called by the login system, with a key of scope `sessions:create`. The session stays the
    /// same; every credential handed out before is dead once this is answered. A refresh token of
    /// before is simply refused: that is no theft.
    #[oai(
        path = "/api/v1/sessions/:id/step-up",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "stepUpSession"
    )]
    async fn step_up(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// The session's id.
        id: Path<String>,
        /// The tenant, where a service that isn't tied to one asks; `default` where nobody says.
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
        body: Body<StepUpSession>,
    ) -> Result<SteppedUp, Problem> {
        let caller = caller.caller(Scope::Create)?;
        let (id, tenant) = (session_id(&id)?, tenant(&caller, asked.0)?);
        let proof = Proof {
            acr: body.value.acr,
            amr: body.value.amr,
            auth_time: body.value.auth_time.map(Timestamp::from_unix_seconds),
        };
        let ports = app.step_up_ports();
        let done = step_up(&ports, &app.policy, &caller, &tenant, id, proof).await?;
        let view = SessionView::new(done.session, None);
        Ok(SteppedUp::Done(
            Json(Credentials::new(view, &done.issued)),
            done.seq.0,
        ))
    }
}

impl From<StepUpError> for Problem {
    fn from(error: StepUpError) -> Self {
        match error {
            StepUpError::Unknown => Self::not_found(),
            StepUpError::Invalid { field, rule } => Self::invalid(field, format!("must be {rule}")),
            StepUpError::Over(_) => Self::session_ended(),
            StepUpError::Port(error) => error.into(),
        }
    }
}
