//! Whatever a gateway sends over gRPC: nothing panics, every answer has a status, every no has one
//! of its own, and a yes is for a good token, or for a preflight where those may pass.

#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse, HttpResponse};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use session_fuzz::{holds_a_good_one, meter, validator, with_tokens};
use session_validator::Failures;
use session_validator::answering::{Check, Decisions, Envelope};

static CHECK: LazyLock<Check> = LazyLock::new(|| {
    let decisions = Decisions::new(&meter());
    Check::new(validator(), decisions, Failures::AsDenials)
});

/// What is answered, which others must be able to read.
fn answer(request: CheckRequest) -> CheckResponse {
    let asked = Envelope::decode(&*request.encode_to_vec()).expect("a CheckRequest, too");
    let bytes = futures::executor::block_on(CHECK.answer(asked, None));
    CheckResponse::decode(bytes).expect("a CheckResponse")
}

/// Puts tokens in place of their marks. Returns whether a good one is where it counts.
fn fill(request: &mut CheckRequest) -> bool {
    let attributes = request.attributes.as_mut();
    let http = attributes.and_then(|all| all.request.as_mut()?.http.as_mut());
    let Some(http) = http else {
        return false;
    };
    let text = |text: &str| String::from_utf8_lossy(&with_tokens(text.as_bytes())).into_owned();
    let mut by_token = false;
    for (name, value) in &mut http.headers {
        *value = text(value);
        by_token |= holds_a_good_one(name, value.as_bytes());
    }
    for header in http.header_map.iter_mut().flat_map(|map| &mut map.headers) {
        header.value = text(&header.value);
        header.raw_value = with_tokens(&header.raw_value);
        by_token |= holds_a_good_one(&header.key, header.value.as_bytes());
        by_token |= holds_a_good_one(&header.key, &header.raw_value);
    }
    by_token
}

/// Whether a preflight may be meant: by the one policy that lets them pass.
fn may_be_a_preflight(request: &CheckRequest) -> bool {
    let attributes = request.attributes.as_ref();
    let policy = attributes.and_then(|all| all.context_extensions.get("policy"));
    let http = attributes.and_then(|all| all.request.as_ref()?.http.as_ref());
    policy.is_some_and(|policy| policy == "cors")
        && http.is_some_and(|http| http.method == "OPTIONS")
}

/// A target that refused everything would find nothing, and say so.
fn tell_good_from_ended() {
    for (token, expected) in [("{access}", 0), ("{ended}", 16)] {
        let field = ("authorization".to_owned(), format!("Bearer {token}"));
        let mut request = CheckRequest::default();
        let attributes = request.attributes.get_or_insert_default();
        let asked = attributes.request.get_or_insert_default();
        asked.http.get_or_insert_default().headers = HashMap::from([field]);
        fill(&mut request);
        let answer = answer(request);
        assert_eq!(answer.status.expect("a status").code, expected, "{token}");
    }
}

fuzz_target!(init: tell_good_from_ended(), |data: &[u8]| {
    let Ok(mut request) = CheckRequest::decode(data) else {
        return;
    };
    let may_pass = fill(&mut request) | may_be_a_preflight(&request);
    let answer = answer(request);
    let code = answer.status.expect("a status").code;
    match answer.http_response {
        Some(HttpResponse::OkResponse(ok)) => {
            assert_eq!(code, 0);
            assert!(may_pass, "a yes for nothing");
            assert_eq!(ok.headers.len(), 7);
        }
        Some(HttpResponse::DeniedResponse(denied)) => {
            assert!(matches!(code, 7 | 14 | 16), "{code}");
            let status = denied.status.expect("a status of its own").code;
            assert!(matches!(status, 401 | 403 | 503), "{status}");
        }
        other => panic!("neither yes nor no: {other:?}"),
    }
});
