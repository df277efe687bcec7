//! What a session must be for one kind of request, by name.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;

/// The policy that always exists.
pub const DEFAULT: &str = "default";

/// The status of a denial that isn't the client's doing: the truth can't be known right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureStatus {
    /// 503, which says to try again.
    #[default]
    Unavailable,
    /// 403, for gateways that let 503 through.
    Forbidden,
}

impl FailureStatus {
    /// As HTTP says it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Forbidden => StatusCode::FORBIDDEN,
        }
    }
}

/// What a session must be. Requests may tighten it by header fields, never loosen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The audience a token must be for.
    pub audience: String,
    /// The scopes it must have, all of them.
    pub scopes: Vec<String>,
    /// The least authentication context class (`acr`), in the order of [`Policies::with_levels`].
    pub min_acr: Option<String>,
    /// How long ago the user may have authenticated at most.
    pub max_age: Option<Duration>,
    /// Whether a session cookie is a credential here.
    pub cookie: bool,
    /// The origins whose WebSocket handshakes may use the cookie.
    pub websocket_origins: Vec<String>,
    /// Whether a WebSocket handshake may bring its token as a subprotocol.
    pub websocket_token: bool,
    /// Whether CORS preflights are let through without a credential, as nobody.
    pub preflight: bool,
    /// The status where the truth can't be known.
    pub failure: FailureStatus,
}

impl Policy {
    /// Any session that is good and meant for `audience`, by bearer token or cookie; no
    /// `WebSockets` with the cookie, no preflights.
    pub fn new(audience: String) -> Self {
        Self {
            audience,
            scopes: Vec::new(),
            min_acr: None,
            max_age: None,
            cookie: true,
            websocket_origins: Vec::new(),
            websocket_token: false,
            preflight: false,
            failure: FailureStatus::Unavailable,
        }
    }

    /// Whether it must know a request's method, which gateways hand over in fields of their own.
    pub(crate) const fn needs_method(&self) -> bool {
        self.preflight
    }
}

/// All policies by name, `default` always among them, and the order of authentication context
/// classes they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    levels: Vec<String>,
    named: BTreeMap<String, Policy>,
}

impl Policies {
    /// One policy, called `default`.
    pub fn new(default: Policy) -> Self {
        Self {
            levels: Vec::new(),
            named: BTreeMap::from([(DEFAULT.to_owned(), default)]),
        }
    }

    /// With another policy, or another in place of one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, policy: Policy) -> Self {
        self.named.insert(name.into(), policy);
        self
    }

    /// With an order of authentication context classes, the weakest first. One that isn't among
    /// them satisfies only itself.
    #[must_use]
    pub fn with_levels(mut self, levels: Vec<String>) -> Self {
        self.levels = levels;
        self
    }

    /// The policy of that name.
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.named.get(name)
    }

    /// Every policy, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Policy)> {
        let named = self.named.iter();
        named.map(|(name, policy)| (name.as_str(), policy))
    }

    /// Whether a session with the class `has` satisfies whoever demands the class `least`.
    pub(crate) fn satisfies(&self, has: Option<&str>, least: &str) -> bool {
        let rank = |acr: &str| self.levels.iter().position(|level| level == acr);
        match (has, rank(least)) {
            (None, _) => false,
            (Some(has), None) => has == least,
            (Some(has), Some(least)) => rank(has).is_some_and(|rank| rank >= least),
        }
    }

    /// The stronger of two demands, where they can be compared.
    pub(crate) fn stronger<'a>(&self, one: &'a str, other: &'a str) -> &'a str {
        if self.satisfies(Some(other), one) {
            other
        } else {
            one
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ordered_as_told_and_strangers_satisfy_only_themselves() {
        let policies = Policies::new(Policy::new("a".into()))
            .with_levels(["one", "two", "three"].map(str::to_owned).to_vec());
        for (has, least, satisfied) in [
            (Some("two"), "two", true),
            (Some("three"), "two", true),
            (Some("one"), "two", false),
            (Some("other"), "one", false),
            (Some("other"), "other", true),
            (Some("three"), "other", false),
            (None, "one", false),
        ] {
            assert_eq!(policies.satisfies(has, least), satisfied, "{has:?} {least}");
        }
        assert_eq!(policies.stronger("one", "three"), "three");
        assert_eq!(policies.stronger("three", "one"), "three");
    }
}
