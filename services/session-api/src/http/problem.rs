//! Every error, as `application/problem+json` (RFC 9457): a stable code, what to do about it, and
//! nothing of our insides. The one place where errors become answers.

use std::fmt;
use std::time::Duration;

use poem::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use poem::http::{HeaderName, HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::error::{ParseParamError, ParsePathError};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;
use session_domain::port::{Budget, PortError};

use super::codes;

/// A field of a request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Object)]
pub struct FieldError {
    /// The field, as a path: `user_id`, `metadata.a`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The body of every error.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Problem")]
pub struct ProblemBody {
    /// Always `about:blank`: the code says what it is.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable name for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// The fields that break rules, where fields do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[oai(skip_serializing_if_is_empty)]
    pub errors: Vec<FieldError>,
    /// Names this request in our logs.
    pub trace_id: String,
}

/// Why an operation was not carried out: what the client is told. Has no `Display` of anything
/// else, so nothing else can leak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    challenge: Option<&'static str>,
    retry_after: Option<u32>,
    limit: Option<Box<Budget>>,
}

/// No answer names more broken rules.
const ERRORS_MAX: usize = 20;

/// No field's name is told back longer.
const FIELD_CHARS_MAX: usize = 100;

/// Nor is what is wrong with it.
const MESSAGE_CHARS_MAX: usize = 500;

/// Cuts a text off.
fn shorten(text: &mut String, chars_max: usize) {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
        text.push('…');
    }
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        debug_assert!(codes::is_known(code), "{code} isn't in codes.rs");
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            challenge: None,
            retry_after: None,
            limit: None,
        }
    }

    /// 400: something in the request breaks a rule.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_all(vec![FieldError {
            field: field.into(),
            message: message.into(),
        }])
    }

    /// 400: several things may do. What was sent is told back in part: an answer isn't as long as
    /// a request may be.
    pub fn invalid_all(mut errors: Vec<FieldError>) -> Self {
        errors.truncate(ERRORS_MAX);
        for error in &mut errors {
            shorten(&mut error.field, FIELD_CHARS_MAX);
            shorten(&mut error.message, MESSAGE_CHARS_MAX);
        }
        let detail = match &errors[..] {
            [only] => format!("{}: {}", only.field, only.message),
            _ => "The request breaks the rules named in `errors`.".to_owned(),
        };
        Self {
            errors,
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
        }
    }

    /// 400: the body can't be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        shorten(&mut detail, MESSAGE_CHARS_MAX);
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", detail)
    }

    /// 401: no credential, or one that is refused.
    pub fn unauthorized(refused: bool) -> Self {
        let (code, detail, challenge) = if refused {
            (
                "invalid_token",
                "The credential is not valid, or not any more.",
                r#"Bearer realm="session", error="invalid_token""#,
            )
        } else {
            (
                "no_credential",
                "This needs a credential.",
                r#"Bearer realm="session""#,
            )
        };
        Self {
            challenge: Some(challenge),
            ..Self::new(StatusCode::UNAUTHORIZED, code, detail)
        }
    }

    /// 400: more than one credential (RFC 6750 §3.1).
    pub fn several_credentials() -> Self {
        let challenge = Some(r#"Bearer realm="session", error="invalid_request""#);
        let detail = "Send exactly one credential.";
        Self {
            challenge,
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
        }
    }

    /// 403: this caller may not.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is none, or none of theirs; both look the same.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is no such thing here.",
        )
    }

    /// 409: it can't be done as things stand.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 409: the session is over, so nothing can be changed of it.
    pub fn session_ended() -> Self {
        Self::conflict("session_ended", "The session is over.")
    }

    /// 413: the body is too large.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The body may hold at most 64 KiB.",
        )
    }

    /// 415: the body isn't JSON.
    pub fn unsupported_media_type() -> Self {
        let detail = "Send the body as application/json.";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            detail,
        )
    }

    /// 422: an idempotency key was used for a different request.
    pub fn idempotency_key_reused() -> Self {
        let detail = "This Idempotency-Key was used for a different request.";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            detail,
        )
    }

    /// 429: too many, for now.
    pub fn too_many(budget: &Budget, retry_after: Duration) -> Self {
        let detail = "Too many invalid credentials came from this address. Try again later.";
        // Rounded up: whoever comes back then finds a new budget.
        let seconds = u32::try_from(retry_after.as_secs() + 1).unwrap_or(u32::MAX);
        Self {
            retry_after: Some(seconds),
            limit: Some(Box::new(*budget)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
        }
    }

    /// 503: something we need isn't there right now.
    pub fn unavailable() -> Self {
        let detail = "Something this needs is not available right now. Try again shortly.";
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }

    /// 500: our fault.
    pub fn internal() -> Self {
        let detail = "Something went wrong on our side. The trace_id finds it in the logs.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// An error that is no [`Problem`] of ours: the framework's, by its status.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "method_not_allowed",
                "This path does not take this method.",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media_type(),
            status if status.is_client_error() => {
                Self::new(status, "invalid_request", "The request can't be read.")
            }
            _ => Self::internal(),
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer, with the name this request has in our logs.
    pub fn into_response(self, trace_id: String) -> Response {
        let body = ProblemBody {
            kind: "about:blank".to_owned(),
            title: self
                .status
                .canonical_reason()
                .unwrap_or_default()
                .to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail,
            errors: self.errors,
            trace_id,
        };
        let mut response = poem::web::Json(body)
            .with_status(self.status)
            .into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let (Some(budget), Some(seconds)) = (self.limit, self.retry_after) {
            // draft-ietf-httpapi-ratelimit-headers.
            let (name, amount) = (budget.name, budget.amount);
            let policy = format!("\"{name}\";q={amount};w={}", budget.window.as_secs());
            let state = format!("\"{name}\";r=0;t={seconds}");
            for (field, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
                if let Ok(value) = HeaderValue::try_from(value) {
                    headers.insert(HeaderName::from_static(field), value);
                }
            }
        }
        response
    }
}

/// Carries a [`Problem`] through the framework to where it becomes an answer.
#[derive(Debug)]
struct Carried(Problem);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

impl std::error::Error for Carried {}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        let status = problem.status;
        Self::new(Carried(problem), status)
    }
}

impl From<&poem::Error> for Problem {
    fn from(error: &poem::Error) -> Self {
        if let Some(Carried(problem)) = error.downcast_ref() {
            problem.clone()
        } else if let Some(ParseParamError { name, reason }) = error.downcast_ref() {
            Self::invalid(*name, parameter_rule(reason))
        } else if let Some(ParsePathError { name, reason }) = error.downcast_ref() {
            Self::invalid(*name, parameter_rule(reason))
        } else if error.is::<poem::error::ParsePathError>() {
            Self::invalid("path", "must be percent-encoded UTF-8")
        } else {
            Self::of_status(error.status())
        }
    }
}

/// What is wrong with a parameter. The framework tells of it in words alone.
fn parameter_rule(reason: &str) -> String {
    let rule = reason.split_once("verification failed. ");
    rule.map_or_else(
        || "must be of the form the API document gives it".to_owned(),
        |(_, rule)| {
            let rule = rule.split(" (occurred").next().unwrap_or(rule);
            format!("breaks the rule {rule}")
        },
    )
}

impl From<PortError> for Problem {
    /// What is told of an adapter's failure is only whether to try again; the rest is logged.
    fn from(error: PortError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        if error.is_retry() {
            tracing::warn!(error = %error, source, "a port is not available");
            Self::unavailable()
        } else {
            tracing::error!(error = %error, source, "a port failed");
            Self::internal()
        }
    }
}

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType {
            content_type: "application/problem+json",
            schema: ProblemBody::schema_ref(),
        }];
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Not done, and why (RFC 9457).",
                status: None,
                status_range: None,
                content,
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}
