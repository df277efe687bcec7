//! How a decision is said by a `CheckResponse`.

use bytes::Bytes;
use envoy_types::ext_authz::v3::pb::{
    CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue, HeaderValueOption,
    HttpResponse, HttpStatus, OkHttpResponse,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc;
use http::{HeaderMap, HeaderName, StatusCode};
use prost::Message;
use session_client::{Claims, Denial, Identity, identity};
use tonic::Code;

/// Let it through, as this session or as nobody, encoded. The identity fields replace the client's
/// own, and what could be taken for them is removed.
pub fn allow(identity: Option<&Identity>, asked: &HeaderMap) -> Bytes {
    let names = asked.keys().map(HeaderName::as_str);
    let spoofed: Vec<_> = names.filter(|name| identity::is_alias(name)).collect();
    let encode = |claims: Option<&Claims>| allowed(claims, &spoofed).encode_to_vec().into();
    match identity {
        // What hardly anybody sends is answered for itself.
        Some(identity) if spoofed.is_empty() => identity.encoded(|claims| encode(Some(claims))),
        Some(identity) => encode(Some(identity)),
        None => encode(None),
    }
}

fn allowed(claims: Option<&Claims>, spoofed: &[&str]) -> CheckResponse {
    let names = identity::ALIASES.into_iter().chain(spoofed.iter().copied());
    let mut remove: Vec<_> = names.map(str::to_owned).collect();
    remove.sort_unstable();
    remove.dedup();
    let fields = identity::fields(claims);
    let ok = OkHttpResponse {
        headers: fields
            .map(|(name, value)| header(name.as_str(), &value))
            .collect(),
        headers_to_remove: remove,
        ..OkHttpResponse::default()
    };
    CheckResponse {
        status: Some(status(Code::Ok, "")),
        dynamic_metadata: claims.map(metadata),
        http_response: Some(HttpResponse::OkResponse(ok)),
    }
}

/// How it is said that something can't be known right now, which is no fault of the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failures {
    /// As a denial (`denied_response`), which every gateway keeps to.
    AsDenials,
    /// As an error (`error_response`): Envoy counts it as such and lets it through where it is told
    /// to (`failure_mode_allow`). Gateways that don't know of it may let everything through.
    AsErrors,
}

/// Don't, and why, encoded.
pub fn deny(denial: &Denial, failures: Failures) -> Bytes {
    denied(denial, failures).encode_to_vec().into()
}

fn denied(denial: &Denial, failures: Failures) -> CheckResponse {
    let answer = denial.answer();
    let headers = answer.headers.iter();
    let response = DeniedHttpResponse {
        status: Some(HttpStatus {
            code: answer.status.as_u16().into(),
        }),
        headers: headers
            .map(|(name, value)| header(name.as_str(), value))
            .collect(),
        body: String::from_utf8_lossy(&answer.body).into_owned(),
    };
    let http_response = match (denial, failures) {
        (
            Denial::Unavailable(_) | Denial::Overloaded(_) | Denial::Behind(_),
            Failures::AsErrors,
        ) => HttpResponse::ErrorResponse(response),
        _ => HttpResponse::DeniedResponse(response),
    };
    CheckResponse {
        status: Some(status(code(answer.status), denial.code())),
        dynamic_metadata: None,
        http_response: Some(http_response),
    }
}

/// The gRPC code nearest to an HTTP status. Never `Ok`.
fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::PermissionDenied,
    }
}

fn status(code: Code, message: &str) -> rpc::Status {
    rpc::Status {
        code: code.into(),
        message: message.to_owned(),
        details: Vec::new(),
    }
}

fn header(name: &str, value: &http::HeaderValue) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
            raw_value: Vec::new(),
        }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

/// What a gateway's log and its other filters may use.
fn metadata(claims: &Claims) -> Struct {
    let text = |value: &str| Kind::StringValue(value.to_owned());
    let optional = |value: &Option<String>| value.as_deref().map_or(Kind::NullValue(0), text);
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds stay whole for 285 million years"
    )]
    let expires = Kind::NumberValue(claims.expires_at.unix_seconds() as f64);
    let fields = [
        ("sub", text(claims.subject.as_str())),
        ("sid", text(&claims.session.to_string())),
        ("tenant", text(claims.tenant.as_str())),
        ("acr", optional(&claims.acr)),
        ("scope", optional(&claims.scope)),
        ("expires", expires),
    ];
    let value = |kind| Value { kind: Some(kind) };
    Struct {
        fields: fields
            .map(|(name, kind)| (name.to_owned(), value(kind)))
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_client::FailureStatus;

    #[test]
    fn only_what_cant_be_known_is_an_error_and_only_where_asked_for() {
        let failures = [
            Denial::Unavailable(FailureStatus::Unavailable),
            Denial::Overloaded(FailureStatus::Forbidden),
            Denial::Behind(FailureStatus::Unavailable),
        ];
        let denials = [
            Denial::NoCredential,
            Denial::Ambiguous,
            Denial::UnknownPolicy,
        ];
        let is_error = |denial: &Denial, failures| {
            let said = denied(denial, failures);
            assert_ne!(said.status.map(|status| status.code), Some(0));
            let (is_error, response) = match said.http_response {
                Some(HttpResponse::ErrorResponse(response)) => (true, response),
                Some(HttpResponse::DeniedResponse(response)) => (false, response),
                other => panic!("{denial:?}: {other:?}"),
            };
            let status = response.status.map(|status| status.code);
            assert_eq!(status, Some(denial.status().as_u16().into()));
            is_error
        };
        for denial in &failures {
            assert!(is_error(denial, Failures::AsErrors), "{denial:?}");
            assert!(!is_error(denial, Failures::AsDenials), "{denial:?}");
        }
        for denial in &denials {
            assert!(!is_error(denial, Failures::AsErrors), "{denial:?}");
        }
    }
}
