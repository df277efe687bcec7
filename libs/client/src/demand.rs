//! What a session must have proven for one request: what the policy says and what the request's
//! own header fields add. They can only add: a client may send them as well as a gateway.

use std::collections::BTreeSet;
use std::time::Duration;

use http::HeaderMap;
use session_domain::ids::Seq;
use session_domain::time::Timestamp;
use session_domain::token::Claims;

use crate::denial::{Denial, StepUp};
use crate::policy::{Policies, Policy};

/// The least `acr`, besides the policy's.
const MIN_ACR: &str = "x-auth-min-acr";

/// How many seconds ago the user may have authenticated at most. What isn't a number is none.
const MAX_AGE: &str = "x-auth-max-age";

/// Further scopes, separated by spaces.
const SCOPE: &str = "x-auth-scope";

/// How many bytes of scopes that only the request asks for a denial names. Gateways take answers
/// whose header fields are of a few kilobytes, and clients must not choose how long those are.
const ECHO_MAX: usize = 1024;

/// The `Session-Revocation-Seq` of an end that must be known here. What isn't a number is one that
/// nobody has reached.
const MIN_SEQ: &str = "session-min-seq";

/// The newest log entry the request demands to be known.
pub fn least_entry(headers: &HeaderMap) -> Seq {
    let demands = headers.get_all(MIN_SEQ).iter().map(|demand| {
        let number = demand.to_str().ok().and_then(|text| text.parse().ok());
        Seq(number.unwrap_or(u64::MAX))
    });
    demands.max().unwrap_or_default()
}

/// Whether a session that is good satisfies policy and request, at the server's time `now`.
///
/// # Errors
/// The demand it doesn't satisfy; how it was authenticated goes before what it may do.
pub fn check(
    claims: &Claims,
    policies: &Policies,
    policy: &Policy,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(), Denial> {
    check_authentication(claims, policies, policy, headers, now)?;
    check_scope(claims, policy, headers)
}

fn check_authentication(
    claims: &Claims,
    policies: &Policies,
    policy: &Policy,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(), Denial> {
    let mut satisfied = true;
    let mut least: Option<&str> = None;
    for demand in policy.min_acr.iter().map(|acr| Some(acr.as_str())).chain(
        headers.get_all(MIN_ACR).iter().map(|value| {
            let text = value.to_str().ok().map(str::trim);
            text.filter(|acr| is_acr(acr))
        }),
    ) {
        // A demand that can't be read can't be satisfied.
        satisfied &= demand.is_some_and(|demand| policies.satisfies(claims.acr.as_deref(), demand));
        least = match (least, demand) {
            (Some(one), Some(other)) => Some(policies.stronger(one, other)),
            (one, other) => one.or(other),
        };
    }
    let asked: Option<Duration> = headers
        .get_all(MAX_AGE)
        .iter()
        .map(|value| {
            let text = value.to_str().ok().map(str::trim);
            let number = text.and_then(|text| text.parse().ok());
            // As above.
            satisfied &= number.is_some();
            Duration::from_secs(number.unwrap_or(0))
        })
        .min();
    let max_age = asked.into_iter().chain(policy.max_age).min();
    if let Some(max_age) = max_age {
        satisfied &= now.since(claims.auth_time) <= max_age;
    }
    if satisfied {
        Ok(())
    } else {
        Err(Denial::StepUp(StepUp {
            acr: least.map(str::to_owned),
            max_age,
        }))
    }
}

fn check_scope(claims: &Claims, policy: &Policy, headers: &HeaderMap) -> Result<(), Denial> {
    let has = claims.scope.as_deref().unwrap_or_default();
    let granted = |scope: &str| has.split(' ').any(|one| one == scope);
    let mut satisfied = policy.scopes.iter().all(|scope| granted(scope));
    for value in headers.get_all(SCOPE) {
        match value.to_str() {
            Ok(scopes) => satisfied &= scopes.split(' ').filter(|one| !one.is_empty()).all(granted),
            Err(_) => satisfied = false,
        }
    }
    if satisfied {
        return Ok(());
    }
    let asked = headers
        .get_all(SCOPE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let asked = asked
        .flat_map(|scopes| scopes.split(' '))
        .filter(|scope| is_scope(scope));
    let mut named: BTreeSet<&str> = policy.scopes.iter().map(String::as_str).collect();
    let mut room = ECHO_MAX;
    for scope in asked {
        match room.checked_sub(scope.len() + 1) {
            _ if named.contains(scope) => {}
            Some(left) => {
                named.insert(scope);
                room = left;
            }
            None => break,
        }
    }
    let named: Vec<_> = named.into_iter().collect();
    Err(Denial::Scope(named.join(" ")))
}

/// What may stand in `acr_values` as one of several, within quotes.
pub fn is_acr(text: &str) -> bool {
    is_scope(text)
}

/// A scope token (RFC 6749 §3.3): printable, no space, no quote, no backslash.
pub fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text
            .bytes()
            .all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use session_domain::contract::sample;
    use session_domain::token::TokenKind;

    const NOW: i64 = 1_000_000;

    fn claims(acr: Option<&str>, scope: Option<&str>, age: i64) -> Claims {
        Claims {
            kind: TokenKind::Access,
            key: "k".parse().unwrap(),
            issuer: "i".into(),
            subject: sample::user("alice"),
            audience: vec!["i".into()],
            expires_at: Timestamp::from_unix_seconds(NOW + 60),
            issued_at: Timestamp::from_unix_seconds(NOW),
            token_id: "j".into(),
            session: sample::session_id(1),
            tenant: sample::tenant("default"),
            auth_time: Timestamp::from_unix_seconds(NOW - age),
            acr: acr.map(str::to_owned),
            amr: vec![],
            scope: scope.map(str::to_owned),
            client_id: None,
            serial: session_domain::ids::Serial(1),
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value);
        }
        headers
    }

    fn policies() -> Policies {
        let policy = Policy {
            scopes: vec!["read".into()],
            min_acr: Some("two".into()),
            max_age: Some(Duration::from_secs(100)),
            ..Policy::new("i".into())
        };
        Policies::new(policy).with_levels(["one", "two", "three"].map(str::to_owned).to_vec())
    }

    fn judged(claims: &Claims, pairs: &[(&str, &str)]) -> Result<(), Denial> {
        let policies = policies();
        let policy = policies.get("default").unwrap();
        let now = Timestamp::from_unix_seconds(NOW);
        check(claims, &policies, policy, &headers(pairs), now)
    }

    #[track_caller]
    fn steps_up(claims: &Claims, pairs: &[(&str, &str)], acr: &str, max_age: u64) {
        let expected = Denial::StepUp(StepUp {
            acr: Some(acr.into()),
            max_age: Some(Duration::from_secs(max_age)),
        });
        assert_eq!(judged(claims, pairs), Err(expected), "{pairs:?}");
    }

    #[test]
    fn the_policys_demands_hold_without_any_field() {
        let good = claims(Some("two"), Some("write read"), 100);
        assert_eq!(judged(&good, &[]), Ok(()));
        steps_up(&claims(Some("two"), Some("read"), 101), &[], "two", 100);
        steps_up(&claims(Some("one"), Some("read"), 0), &[], "two", 100);
        steps_up(&claims(None, Some("read"), 0), &[], "two", 100);
        for scope in [None, Some("reads"), Some("re ad")] {
            let refused = Denial::Scope("read".into());
            assert_eq!(judged(&claims(Some("two"), scope, 0), &[]), Err(refused));
        }
    }

    #[test]
    fn fields_tighten_and_never_loosen() {
        let good = claims(Some("two"), Some("read"), 50);
        for harmless in [
            ("x-auth-min-acr", "one"),
            ("x-auth-max-age", "1000000"),
            ("x-auth-scope", ""),
            ("x-auth-scope", "read read"),
        ] {
            assert_eq!(judged(&good, &[harmless]), Ok(()), "{harmless:?}");
            steps_up(
                &claims(Some("one"), Some("read"), 50),
                &[harmless],
                "two",
                100,
            );
        }
        steps_up(&good, &[("x-auth-min-acr", "three")], "three", 100);
        steps_up(&good, &[("x-auth-max-age", "49")], "two", 49);
        // The strictest of several.
        steps_up(
            &good,
            &[("x-auth-max-age", "99"), ("x-auth-max-age", "7")],
            "two",
            7,
        );
        let refused = Denial::Scope("admin read".into());
        assert_eq!(
            judged(&good, &[("x-auth-scope", "read admin")]),
            Err(refused)
        );
    }

    #[test]
    fn a_denial_stays_short_however_many_scopes_are_asked_for() {
        let good = claims(Some("three"), Some("read"), 0);
        let asked: Vec<_> = (0..12_000).map(|n| format!("s{n:04}")).collect();
        let Err(Denial::Scope(named)) = judged(&good, &[("x-auth-scope", &asked.join(" "))]) else {
            panic!("not refused for its scopes");
        };
        assert!(named.split(' ').any(|scope| scope == "read"), "{named}");
        assert!((1_000..1_100).contains(&named.len()), "{}", named.len());
    }

    #[test]
    fn a_demand_that_cannot_be_read_cannot_be_satisfied_and_is_not_repeated() {
        let good = claims(Some("three"), Some("read"), 0);
        for value in ["\"", "a b", "", "\u{e9}"] {
            steps_up(&good, &[("x-auth-min-acr", value)], "two", 100);
        }
        for value in ["soon", "", "-1", "1.5", "99999999999999999999"] {
            steps_up(&good, &[("x-auth-max-age", value)], "two", 0);
        }
        let refused = Denial::Scope("read".into());
        for value in ["\"", "x\\", "\u{e9}"] {
            assert_eq!(
                judged(&good, &[("x-auth-scope", value)]),
                Err(refused.clone())
            );
        }
    }

    proptest! {
        /// Whatever fields a client adds, what is refused without them stays refused.
        #[test]
        fn no_field_turns_a_no_into_a_yes(
            acr in proptest::option::of("one|two|three|x"),
            scope in proptest::option::of("read|write|read write"),
            age in 0_i64..200,
            fields in proptest::collection::vec(
                ("x-auth-min-acr|x-auth-max-age|x-auth-scope", "[ -~]{0,6}|one|two|three|[0-9]{1,3}"),
                0..4,
            ),
        ) {
            let claims = claims(acr.as_deref(), scope.as_deref(), age);
            let pairs: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            if judged(&claims, &[]).is_err() {
                prop_assert!(judged(&claims, &pairs).is_err());
            }
        }
    }
}
