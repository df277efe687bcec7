//! Whatever a gateway sends over HTTP: nothing panics, every no says why, and a yes is for a good
//! token, or for a preflight where those may pass. An input is a path, a method, and a header field
//! on each line after that.

#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use libfuzzer_sys::fuzz_target;
use session_client::identity;
use session_fuzz::{SUBJECT, holds_a_good_one, meter, validator, with_tokens};
use session_validator::answering::{Authz, Decisions};

static AUTHZ: LazyLock<Authz> = LazyLock::new(|| Authz::new(validator(), Decisions::new(&meter())));

/// The request of an input, if there can be one.
fn request(data: &[u8]) -> Option<Request<()>> {
    let mut lines = data.split(|&byte| byte == b'\n');
    let path = Uri::try_from(lines.next()?).ok()?;
    let method = Method::from_bytes(lines.next()?).ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.take(64) {
        let at = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        let value = with_tokens(line[at + 1..].trim_ascii());
        headers.append(name, HeaderValue::from_bytes(&value).ok()?);
    }
    let mut request = Request::new(());
    *request.uri_mut() = path;
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    Some(request)
}

/// Whether a preflight may be meant: by the one policy that lets them pass.
fn may_be_a_preflight(request: &Request<()>) -> bool {
    let path = request.uri().path();
    let said = ["x-forwarded-method", "x-original-method"];
    let is_options = request.method() == Method::OPTIONS
        || said.iter().any(|&name| {
            request
                .headers()
                .get(name)
                .is_some_and(|said| said == "OPTIONS")
        });
    path.contains("/cors") && is_options
}

/// A target that refused everything would find nothing, and say so.
fn tell_good_from_ended() {
    for (token, expected) in [("{access}", 200), ("{ended}", 401)] {
        let data = format!("/v1/authz/envoy/default\nGET\nauthorization: Bearer {token}");
        let request = request(data.as_bytes()).expect("a request");
        let answer = futures::executor::block_on(AUTHZ.answer(&request));
        assert_eq!(answer.status().as_u16(), expected, "{token}");
    }
}

fuzz_target!(init: tell_good_from_ended(), |data: &[u8]| {
    let Some(request) = request(data) else {
        return;
    };
    let mut fields = request.headers().iter();
    let by_token = fields.any(|(name, value)| holds_a_good_one(name.as_str(), value.as_bytes()));
    let by_preflight = may_be_a_preflight(&request);
    let answer = futures::executor::block_on(AUTHZ.answer(&request));
    let headers = answer.headers();
    match answer.status().as_u16() {
        200 => {
            assert!(by_token || by_preflight, "a yes for nothing");
            for field in identity::FIELDS {
                assert_eq!(headers.get_all(field).iter().count(), 1);
            }
            let subject = &headers["x-session-subject"];
            assert!(by_token && subject == SUBJECT || by_preflight && subject == "-");
        }
        401 | 403 | 404 | 503 => {
            assert!(headers.contains_key("x-session-error"));
            assert!(headers.get_all("www-authenticate").iter().count() <= 1);
        }
        other => panic!("{other}"),
    }
});
