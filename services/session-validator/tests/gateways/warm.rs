//! What is asked again costs nothing but the look: no memory is taken, and nothing is believed that
//! may have changed.

use futures::FutureExt;
use poem::http::HeaderMap;
use session_client::{Decision, Question, Validator};

use crate::library::following;
use crate::world::World;

fn headers(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, value.parse().expect("a value"));
    headers
}

/// How many times a judgement takes memory, and how it ends, which is at once.
fn judged(validator: &Validator, headers: &HeaderMap) -> (u64, Decision) {
    let question = Question {
        policy: "default",
        method: Some("GET"),
        headers,
        within: None,
    };
    let mut decision = None;
    let taken = allocation_counter::measure(|| {
        decision = validator.judge(&question).now_or_never();
    });
    (taken.count_total, decision.expect("nobody is asked"))
}

#[tokio::test]
async fn a_warm_decision_takes_no_memory_and_still_sees_the_end() {
    let world = World::ready().await;
    let validator = following(&world).await;
    let (id, issued) = world.authority.sign_in_as(|_| {}).await;
    for headers in [
        headers(
            "authorization",
            &format!("Bearer {}", issued.access_token.expose()),
        ),
        headers(
            "cookie",
            &format!("a=b; session={}", issued.session_token.expose()),
        ),
    ] {
        let (cold, decision) = judged(&validator, &headers);
        assert!(matches!(&decision, Decision::Allow(identity) if identity.session == id));
        assert!(cold > 0, "something is counted at all");
        for _ in 0..100 {
            let (warm, decision) = judged(&validator, &headers);
            assert!(matches!(&decision, Decision::Allow(identity) if identity.session == id));
            assert_eq!(warm, 0);
        }
    }
    world.authority.end(id).await;
    let bearer = format!("Bearer {}", issued.access_token.expose());
    let (_, decision) = judged(&validator, &headers("authorization", &bearer));
    assert!(matches!(decision, Decision::Deny(_)), "{decision:?}");
}
