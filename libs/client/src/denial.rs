//! Why a request is not let through, and how that is said: status, code, challenge, body. The
//! contract is in `docs/gateways.md`; every line here has a gateway that needs it.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use session_domain::token::Refusal;

use crate::policy::FailureStatus;

const X_SESSION_ERROR: HeaderName = HeaderName::from_static("x-session-error");

/// What a session must prove anew (RFC 9470).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUp {
    /// The class of authentication that would do.
    pub acr: Option<String>,
    /// How long ago it may have been at most.
    pub max_age: Option<Duration>,
}

/// Why a request is not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No credential was presented.
    NoCredential,
    /// Several were, or one that can't be told from several.
    Ambiguous,
    /// One was, and it is refused.
    Refused(Refusal),
    /// The session is good, but how its user authenticated isn't enough, or too long ago.
    StepUp(StepUp),
    /// The session is good, but lacks one of these scopes.
    Scope(String),
    /// A cookie came on a WebSocket handshake of a foreign origin.
    ForeignOrigin,
    /// The policy needs to know what the gateway doesn't say, or says twice.
    ContextMissing,
    /// The gateway named a policy that doesn't exist.
    UnknownPolicy,
    /// The path isn't one of ours: a gateway configured wrongly.
    UnknownPath,
    /// Whether it is good can't be known right now.
    Unavailable(FailureStatus),
    /// So many wait to have the authority asked that this one isn't.
    Overloaded(FailureStatus),
    /// It demands knowledge of an end that isn't known here, if there is one.
    Behind(FailureStatus),
}

/// What a client is told, whatever it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The header fields, each once.
    pub headers: HeaderMap,
    /// The body: problem details (RFC 9457).
    pub body: Bytes,
}

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
}

impl Denial {
    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NoCredential | Self::Ambiguous | Self::Refused(_) | Self::StepUp(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Scope(_) | Self::ForeignOrigin | Self::ContextMissing | Self::UnknownPolicy => {
                StatusCode::FORBIDDEN
            }
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Unavailable(failure) | Self::Overloaded(failure) | Self::Behind(failure) => {
                failure.status()
            }
        }
    }

    /// The stable code, in the body and in `X-Session-Error`. What exactly is wrong with a token is
    /// for the operator's metrics, not for whoever made it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::Ambiguous => "invalid_request",
            Self::Refused(_) => "invalid_token",
            Self::StepUp(_) => "insufficient_user_authentication",
            Self::Scope(_) => "insufficient_scope",
            Self::ForeignOrigin => "foreign_origin",
            Self::ContextMissing => "context_missing",
            Self::UnknownPolicy => "unknown_policy",
            Self::UnknownPath => "not_found",
            Self::Unavailable(_) => "unavailable",
            Self::Overloaded(_) => "overloaded",
            Self::Behind(_) => "behind",
        }
    }

    /// What an operator counts it under: the code, or what exactly is wrong with the token.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.label(),
            other => other.code(),
        }
    }

    /// Every [`Self::reason`] there is.
    pub const REASONS: [&'static str; 22] = [
        "no_credential",
        "invalid_request",
        "malformed",
        "header",
        "unknown_key",
        "signature",
        "claims",
        "kind",
        "issuer",
        "audience",
        "not_yet",
        "expired",
        "ended",
        "insufficient_user_authentication",
        "insufficient_scope",
        "foreign_origin",
        "context_missing",
        "unknown_policy",
        "not_found",
        "unavailable",
        "overloaded",
        "behind",
    ];

    /// What is told to people.
    const fn detail(&self) -> &'static str {
        match self {
            Self::NoCredential => "Sign in to continue.",
            Self::Ambiguous => "Send exactly one credential.",
            Self::Refused(_) => "The session is not valid, or not any more.",
            Self::StepUp(_) => {
                "Sign in again to continue: this needs a stronger or more recent proof."
            }
            Self::Scope(_) => "The session may not do this.",
            Self::ForeignOrigin => {
                "WebSocket connections from this origin may not use the session cookie."
            }
            Self::ContextMissing => "The gateway did not say, or said twice, what the request is.",
            Self::UnknownPolicy => "The gateway asked by a policy that is not configured here.",
            Self::UnknownPath => "Ask at /v1/authz/{forwarded|original|envoy}/{policy}.",
            Self::Unavailable(_) => {
                "It can't be known right now whether the session is valid. Try again shortly."
            }
            Self::Overloaded(_) => "Too many sessions wait to be checked. Try again shortly.",
            Self::Behind(_) => {
                "The revocation demanded by Session-Min-Seq is not known here. Try again shortly."
            }
        }
    }

    /// Whether trying again shortly may help, unchanged.
    const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Overloaded(_) | Self::Behind(_)
        )
    }

    /// The challenge (RFC 6750 §3, RFC 9470 §3), in one line: a second one gets lost in gateways.
    fn challenge(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoCredential => Some(r#"Bearer realm="session""#.into()),
            Self::Ambiguous => Some(r#"Bearer realm="session", error="invalid_request""#.into()),
            Self::Refused(_) => Some(r#"Bearer realm="session", error="invalid_token""#.into()),
            Self::StepUp(StepUp { acr, max_age }) => {
                let error = r#"Bearer realm="session", error="insufficient_user_authentication""#;
                let acr = acr.as_ref().map(|acr| format!(r#", acr_values="{acr}""#));
                let max_age = max_age.map(|age| format!(r#", max_age="{}""#, age.as_secs()));
                let parts = [acr.unwrap_or_default(), max_age.unwrap_or_default()];
                Some(format!("{error}{}", parts.concat()).into())
            }
            Self::Scope(scopes) => Some(
                format!(r#"Bearer realm="session", error="insufficient_scope", scope="{scopes}""#)
                    .into(),
            ),
            Self::ForeignOrigin
            | Self::ContextMissing
            | Self::UnknownPolicy
            | Self::UnknownPath
            | Self::Unavailable(_)
            | Self::Overloaded(_)
            | Self::Behind(_) => None,
        }
    }

    /// All of what a client is told.
    pub fn answer(&self) -> Answer {
        let status = self.status();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: self.code(),
            detail: self.detail(),
        };
        let mut headers = HeaderMap::with_capacity(5);
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(CONTENT_TYPE, "application/problem+json");
        set(CACHE_CONTROL, "no-store");
        set(X_SESSION_ERROR, self.code());
        if self.is_passing() {
            set(RETRY_AFTER, "1");
        }
        if let Some(challenge) = self.challenge() {
            // Made of what was checked to be printable and without quotes.
            let value = HeaderValue::try_from(challenge.as_ref());
            let bare = HeaderValue::from_static(r#"Bearer realm="session""#);
            headers.insert(WWW_AUTHENTICATE, value.unwrap_or(bare));
        }
        Answer {
            status,
            headers,
            // Plain texts and a number always are JSON.
            body: serde_json::to_vec(&problem).unwrap_or_default().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_is_a_problem_with_at_most_one_challenge() {
        let failure = FailureStatus::Unavailable;
        for denial in [
            Denial::NoCredential,
            Denial::Ambiguous,
            Denial::Refused(Refusal::Ended),
            Denial::StepUp(StepUp {
                acr: Some("x".into()),
                max_age: Some(Duration::from_secs(5)),
            }),
            Denial::Scope("a b".into()),
            Denial::ForeignOrigin,
            Denial::ContextMissing,
            Denial::UnknownPolicy,
            Denial::UnknownPath,
            Denial::Unavailable(failure),
            Denial::Overloaded(failure),
            Denial::Behind(FailureStatus::Forbidden),
        ] {
            assert!(Denial::REASONS.contains(&denial.reason()), "{denial:?}");
            let Answer {
                status,
                headers,
                body,
            } = denial.answer();
            assert!(status.is_client_error() || status.is_server_error());
            assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
            assert_eq!(headers[X_SESSION_ERROR], denial.code());
            assert_eq!(headers.len(), headers.keys_len(), "each field once");
            let challenged =
                status == StatusCode::UNAUTHORIZED || matches!(denial, Denial::Scope(_));
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), challenged);
            assert_eq!(headers.contains_key(RETRY_AFTER), denial.is_passing());
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (&body["code"], &body["status"]),
                (&denial.code().into(), &status.as_u16().into())
            );
        }
    }

    #[test]
    fn every_refusal_is_among_the_reasons() {
        for refusal in [
            Refusal::Malformed,
            Refusal::Header,
            Refusal::UnknownKey,
            Refusal::Signature,
            Refusal::Claims,
            Refusal::Kind,
            Refusal::Issuer,
            Refusal::Audience,
            Refusal::NotYet,
            Refusal::Expired,
            Refusal::Ended,
        ] {
            assert!(Denial::REASONS.contains(&refusal.label()), "{refusal:?}");
        }
    }
}
