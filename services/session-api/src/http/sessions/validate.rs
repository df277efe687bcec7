//! `POST /sessions/validate`: is this token still good? For services without a validator.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use session_domain::service_key::Scope;
use session_domain::session::Session;
use session_domain::time::Timestamp;
use session_domain::usecase::inspect::inspect;
use time::OffsetDateTime;

use crate::app::{App, CHECK_WITHIN};
use crate::http::body::Body;
use crate::http::caller::Service;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::date;

pub(super) struct Validate;

/// A token to judge.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct ValidateSession {
    /// The session token, as the cookie holds it; an access token issued for this API is judged
    /// as well.
    #[oai(validator(max_length = 8192))]
    session_token: String,
    /// Whether the session counts as used by this; it does where nobody says.
    update_activity: Option<bool>,
}

/// Whether a token is good, and of which session it is.
#[derive(Debug, Object)]
struct Validation {
    /// Whether it is good. Where it isn't, nothing else is said.
    is_valid: bool,
    /// Its session.
    session_id: Option<String>,
    /// Whose session it is.
    user_id: Option<String>,
    /// When the session ends unless extended.
    expires_at: Option<OffsetDateTime>,
    /// How many seconds that is away.
    time_remaining_seconds: Option<u64>,
    /// What looks wrong about the session, though it is good. Empty as long as nothing does.
    security_warnings: Vec<String>,
}

impl Validation {
    fn new(session: Option<Session>, now: Timestamp) -> Self {
        let end = session
            .as_ref()
            .map(|session| session.expires_at.min(session.absolute_expires_at));
        Self {
            is_valid: session.is_some(),
            session_id: session.as_ref().map(|session| session.id.to_string()),
            user_id: session.map(|session| session.user.into()),
            expires_at: end.map(date),
            time_remaining_seconds: end.map(|end| end.since(now).as_secs()),
            security_warnings: Vec::new(),
        }
    }
}

#[OpenApi]
impl Validate {
    /// Judge a token
    ///
    /// Answered from the same state, under the same promise as a validator's answers: a session
    /// whose end has been confirmed is never called good. Why a token isn't good is not said. A
    /// service key tied to a tenant sees that tenant's sessions only. Needs `sessions:read`.
    #[oai(
        path = "/api/v1/sessions/validate",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "validateSession"
    )]
    async fn validate(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        body: Body<ValidateSession>,
    ) -> Result<Json<Validation>, Problem> {
        judge(&app, caller, body.value).await
    }

    /// Judge a token, by its other name
    ///
    /// The same as `POST /sessions/validate`.
    #[oai(
        path = "/api/v1/sessions/security/validate",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "validateSessionSecurity"
    )]
    async fn security(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        body: Body<ValidateSession>,
    ) -> Result<Json<Validation>, Problem> {
        judge(&app, caller, body.value).await
    }
}

async fn judge(
    app: &App,
    caller: Service,
    body: ValidateSession,
) -> Result<Json<Validation>, Problem> {
    let caller = caller.caller(Scope::Read)?;
    let session = inspect(
        &app.inspect_ports(),
        CHECK_WITHIN,
        &app.requirements,
        &caller,
        &body.session_token,
        body.update_activity.unwrap_or(true),
    )
    .await?;
    Ok(Json(Validation::new(session, app.ports.clock.wall())))
}
