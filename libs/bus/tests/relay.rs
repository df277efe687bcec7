//! The relay between a real PostgreSQL and a real NATS server: whoever relays, however many, and
//! wherever they die, every event is told once and in order.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use session_bus::EventStream;
use session_domain::cloud_event::CloudEvent;
use session_domain::contract::publisher::first_of_each;
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{EventId, Generation, InstanceId, TenantId};
use session_domain::port::{
    Clock, End, EventOutbox, EventPublisher, PortError, Rotate, SessionStore, Start, StoredEvent,
    Targets, Why,
};
use session_domain::session::{EndReason, NewSession};
use session_domain::time::Timestamp;
use session_domain::usecase::relay::{Relay, RelayPorts, Relayed};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_store::{PostgresOptions, PostgresStore, PostgresUrl};
use session_testkit::deployment::{Deployment, Role};
use session_testkit::servers::{Database, Nats, Postgres};
use tokio::sync::Notify;
use tokio::task::block_in_place;
use uuid::Uuid;

use support::{PATIENCE, config, connect, eventually, stored, stream};

const SESSIONS: u128 = 40;
const ROTATIONS: u32 = 6;
const EVENTS: usize = 40 * 8;

/// Patient: the machine that runs the tests may be busy with others.
fn options() -> PostgresOptions {
    PostgresOptions {
        connection_timeout: Duration::from_secs(30),
        idle_in_transaction_timeout: Duration::from_secs(10),
        ..PostgresOptions::default()
    }
}

fn database() -> Database<'static> {
    Postgres::shared().copy_of("migrated-for-relays", |url| {
        let url: PostgresUrl = url.parse().unwrap();
        // The caller is on a runtime already, which must not be blocked within.
        let migrating = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime
                .block_on(PostgresStore::migrate(&url, &options()))
                .unwrap();
        });
        migrating.join().unwrap();
    })
}

async fn open(database: &Database<'_>) -> Arc<PostgresStore> {
    open_at(&database.url()).await
}

async fn open_at(url: &str) -> Arc<PostgresStore> {
    let url = url.parse().unwrap();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let store = PostgresStore::connect(&url, &options(), clock, entropy).await;
    Arc::new(store.unwrap())
}

fn ours() -> EventStream {
    stream(&"session".parse().unwrap())
}

/// Starts a session, uses it and ends it.
async fn live(store: Arc<PostgresStore>, number: u128) {
    let store: &dyn SessionStore = store.as_ref();
    let sample = sample::new_session(number, "alice");
    let (tenant, id, seed) = (
        TenantId::default(),
        sample.draft().id,
        sample.seed().clone(),
    );
    // By the clock, so that no reaper finds it overdue, whenever this runs.
    let now = SystemClock.wall();
    let mut draft = sample.draft().clone();
    draft.created_at = now;
    draft.last_seen_at = now;
    draft.refresh.rotated_at = now;
    draft.expires_at = now.plus(Duration::from_hours(1));
    draft.absolute_expires_at = now.plus(Duration::from_hours(24));
    let start = Start {
        session: NewSession::new(draft, seed.clone()),
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    store.apply(start).await.unwrap();
    for presented in 0..ROTATIONS {
        let rotate = Rotate {
            tenant: tenant.clone(),
            id,
            presented: Generation(presented),
            seed: seed.clone(),
            at: now,
            grace: Duration::from_secs(10),
            actor: Actor::System,
        };
        store.apply(rotate).await.unwrap();
    }
    let end = End {
        targets: Targets::One { tenant, id },
        why: Why::Because {
            reason: EndReason::Logout,
            note: None,
        },
        at: sample::START.plus(Duration::from_secs(2)),
        actor: Actor::System,
        batch: 1,
    };
    store.apply(end).await.unwrap();
}

fn relay(number: u64, lease: Duration) -> Relay {
    let holder = InstanceId(Uuid::from_u128(u128::from(number)));
    Relay::new(holder, "https://login.example".into(), lease, 16)
}

/// Steps until stopped. Where it is dropped it dies without a word, as a killed process does.
async fn keep_relaying(
    outbox: Arc<PostgresStore>,
    publisher: Arc<dyn EventPublisher>,
    mut relay: Relay,
) {
    let timer = TokioTimer::new(SystemClock);
    let ports = RelayPorts {
        outbox: outbox.as_ref(),
        publisher: publisher.as_ref(),
        clock: &SystemClock,
        timer: &timer,
    };
    loop {
        let stepped = relay.step(&ports).await;
        if !matches!(stepped, Ok(Relayed::Told { more: true, .. })) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What the stream holds is every event, once, in the order of numbers and of each session.
async fn assert_all_told_in_order(server: &Nats) {
    let stored = stored(&server.url(), &ours()).await;
    let events: Vec<_> = stored.into_iter().map(|stored| stored.event).collect();
    let once = first_of_each(events.clone());
    assert_eq!(once.len(), EVENTS, "none is missing");
    assert_eq!(events.len(), EVENTS, "the server dropped what came twice");
    let id = |event: &serde_json::Value| event["id"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(once.is_sorted_by(|one, next| id(one) < id(next)));
    for number in 1..=SESSIONS {
        let subject = sample::session_id(number).to_string();
        let of_it = once.iter().filter(|event| event["subject"] == subject);
        let told: Vec<_> = of_it
            .map(|event| (&event["type"], event["data"]["generation"].as_u64()))
            .collect();
        assert_eq!(told[0].0, "session.started");
        for generation in 1..=u64::from(ROTATIONS) {
            let place = usize::try_from(generation).unwrap();
            assert_eq!(told[place].0, "session.refreshed");
            assert_eq!(told[place].1, Some(generation));
        }
        assert_eq!(told[7].0, "session.ended");
        assert_eq!(told.len(), 8);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_die_anywhere_lose_and_disorder_nothing() {
    let (database, server) = (database(), Nats::start());
    let stores = [open(&database).await, open(&database).await];
    let writing = tokio::spawn(join_all((1..=SESSIONS).map(|number| {
        let store = &stores[usize::try_from(number % 2).unwrap()];
        live(Arc::clone(store), number)
    })));
    let done = Arc::new(AtomicBool::new(false));
    let names = Arc::new(AtomicU64::new(1));
    // Two places in which a relay is started, runs for a moment and dies; again and again.
    let places = (0..2_u64).map(|place| {
        let (done, names) = (Arc::clone(&done), Arc::clone(&names));
        let outbox = Arc::clone(&stores[usize::try_from(place).unwrap()]);
        let url = server.url();
        tokio::spawn(async move {
            let publisher = Arc::new(connect(&config(&url)).await.events(ours()));
            while !done.load(Ordering::Relaxed) {
                let name = names.fetch_add(1, Ordering::Relaxed);
                let relay = relay(name, Duration::from_millis(150));
                let relaying = keep_relaying(Arc::clone(&outbox), publisher.clone(), relay);
                let life = Duration::from_millis(20 + (name * 37 + place * 11) % 140);
                let _ = tokio::time::timeout(life, relaying).await;
            }
        })
    });
    let places: Vec<_> = places.collect();
    writing.await.unwrap();
    eventually(async || {
        let waits = stores[0].oldest_unrelayed().await.unwrap();
        waits.is_none().then_some(())
    })
    .await;
    done.store(true, Ordering::Relaxed);
    for place in places {
        place.await.unwrap();
    }
    assert!(names.load(Ordering::Relaxed) > 6, "several have died");
    assert_all_told_in_order(&server).await;
}

/// Publishes when it is let, as a process does that stood still in between.
struct Held<P> {
    inner: P,
    begun: Notify,
    go_on: Notify,
}

#[async_trait]
impl<P: EventPublisher> EventPublisher for Held<P> {
    async fn publish(&self, events: &[CloudEvent]) -> Result<(), PortError> {
        self.begun.notify_one();
        self.go_on.notified().await;
        self.inner.publish(events).await
    }
}

/// Never waits: a leader whose clock has stood still with it.
struct Never;

#[async_trait]
impl session_domain::port::Timer for Never {
    async fn sleep_until(&self, _: session_domain::time::BootInstant) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_repeats_at_most_what_was_told() {
    let (database, server) = (database(), Nats::start());
    let store = open(&database).await;
    join_all((1..=SESSIONS).map(|number| live(Arc::clone(&store), number))).await;
    let held = Held {
        inner: connect(&config(&server.url())).await.events(ours()),
        begun: Notify::new(),
        go_on: Notify::new(),
    };
    let ports = RelayPorts {
        outbox: store.as_ref(),
        publisher: &held,
        clock: &SystemClock,
        timer: &Never,
    };
    let mut former = relay(1, Duration::from_millis(200));
    let standing_still = former.step(&ports);
    let meanwhile = async {
        held.begun.notified().await;
        let publisher = Arc::new(connect(&config(&server.url())).await.events(ours()));
        let relay = relay(2, Duration::from_secs(5));
        let going_on = keep_relaying(Arc::clone(&store), publisher, relay);
        let all_told = eventually(async || {
            let waits = store.oldest_unrelayed().await.unwrap();
            waits.is_none().then_some(())
        });
        futures::future::select(Box::pin(going_on), Box::pin(all_told)).await;
        held.go_on.notify_one();
    };
    let (stepped, ()) = futures::future::join(standing_still, meanwhile).await;
    assert_eq!(stepped.unwrap(), Relayed::Lost);
    assert_all_told_in_order(&server).await;
    // It has noticed: somebody else leads.
    assert_eq!(former.step(&ports).await.unwrap(), Relayed::Standby);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_stops_when_its_time_is_over() {
    let (database, server) = (database(), Nats::start());
    let store = open(&database).await;
    live(Arc::clone(&store), 1).await;
    let held = Held {
        inner: connect(&config(&server.url())).await.events(ours()),
        begun: Notify::new(),
        go_on: Notify::new(),
    };
    let ports = RelayPorts {
        outbox: store.as_ref(),
        publisher: &held,
        clock: &SystemClock,
        timer: &TokioTimer::new(SystemClock),
    };
    let mut leader = relay(1, Duration::from_millis(300));
    let stepped = tokio::time::timeout(PATIENCE, leader.step(&ports)).await;
    assert_eq!(stepped.unwrap().unwrap(), Relayed::Lost);
    assert_eq!(stored(&server.url(), &ours()).await, []);
    assert!(store.oldest_unrelayed().await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nats_is_away_events_wait_and_then_all_are_told() {
    let (database, mut server) = (database(), Nats::start());
    let store = open(&database).await;
    let publisher = Arc::new(connect(&config(&server.url())).await.events(ours()));
    let relay = relay(1, Duration::from_secs(5));
    let relaying = tokio::spawn(keep_relaying(Arc::clone(&store), publisher, relay));
    let half = SESSIONS / 2;
    join_all((1..=half).map(|number| live(Arc::clone(&store), number))).await;
    block_in_place(|| server.kill());
    join_all((half + 1..=SESSIONS).map(|number| live(Arc::clone(&store), number))).await;
    assert!(store.oldest_unrelayed().await.unwrap().is_some());
    block_in_place(|| server.restart());
    eventually(async || {
        let waits = store.oldest_unrelayed().await.unwrap();
        waits.is_none().then_some(())
    })
    .await;
    relaying.abort();
    assert_all_told_in_order(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_is_replaced_within_its_lease_and_whoever_leaves_at_once() {
    let (database, server) = (database(), Nats::start());
    let store = open(&database).await;
    let publisher = connect(&config(&server.url())).await.events(ours());
    let timer = TokioTimer::new(SystemClock);
    let ports = RelayPorts {
        outbox: store.as_ref(),
        publisher: &publisher,
        clock: &SystemClock,
        timer: &timer,
    };
    let nothing = Relayed::Told {
        count: 0,
        more: false,
    };
    let lease = Duration::from_secs(1);
    let mut dead = relay(1, lease);
    assert_eq!(dead.step(&ports).await.unwrap(), nothing);
    let begun = SystemClock.boot();
    let mut next = relay(2, lease);
    assert_eq!(next.step(&ports).await.unwrap(), Relayed::Standby);
    eventually(async || (next.step(&ports).await.unwrap() == nothing).then_some(())).await;
    let waited = SystemClock.boot().since(begun);
    assert!(
        waited >= Duration::from_millis(500),
        "it was led: {waited:?}"
    );
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    let mut last = relay(3, Duration::from_hours(1));
    next.resign(store.as_ref()).await.unwrap();
    assert_eq!(last.step(&ports).await.unwrap(), nothing);
    assert_eq!(next.step(&ports).await.unwrap(), Relayed::Standby);
}

/// The real program, as shipped: it relays unless told otherwise, and any number of it may run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reapers_that_are_killed_in_turn_tell_everything_once_and_in_order() {
    let deployment = block_in_place(Deployment::prepare);
    let store = open_at(&deployment.postgres.url("postgres")).await;
    let mut reapers = block_in_place(|| [(); 2].map(|()| deployment.start(Role::Reaper)));
    let quarter = SESSIONS / 4;
    for round in 0..4 {
        let numbers = round * quarter + 1..=(round + 1) * quarter;
        let writing = join_all(numbers.map(|number| live(Arc::clone(&store), number)));
        let victim = &mut reapers[usize::try_from(round % 2).unwrap()];
        let hurting = async { block_in_place(|| victim.kill()) };
        futures::future::join(writing, hurting).await;
        // One is left, and goes on.
        eventually(async || {
            let waits = store.oldest_unrelayed().await.unwrap();
            waits.is_none().then_some(())
        })
        .await;
        block_in_place(|| victim.restart());
    }
    for mut reaper in reapers {
        assert!(block_in_place(|| reaper.terminate()), "it stops when told");
    }
    assert_all_told_in_order(&deployment.nats).await;
}

/// A database that can't mark what was told, so many times.
struct Forgetful {
    store: Arc<PostgresStore>,
    fails: AtomicU64,
}

#[async_trait]
impl EventOutbox for Forgetful {
    async fn lead(&self, holder: InstanceId, lease: Duration) -> Result<bool, PortError> {
        self.store.lead(holder, lease).await
    }

    async fn resign(&self, holder: InstanceId) -> Result<(), PortError> {
        self.store.resign(holder).await
    }

    async fn unrelayed(&self, limit: u32) -> Result<Vec<StoredEvent>, PortError> {
        self.store.unrelayed(limit).await
    }

    async fn relayed(&self, holder: InstanceId, through: EventId) -> Result<bool, PortError> {
        let fails = self
            .fails
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        match fails {
            Ok(_) => Err(PortError::retry("mark", "the database has gone away")),
            Err(_) => self.store.relayed(holder, through).await,
        }
    }

    async fn oldest_unrelayed(&self) -> Result<Option<Timestamp>, PortError> {
        self.store.oldest_unrelayed().await
    }
}

/// Whoever hears everything, each time.
#[derive(Default)]
struct Hearing(std::sync::Mutex<Vec<EventId>>);

#[async_trait]
impl EventPublisher for Hearing {
    async fn publish(&self, events: &[CloudEvent]) -> Result<(), PortError> {
        let ids = events.iter().map(|event| event.id);
        self.0.lock().unwrap().extend(ids);
        Ok(())
    }
}

/// However long the database is away after a batch was told: the stream knows ids again for
/// minutes only.
#[tokio::test]
async fn what_was_told_and_could_not_be_marked_is_marked_later_and_not_told_again() {
    let database = database();
    let outbox = Forgetful {
        store: open(&database).await,
        fails: AtomicU64::new(3),
    };
    live(Arc::clone(&outbox.store), 1).await;
    let (heard, timer) = (Hearing::default(), TokioTimer::new(SystemClock));
    let ports = RelayPorts {
        outbox: &outbox,
        publisher: &heard,
        clock: &SystemClock,
        timer: &timer,
    };
    let mut relay = relay(1, Duration::from_secs(5));
    for _ in 0..3 {
        assert!(relay.step(&ports).await.is_err());
    }
    live(Arc::clone(&outbox.store), 2).await;
    let told = |step| matches!(step, Ok(Relayed::Told { count: 8, .. }));
    assert!(told(relay.step(&ports).await));
    assert_eq!(outbox.oldest_unrelayed().await.unwrap(), None);
    let heard = heard.0.into_inner().unwrap();
    assert_eq!(heard.len(), 16);
    assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
}
