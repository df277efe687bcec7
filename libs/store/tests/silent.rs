//! A PostgreSQL server that has gone without a word, so that nobody says the connections are broken:
//! whatever is under way ends all the same, and new connections do.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{InstanceId, TenantId};
use session_domain::port::{PortError, RevocationLog, SessionStore, Start};
use session_domain::revocation::GrantRequest;
use session_store::{PostgresOptions, PostgresStore};
use session_testkit::proxy::Proxy;
use session_testkit::servers::Postgres;
use support::postgres::{database, options};
use support::{CountingEntropy, FixedClock};

/// Longer than anything may take: a statement's time and what is granted on top, and a connection.
const OVER_WITHIN: Duration = Duration::from_secs(20);

async fn start(store: &PostgresStore, number: u128) -> Result<(), PortError> {
    let change = Start {
        session: sample::new_session(number, "alice"),
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    let store: &dyn SessionStore = store;
    store.apply(change).await.map(|_| ())
}

async fn grant(store: &PostgresStore, counter: u64) -> Result<(), PortError> {
    let request = GrantRequest {
        instance: InstanceId(uuid::Uuid::from_u128(1)),
        counter,
        applied: None,
    };
    let granted = store.grant(&request, Duration::from_secs(5)).await;
    granted.map(|_| ())
}

async fn find(store: &PostgresStore) -> Result<(), PortError> {
    let found = store
        .find(&TenantId::default(), sample::session_id(1))
        .await;
    found.map(|_| ())
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(OVER_WITHIN, what).await;
    done.expect("it ends, however it does")
}

async fn opened(proxy: &Proxy, url: &str) -> Arc<PostgresStore> {
    let (upstream, address) = (Postgres::shared().address(), proxy.address());
    let url = url.replace(&upstream.to_string(), &address.to_string());
    let options = PostgresOptions {
        statement_timeout: Duration::from_secs(1),
        lock_timeout: Duration::from_secs(1),
        connections_max: 6,
        ..options()
    };
    let (clock, entropy) = (Arc::new(FixedClock), Arc::new(CountingEntropy::default()));
    let store = PostgresStore::connect(&url.parse().unwrap(), &options, clock, entropy).await;
    Arc::new(store.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_server_that_has_gone_is_told_and_the_next_are_served() {
    let database = database();
    let proxy = Proxy::of(Postgres::shared().address());
    let store = opened(&proxy, &database.url()).await;
    start(&store, 1).await.unwrap();
    for round in 1..=2_u64 {
        // Several of each at once, so that most connections are in use.
        let (all, one) = tokio::join!(
            in_time(async { tokio::join!(grant(&store, 10 * round), find(&store), find(&store)) }),
            in_time(start(&store, 10 * u128::from(round)))
        );
        all.0.unwrap();
        all.1.and(all.2).and(one).unwrap();

        proxy.strand();
        let (granted, found, again, started) = in_time(async {
            tokio::join!(
                grant(&store, 10 * round + 1),
                find(&store),
                find(&store),
                start(&store, 10 * u128::from(round) + 1)
            )
        })
        .await;
        // One of them may have had to make a new connection, and was served.
        let outcomes = [granted, found, again, started];
        let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert!(!errors.is_empty(), "nobody was there to answer");
        assert!(errors.iter().all(PortError::is_retry), "{errors:?}");
        // The connections that are left are as dead; each is found out once.
        in_time(async { while find(&store).await.is_err() {} }).await;
        in_time(async { while start(&store, 10 * u128::from(round) + 2).await.is_err() {} }).await;
        in_time(async { while grant(&store, 10 * round + 2).await.is_err() {} }).await;
        in_time(store.holders()).await.unwrap();
    }
    proxy.strand();
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { start(&store, 99).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let closed = tokio::time::timeout(Duration::from_secs(4), store.close()).await;
    closed.expect("whoever stops doesn't wait for it");
    waiting.abort();
}
