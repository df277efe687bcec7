//! What an operator decides about a validator.

use crate::authz::CookieRules;

/// The decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The audience a token must be for.
    pub audience: String,
    /// Which cookie holds the session token, and from where it may open `WebSockets`.
    pub cookie: CookieRules,
}
