//! What an operator decides about a validator.

use std::time::Duration;

use crate::authz::CookieRules;

/// The decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The audience a token must be for.
    pub audience: String,
    /// How far the reaper may lag before session tokens are checked with the authority.
    pub reaper_lag_max: Duration,
    /// How often the authority is told which sessions are used.
    pub activity_interval: Duration,
    /// Which cookie holds the session token, and from where it may open `WebSockets`.
    pub cookie: CookieRules,
}
