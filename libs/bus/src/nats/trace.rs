//! Trace context in message headers (W3C Trace Context, `traceparent`). It goes along where there
//! is one, is handed back with the answer, and one that isn't well-formed is as good as none.

use async_nats::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

/// The header's name.
const TRACEPARENT: &str = "traceparent";

/// The headers of a message that belongs to the current trace; none where there is no trace.
pub(super) fn current() -> HeaderMap {
    let context = Context::current();
    let span = context.span().span_context().clone();
    if !span.is_valid() {
        return HeaderMap::new();
    }
    with(&format!(
        "00-{}-{}-{}",
        span.trace_id(),
        span.span_id(),
        if span.is_sampled() { "01" } else { "00" }
    ))
}

/// The headers of an answer to a message that had `headers`.
pub(super) fn carried(headers: Option<&HeaderMap>) -> HeaderMap {
    let given = headers.and_then(|headers| headers.get(TRACEPARENT));
    match given {
        Some(value) if is_well_formed(value.as_str()) => with(value.as_str()),
        _ => HeaderMap::new(),
    }
}

fn with(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TRACEPARENT, value);
    headers
}

/// Whether it is `version-trace-parent-flags` in lower-case hexadecimal, with a version that may
/// exist and identifiers that aren't zero.
fn is_well_formed(value: &str) -> bool {
    let parts: Vec<_> = value.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else {
        return false;
    };
    let hex = |part: &str, len| {
        part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let set = |part: &str| part.bytes().any(|b| b != b'0');
    hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && set(trace)
        && hex(parent, 16)
        && set(parent)
        && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_current_trace_goes_along() {
        assert!(current().is_empty());
        let span = SpanContext::new(
            TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
            SpanId::from(0x00f0_67aa_0ba9_02b7),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        let _guard = Context::new().with_remote_span_context(span).attach();
        assert_eq!(current().get(TRACEPARENT).unwrap().as_str(), GOOD);
    }

    #[test]
    fn a_well_formed_one_is_handed_back_and_any_other_is_none() {
        let back = carried(Some(&with(GOOD)));
        assert_eq!(back.get(TRACEPARENT).unwrap().as_str(), GOOD);
        assert!(carried(None).is_empty());
        for bad in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD.replacen("00-", "ff-", 1),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &format!("{GOOD}-x"),
            &GOOD[1..],
        ] {
            assert!(carried(Some(&with(bad))).is_empty(), "{bad}");
        }
    }
}
