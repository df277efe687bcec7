//! `POST /sessions/refresh`: trade a refresh token for the next credentials.

use std::sync::Arc;

use poem::Request;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use session_domain::usecase::refresh::{RefreshError, refresh};

use super::credentials::Credentials;
use crate::app::App;
use crate::http::body::Body;
use crate::http::client::strike;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::SessionView;

pub(super) struct Refresh;

/// A refresh token.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct RefreshSession {
    /// As it was handed out.
    #[oai(validator(max_length = 8192))]
    refresh_token: String,
}

#[OpenApi]
impl Refresh {
    /// Trade a refresh token for the next credentials
    ///
    /// The token is the credential. Presented again within a few seconds (a lost answer, a second
    /// tab) it is answered with the same successor; presented later it means somebody else holds a
    /// copy, and the session is ended.
    #[oai(
        path = "/api/v1/sessions/refresh",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "refreshSession"
    )]
    async fn refresh(
        &self,
        app: Data<&Arc<App>>,
        request: &Request,
        body: Body<RefreshSession>,
    ) -> Result<Json<Credentials>, Problem> {
        let token = &body.value.refresh_token;
        let refreshed = match refresh(&app.refresh_ports(), &app.policy, token).await {
            Ok(refreshed) => refreshed,
            Err(error @ RefreshError::Unknown) => {
                return Err(strike(&app, request, error.into()).await);
            }
            Err(error) => return Err(error.into()),
        };
        let current = Some(refreshed.session.id);
        let view = SessionView::new(refreshed.session, current);
        Ok(Json(Credentials::new(view, &refreshed.issued)))
    }
}

impl From<RefreshError> for Problem {
    /// The holder learns the same whatever is wrong with the token.
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Unknown | RefreshError::Ended { .. } => Self::unauthorized(true),
            RefreshError::Reused { session } => {
                tracing::warn!(session = %session.id, "a used refresh token was presented: session ended");
                Self::unauthorized(true)
            }
            RefreshError::Port(error) => error.into(),
        }
    }
}
