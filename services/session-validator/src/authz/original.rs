//! What a gateway says about the original request, and how long it waits.

use std::time::Duration;

use http::HeaderMap;

use super::route::Convention;

const X_FORWARDED_METHOD: &str = "x-forwarded-method";
const X_ORIGINAL_METHOD: &str = "x-original-method";

/// Envoy's own deadline, in milliseconds.
const EXPECTED_WITHIN: &str = "x-envoy-expected-rq-timeout-ms";

/// The method of the original request, where the convention puts it; `None` where it isn't there
/// exactly once. The other conventions' fields are the client's own and mean nothing.
pub fn method<'a>(
    convention: Convention,
    asked_with: &'a str,
    headers: &'a HeaderMap,
) -> Option<&'a str> {
    let field = match convention {
        Convention::Forwarded => X_FORWARDED_METHOD,
        Convention::Original => X_ORIGINAL_METHOD,
        Convention::Envoy => return Some(asked_with),
    };
    let mut values = headers.get_all(field).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let method = value.to_str().ok()?;
    is_method(method).then_some(method)
}

/// A token (RFC 9110 §5.6.2) without what gateways join fields with.
pub fn is_method(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.!".contains(&byte))
}

/// How long Envoy waits for the answer, less what the way back may take.
pub fn within(headers: &HeaderMap) -> Option<Duration> {
    let told = headers.get(EXPECTED_WITHIN)?.to_str().ok()?.parse().ok()?;
    Some(less_the_way_back(Duration::from_millis(told)))
}

/// A gateway's deadline, less what the way back may take.
pub fn less_the_way_back(deadline: Duration) -> Duration {
    deadline * 4 / 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value);
        }
        headers
    }

    #[test]
    fn each_convention_has_its_own_field_and_looks_at_no_other() {
        let all = headers(&[
            ("x-forwarded-method", "PUT"),
            ("x-original-method", "DELETE"),
        ]);
        assert_eq!(method(Convention::Forwarded, "GET", &all), Some("PUT"));
        assert_eq!(method(Convention::Original, "GET", &all), Some("DELETE"));
        assert_eq!(method(Convention::Envoy, "GET", &all), Some("GET"));
    }

    #[test]
    fn a_method_that_is_missing_doubled_or_not_one_is_none() {
        let name = "x-forwarded-method";
        for pairs in [
            &[][..],
            &[(name, "")],
            &[(name, "PUT"), (name, "PUT")],
            &[(name, "PUT, PUT")],
            &[(name, "PUT GET")],
            &[("x-original-method", "PUT")],
        ] {
            let headers = headers(pairs);
            assert_eq!(
                method(Convention::Forwarded, "GET", &headers),
                None,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn envoys_deadline_leaves_time_for_the_way_back() {
        let of = |value| within(&headers(&[(EXPECTED_WITHIN, value)]));
        assert_eq!(of("100"), Some(Duration::from_millis(80)));
        assert_eq!((of("soon"), of("-1")), (None, None));
        let longest = of("18446744073709551615");
        assert!(longest.is_some_and(|longest| longest > Duration::from_secs(1)));
    }
}
