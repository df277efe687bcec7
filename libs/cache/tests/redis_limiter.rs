//! Counters in Redis keep the port's contract, and are those of all processes together.

mod support;

use std::sync::Arc;
use std::time::Duration;

use session_domain::port::{Budget, RateLimiter, Spent};
use session_testkit::servers::Redis as Server;

use support::{Process, config};

async fn fresh() -> Arc<dyn RateLimiter> {
    let process = Process::start(&config(&Server::shared().url())).await;
    Arc::new(process.limiter)
}

session_domain::rate_limiter_contract!(fresh);

const BUDGET: Budget = Budget {
    name: "test",
    amount: 10,
    window: Duration::from_secs(60),
};

async fn within(process: &Process) -> bool {
    let spent = process.limiter.spend(&BUDGET, "192.0.2.10").await;
    matches!(spent, Ok(Spent::Within { .. }))
}

#[tokio::test]
async fn processes_spend_one_budget_and_deployments_their_own() {
    let ours = config(&Server::shared().url());
    let (one, other) = (Process::start(&ours).await, Process::start(&ours).await);
    let stranger = Process::start(&config(&Server::shared().url())).await;
    for _ in 0..5 {
        assert!(within(&one).await && within(&other).await);
    }
    assert!(!within(&one).await && !within(&other).await);
    assert!(within(&stranger).await);
    assert_eq!(one.count("session_limiter_fallbacks_total", ""), 0);
}

#[tokio::test]
async fn whoever_is_counted_is_not_named_there() {
    let ours = config(&Server::shared().url());
    let process = Process::start(&ours).await;
    assert!(within(&process).await);
    let client = redis::Client::open(Server::shared().url()).unwrap();
    let mut hand = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("{}:limit:*", ours.prefix.as_str()))
        .query_async(&mut hand)
        .await
        .unwrap();
    assert_eq!(keys.len(), 1);
    assert!(!keys[0].contains("192.0.2.10"), "{keys:?}");

    // What isn't a counter, or never ends, is made one that does.
    for value in ["not a number", "9223372036854775807", "1000"] {
        let () = redis::cmd("SET")
            .arg(&keys[0])
            .arg(value)
            .query_async(&mut hand)
            .await
            .unwrap();
        within(&process).await;
        let left: i64 = redis::cmd("PTTL")
            .arg(&keys[0])
            .query_async(&mut hand)
            .await
            .unwrap();
        assert!((1..=60_000).contains(&left), "{value}: {left}");
    }
}
