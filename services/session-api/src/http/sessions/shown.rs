//! A session with the version it is shown in.

use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use session_domain::ids::{SessionId, Version};
use session_domain::session::Session;

use crate::http::problem::Problem;
use crate::http::view::SessionView;

#[derive(ApiResponse)]
pub(super) enum Shown {
    /// The session.
    #[oai(status = 200)]
    Session(
        Json<SessionView>,
        /// Its version, for `If-Match`. `last_seen_at` moves without it.
        #[oai(header = "ETag")]
        String,
    ),
}

impl Shown {
    /// How `session` is shown to whoever calls with session `current`.
    pub(super) fn new(session: Session, current: Option<SessionId>) -> Self {
        let tag = format!("\"{}\"", session.version.0);
        Self::Session(Json(SessionView::new(session, current)), tag)
    }
}

/// The version an `If-Match` demands: one that we handed out as `ETag`; none where any will do.
pub(super) fn if_match(value: Option<&str>) -> Result<Option<Version>, Problem> {
    let Some(value) = value.filter(|value| *value != "*") else {
        return Ok(None);
    };
    let number = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .filter(|digits| !digits.starts_with('+'))
        .and_then(|digits| digits.parse().ok());
    number
        .map(|number| Some(Version(number)))
        .ok_or_else(|| Problem::invalid("If-Match", "must be one ETag of this session, or *"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_handed_out_is_a_version() {
        assert_eq!(if_match(None), Ok(None));
        assert_eq!(if_match(Some("*")), Ok(None));
        assert_eq!(if_match(Some("\"7\"")), Ok(Some(Version(7))));
        for bad in ["7", "W/\"7\"", "\"7\", \"8\"", "\"+7\"", "\"\"", ""] {
            assert!(if_match(Some(bad)).is_err(), "{bad}");
        }
    }
}
