//! What a holder is handed, as JSON (RFC 6749 §5.1).

use poem_openapi::Object;
use session_domain::usecase::issue::Issued;

use crate::http::view::SessionView;

/// A session and its credentials. Not to be stored by anybody in between.
#[derive(Object)]
pub struct Credentials {
    /// The session.
    pub session: SessionView,
    /// For `Authorization: Bearer`: a JWT (RFC 9068).
    pub access_token: String,
    /// For `POST /sessions/refresh`, once.
    pub refresh_token: String,
    /// For the session cookie.
    pub session_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// How many seconds the access token lives.
    pub expires_in: u64,
}

impl Credentials {
    /// The credentials of `session`.
    pub fn new(session: SessionView, issued: &Issued) -> Self {
        Self {
            session,
            access_token: issued.access_token.expose().to_owned(),
            refresh_token: issued.refresh_token.expose().to_owned(),
            session_token: issued.session_token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: issued.expires_in.as_secs(),
        }
    }
}
