//! Writes the inputs the targets begin with, `fuzz/seeds`: one or two of each thing that is read.
//! `make fuzz-seeds` runs it; the files are committed.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use envoy_types::ext_authz::v3::pb::CheckRequest;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use prost::Message;
use session_fuzz::KNOWN;

/// Requests over HTTP.
const HTTP: [(&str, &str); 6] = [
    (
        "bearer",
        "/v1/authz/forwarded/default\nGET\nx-forwarded-method: GET\nauthorization: Bearer {access}",
    ),
    (
        "cookie",
        "/v1/authz/original/default/a?b\nGET\nx-original-method: PUT\ncookie: a=b; session={session}, c=d",
    ),
    (
        "preflight",
        "/v1/authz/envoy/cors\nOPTIONS\norigin: https://a.example\naccess-control-request-method: PUT",
    ),
    (
        "websocket",
        "/v1/authz/envoy/sockets\nGET\nupgrade: websocket\nsec-websocket-key: a\nsec-websocket-protocol: chat, session-token.{access}",
    ),
    (
        "demands",
        "/v1/authz/envoy/strict\nGET\nauthorization: Bearer {access}\nx-auth-min-acr: high\nx-auth-max-age: 300\nx-auth-scope: read write\nsession-min-seq: 8\nx-envoy-expected-rq-timeout-ms: 100",
    ),
    (
        "ended",
        "/v1/authz/envoy/default\nGET\nauthorization: Bearer {ended}\ncookie: session={session}\norigin: https://a.example",
    ),
];

fn check(policy: &str, method: &str, fields: &[(&str, &str)], raw: bool) -> Vec<u8> {
    let pairs = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let (headers, header_map) = if raw {
        let headers = pairs.map(|(key, value)| HeaderValue {
            key,
            value: String::new(),
            raw_value: value.into_bytes(),
        });
        let headers = headers.collect();
        (HashMap::new(), Some(HeaderMap { headers }))
    } else {
        (pairs.collect(), None)
    };
    let http = HttpRequest {
        method: method.into(),
        path: "/".into(),
        headers,
        header_map,
        ..HttpRequest::default()
    };
    let policy = ("policy".to_owned(), policy.to_owned());
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            context_extensions: HashMap::from([policy]),
            ..AttributeContext::default()
        }),
    };
    request.encode_to_vec()
}

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    write("token", "access", KNOWN.access.as_bytes())?;
    write("token", "session", KNOWN.session.as_bytes())?;
    write("token", "changed", &[0xff, 3, 0, b'A', 200, 0, b'='])?;
    for (name, text) in HTTP {
        write("http", name, text.as_bytes())?;
    }
    let bearer = [("authorization", "Bearer {access}")];
    let cookie = [
        ("cookie", "a=b"),
        ("Cookie", "session={session}"),
        ("x_session_subject", "m"),
    ];
    let preflight = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "PUT"),
    ];
    write("grpc", "bearer", &check("default", "GET", &bearer, false))?;
    write("grpc", "cookie", &check("default", "POST", &cookie, true))?;
    write(
        "grpc",
        "preflight",
        &check("cors", "OPTIONS", &preflight, true),
    )?;
    write("grpc", "empty", &[])
}
