//! What only an engine whose transactions run side by side can get wrong about the order of events.

mod support;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, TransactionTrait};
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{InstanceId, TenantId};
use session_domain::port::{End, EventOutbox, Purge, Purgeable, SessionStore, Start, Targets, Why};
use session_domain::session::{EndReason, NewSession};
use session_domain::time::Timestamp;
use session_store::PostgresStore;
use session_testkit::servers::Database;
use support::postgres::{database, open};

async fn start(store: &Arc<PostgresStore>, number: u128) {
    let change = Start {
        session: sample::new_session(number, "alice"),
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    let store: &dyn SessionStore = store.as_ref();
    store.apply(change).await.unwrap();
}

/// The numbers of the sessions whose starts wait, in their order.
async fn waiting(store: &PostgresStore) -> Vec<u128> {
    let stored = store.unrelayed(1_000).await.unwrap();
    assert!(stored.is_sorted_by(|one, other| one.id < other.id));
    let number = |id: session_domain::ids::SessionId| id.0.as_u128() & 0xffff;
    let sessions = stored.iter().map(|stored| stored.event.session.map(number));
    sessions.map(Option::unwrap_or_default).collect()
}

async fn raw(database: &Database<'_>) -> DatabaseConnection {
    sea_orm::Database::connect(database.url()).await.unwrap()
}

/// Another transaction of ours that has drawn an event's number and isn't over.
async fn begun(db: &DatabaseConnection) -> DatabaseTransaction {
    let transaction = db.begin().await.unwrap();
    let insert = r#"INSERT INTO session_events (at, tenant, actor, type, severity, fact) VALUES
        (0, 'default', '{"kind":"system"}', 'session_started', 'info', '{"type":"session_started"}')"#;
    transaction.execute_unprepared(insert).await.unwrap();
    transaction
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smaller_number_that_may_still_appear_is_waited_for() {
    let database = database();
    let store = open(&database).await;
    let db = raw(&database).await;
    let early = begun(&db).await;
    start(&store, 1).await;
    start(&store, 2).await;
    for _ in 0..3 {
        assert_eq!(waiting(&store).await, [], "the first isn't seen yet");
    }
    let oldest = store.oldest_unrelayed().await.unwrap();
    assert!(oldest.is_some(), "that something waits is known");
    early.commit().await.unwrap();
    assert_eq!(waiting(&store).await, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_never_appears_is_passed_over() {
    let database = database();
    let store = open(&database).await;
    let db = raw(&database).await;
    start(&store, 1).await;
    let early = begun(&db).await;
    start(&store, 2).await;
    assert_eq!(waiting(&store).await, []);
    early.rollback().await.unwrap();
    assert_eq!(waiting(&store).await, [1, 2]);
}

/// What began later may go on for ever: it has no smaller number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_waited_for_does_not_move_on_while_others_come_and_go() {
    let database = database();
    let store = open(&database).await;
    let db = raw(&database).await;
    let early = begun(&db).await;
    start(&store, 1).await;
    assert_eq!(waiting(&store).await, []);
    let late = begun(&db).await;
    start(&store, 2).await;
    assert_eq!(waiting(&store).await, []);
    early.commit().await.unwrap();
    assert_eq!(waiting(&store).await, [0, 1], "as far as is known");
    let holder = InstanceId(uuid::Uuid::from_u128(1));
    assert!(store.lead(holder, Duration::from_secs(60)).await.unwrap());
    let last = store.unrelayed(10).await.unwrap().pop().unwrap().id;
    assert!(store.relayed(holder, last).await.unwrap());
    assert_eq!(waiting(&store).await, []);
    late.commit().await.unwrap();
    assert_eq!(waiting(&store).await, [0, 2]);
}

/// Dumps, reports, and whatever else goes on in the server for hours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_no_events_holds_nothing_back() {
    let database = database();
    let store = open(&database).await;
    let db = raw(&database).await;
    let others = [
        "SELECT count(*) FROM session_events",
        "SELECT id FROM session_events FOR UPDATE",
        "UPDATE schema_info SET min_binary = min_binary",
    ];
    let mut held = Vec::new();
    for other in others {
        let transaction = db.begin().await.unwrap();
        transaction.execute_unprepared(other).await.unwrap();
        held.push(transaction);
    }
    let elsewhere = support::postgres::database();
    let elsewhere = raw(&elsewhere).await;
    let in_another_database = begun(&elsewhere).await;
    start(&store, 1).await;
    assert_eq!(waiting(&store).await, [1]);
    for transaction in held.into_iter().chain([in_another_database]) {
        transaction.rollback().await.unwrap();
    }
}

fn on_day(number: i64) -> Timestamp {
    Timestamp(number * 86_400_000_000)
}

async fn ended_long_ago(store: &Arc<PostgresStore>, number: u128, absolute: Timestamp) {
    let sample = sample::new_session(number, "alice");
    let mut draft = sample.draft().clone();
    draft.created_at = on_day(1);
    draft.expires_at = absolute;
    draft.absolute_expires_at = absolute;
    let change = Start {
        session: NewSession::new(draft, sample.seed().clone()),
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    let end = End {
        targets: Targets::One {
            tenant: TenantId::default(),
            id: sample::session_id(number),
        },
        why: Why::Because {
            reason: EndReason::Logout,
            note: None,
        },
        at: on_day(2),
        actor: Actor::System,
        batch: 1,
    };
    let store: &dyn SessionStore = store.as_ref();
    store.apply(change).await.unwrap();
    store.apply(end).await.unwrap();
}

async fn purge_sessions(store: &Arc<PostgresStore>, at: Timestamp) -> (u64, bool) {
    let change = Purge {
        rows: Purgeable::Sessions,
        keep: Duration::from_hours(1),
        at,
        batch: 2,
    };
    let store: &dyn SessionStore = store.as_ref();
    let outcome = store.apply(change).await.unwrap();
    (outcome.purged, outcome.next.is_some())
}

/// The row refuses a token whose time, by the database, isn't over; however far ahead the clock of
/// a reaper's host is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_purges_nothing_before_its_time() {
    let database = database();
    let store = open(&database).await;
    // The year 2200.
    ended_long_ago(&store, 1, on_day(84_000)).await;
    ended_long_ago(&store, 2, on_day(3)).await;
    assert_eq!(purge_sessions(&store, on_day(90_000)).await, (1, false));
    let kept = store
        .find(&TenantId::default(), sample::session_id(1))
        .await;
    assert!(kept.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_hold_is_passed_over_and_purged_later() {
    let database = database();
    let store = open(&database).await;
    for number in 1..=4 {
        ended_long_ago(&store, number, on_day(3)).await;
    }
    let db = raw(&database).await;
    let holding = db.begin().await.unwrap();
    let hold = "SELECT id FROM sessions ORDER BY absolute_expires_at, id LIMIT 3 FOR UPDATE";
    holding.execute_unprepared(hold).await.unwrap();
    // Nobody waits: the one that is free goes, and nothing else.
    let purged = purge_sessions(&store, on_day(10)).await;
    assert_eq!(purged, (1, false));
    holding.rollback().await.unwrap();
    assert_eq!(purge_sessions(&store, on_day(10)).await, (2, true));
    assert_eq!(purge_sessions(&store, on_day(10)).await, (1, false));
}
