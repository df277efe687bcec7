//! What a deployment has decided: lifetimes, limits, names. Read from configuration by the
//! services, checked there, and passed in.

use std::time::Duration;

use crate::port::SessionLimit;

/// The decisions sessions are started and renewed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPolicy {
    /// `iss` of every token and the base of the status lists' URIs; no trailing slash.
    pub issuer: String,
    /// The longest a session may live, however often it is extended.
    pub absolute_lifetime: Duration,
    /// How long a session may be unused; `None` for no limit.
    pub idle_timeout: Option<Duration>,
    /// How long an access token lives at most.
    pub access_token_lifetime: Duration,
    /// For how long a rotated refresh token is still answered with its successor.
    pub refresh_grace: Duration,
    /// How many active sessions a user may have; `None` for no limit.
    pub session_limit: Option<SessionLimit>,
}

impl SessionPolicy {
    /// The shortest life a session may be started with.
    pub const LIFETIME_MIN: Duration = Duration::from_secs(300);

    /// The longest life a session may be started with.
    pub const LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

    /// The life of a session whose start names none.
    pub const LIFETIME_DEFAULT: Duration = Duration::from_secs(3_600);

    /// The decisions a deployment starts out with, issuing in the name of `issuer`.
    pub fn new(issuer: String) -> Self {
        Self {
            issuer,
            absolute_lifetime: Self::LIFETIME_MAX,
            idle_timeout: None,
            access_token_lifetime: Duration::from_secs(600),
            refresh_grace: Duration::from_secs(10),
            session_limit: None,
        }
    }
}

/// The session cookie's name for an issuer. It decides the cookie's safety: `__Host-session` on
/// https, which browsers keep only where it is Secure, of this host alone and of its root path; on
/// plain http, which only a loopback address may use, `session`.
pub fn session_cookie_name(issuer: &str) -> &'static str {
    if issuer.starts_with("https://") {
        "__Host-session"
    } else {
        "session"
    }
}
