//! Changes that share a transaction on PostgreSQL come out as if each had had its own.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, poll_immediate};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{Generation, InstanceId, Serial, ServiceKeyId, SessionId, TenantId};
use session_domain::port::{
    Change, End, Eviction, Idempotency, Outcome, PortError, RevocationLog, Rotate, SessionLimit,
    SessionStore, Start, StartOutcome, Targets, Why,
};
use session_domain::revocation::{GrantReply, GrantRequest};
use session_domain::session::{EndReason, RefreshVerdict, Status};
use session_store::PostgresStore;
use session_testkit::servers::Postgres;
use support::postgres::{database, open, try_open};

fn start(number: u128, user: &str) -> Start {
    Start {
        session: sample::new_session(number, user),
        actor: Actor::System,
        limit: None,
        idempotency: None,
    }
}

fn limited(number: u128, user: &str, eviction: Eviction) -> Start {
    Start {
        limit: Some(SessionLimit { max: 5, eviction }),
        ..start(number, user)
    }
}

fn repeatable(number: u128, user: &str, key: &str) -> Start {
    Start {
        idempotency: Some(Idempotency {
            caller: ServiceKeyId(uuid::Uuid::from_u128(7)),
            key: key.to_owned(),
            digest: [1; 32],
        }),
        ..start(number, user)
    }
}

fn end(number: u128) -> End {
    End {
        targets: Targets::One {
            tenant: TenantId::default(),
            id: sample::session_id(number),
        },
        why: Why::Because {
            reason: EndReason::Logout,
            note: None,
        },
        at: sample::START,
        actor: Actor::System,
        batch: 1,
    }
}

fn rotate(number: u128, presented: u32, seconds: u64) -> Rotate {
    let new = sample::new_session(number, "alice");
    Rotate {
        tenant: TenantId::default(),
        id: new.draft().id,
        presented: Generation(presented),
        seed: new.seed().clone(),
        at: sample::START.plus(Duration::from_secs(seconds)),
        grace: Duration::from_secs(10),
        actor: Actor::System,
    }
}

async fn commit(store: &PostgresStore, change: impl Into<Change>) -> Outcome {
    store.commit(change.into()).await.unwrap()
}

/// What a session has come to by what its callers were told.
#[derive(Debug, Default)]
struct Told {
    started: BTreeSet<SessionId>,
    ended: BTreeSet<SessionId>,
    rotations: u64,
}

impl Told {
    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Start(StartOutcome::Started {
                session,
                evicted,
                fresh,
            }) => {
                assert_eq!(fresh.is_some(), !evicted.is_empty());
                assert!(self.started.insert(session.id), "started twice");
                for session in evicted {
                    assert_ne!(session.serial, Serial(0));
                    assert!(self.ended.insert(session.id), "evicted twice");
                }
            }
            Outcome::Start(_) => {}
            Outcome::Rotate(outcome) => match outcome.judged {
                Some((RefreshVerdict::Rotate, _)) => self.rotations += 1,
                Some((RefreshVerdict::Reused, session)) => {
                    let Status::Ended(ending) = session.status else {
                        panic!("{session:?}")
                    };
                    assert!(outcome.fresh.unwrap().last() >= ending.seq);
                    assert!(self.ended.insert(session.id), "stolen twice");
                }
                _ => {}
            },
            Outcome::End(outcome) => {
                for session in &outcome.ended {
                    let Status::Ended(ending) = session.status else {
                        panic!("{session:?}")
                    };
                    assert_eq!(ending.seq, outcome.through);
                    assert!(self.ended.insert(session.id), "ended twice");
                }
                if let Some(already) = outcome.already {
                    let Status::Ended(ending) = already.status else {
                        panic!("{already:?}")
                    };
                    assert_eq!(ending.seq, outcome.through);
                    assert!(ending.seq.0 > 0);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn number(db: &DatabaseConnection, sql: &str) -> u64 {
    let select = Statement::from_string(DbBackend::Postgres, format!("SELECT ({sql}) AS n"));
    let row = db.query_one_raw(select).await.unwrap().unwrap();
    u64::try_from(row.try_get::<i64>("", "n").unwrap()).unwrap()
}

/// Rows, events, log and counters tell the same.
async fn agrees(store: &PostgresStore, url: &str) {
    let db = sea_orm::Database::connect(url).await.unwrap();
    let count = async |sql: &str| number(&db, sql).await;
    let (all, ended) = (
        count("SELECT count(*) FROM sessions").await,
        count("SELECT count(*) FROM sessions WHERE ended_seq IS NOT NULL").await,
    );
    for (kind, rows) in [("session_started", all), ("session_ended", ended)] {
        let told = format!("SELECT count(*) FROM session_events WHERE type = '{kind}'");
        assert_eq!(count(&told).await, rows, "{kind}");
        let each =
            format!("SELECT count(DISTINCT session_id) FROM session_events WHERE type = '{kind}'");
        assert_eq!(count(&each).await, rows, "{kind} of each once");
    }
    let head = store.head().await.unwrap().seq.0;
    assert_eq!(count("SELECT count(*) FROM revocation_log").await, head);
    assert_eq!(
        count("SELECT COALESCE(max(seq), 0) FROM revocation_log").await,
        head
    );
    let unsaid = "SELECT count(*) FROM sessions WHERE ended_seq IS NOT NULL AND NOT EXISTS \
        (SELECT 1 FROM revocation_log WHERE seq = ended_seq \
         AND entry::jsonb -> 'Ended' @> to_jsonb(serial))";
    assert_eq!(count(unsaid).await, 0, "each is in its entry");
    let said = "SELECT COALESCE(sum(jsonb_array_length(entry::jsonb -> 'Ended')), 0)::bigint \
        FROM revocation_log";
    assert_eq!(count(said).await, ended, "and in no other");
    let versions = "SELECT count(*) FROM sessions WHERE version <> \
        1 + refresh_generation + (ended_seq IS NOT NULL)::int";
    assert_eq!(count(versions).await, 0, "a version for each change");

    let stats = store.stats(None).await.unwrap();
    let signed = |count: u64| i64::try_from(count).unwrap();
    assert_eq!(
        (stats.created, stats.active),
        (signed(all), signed(all - ended))
    );
    for reason in EndReason::ALL {
        let name = reason.as_str();
        let rows = format!("SELECT count(*) FROM sessions WHERE end_reason = '{name}'");
        let rows = count(&rows).await;
        let counted = stats.ended.get(&reason).copied().unwrap_or(0);
        assert_eq!(counted, signed(rows), "{name}");
    }
    db.close().await.unwrap();
}

/// Everything at once: starts, some repeated, some limited; refreshes, ends, each twice.
async fn mixture(stores: &[Arc<PostgresStore>], url: &str) {
    let store = |number: u128| &stores[usize::try_from(number).unwrap() % stores.len()];
    let mut told = Told::default();
    for outcome in join_all((1..=300).map(|n| commit(store(n), start(n, "alice")))).await {
        told.take(outcome);
    }
    let mut changes: Vec<(u128, Change)> = Vec::new();
    for n in 1..=100 {
        // Ended from both sides, and refreshed.
        changes.extend([(n, end(n).into()), (n + 1, end(n).into())]);
        changes.push((n, rotate(n, 0, 1).into()));
        // Refreshed by two at once.
        changes.extend([
            (n, rotate(100 + n, 0, 1).into()),
            (n + 1, rotate(100 + n, 0, 1).into()),
        ]);
        // Three times the same request.
        let key = format!("key {}", n % 34);
        let key = |n| (n, repeatable(1_000 + n, "bob", &key).into());
        changes.push(key(n));
        for (user, eviction) in [
            ("oldest", Eviction::Oldest),
            ("least", Eviction::LeastRecent),
        ] {
            let place = if user == "least" { 3_000 } else { 2_000 };
            changes.push((n, limited(place + n, user, eviction).into()));
        }
        changes.push((n, limited(4_000 + n, "rejected", Eviction::Reject).into()));
    }
    // Neighbours in the queue are of all kinds.
    let spread = |place: usize| (place * 7_919) % 10_007;
    let mut order: Vec<usize> = (0..changes.len()).collect();
    order.sort_by_key(|place| spread(*place));
    let before: u64 = stores.iter().map(|store| store.counts().transactions).sum();
    let work = order.iter().map(|&place| {
        let (side, change) = changes[place].clone();
        async move { store(side).commit(change).await.unwrap() }
    });
    let outcomes = join_all(work).await;
    let after: u64 = stores.iter().map(|store| store.counts().transactions).sum();
    assert!(
        after - before < 100,
        "{} transactions for 900 changes",
        after - before
    );
    let mut answers: BTreeMap<&str, u32> = BTreeMap::new();
    for outcome in outcomes {
        let kind = match &outcome {
            Outcome::Start(StartOutcome::Replayed(_)) => "replayed",
            Outcome::Start(StartOutcome::LimitReached) => "refused",
            _ => "other",
        };
        *answers.entry(kind).or_default() += 1;
        told.take(outcome);
    }
    assert_eq!((answers["replayed"], answers["refused"]), (100 - 34, 95));
    for used in join_all((101..=200).map(|n| commit(store(n), rotate(n, 0, 60)))).await {
        told.take(used);
    }
    assert_eq!(told.started.len(), 300 + 34 + 100 + 100 + 5);
    assert_eq!(
        told.ended.len(),
        100 + 95 + 95 + 100,
        "ended, evicted, stolen"
    );
    assert!(told.rotations >= 100);
    for user in ["oldest", "least", "rejected"] {
        let query = session_domain::port::ListQuery {
            tenant: TenantId::default(),
            user: sample::user(user),
            status: Some(session_domain::session::ShownStatus::Active),
            after: None,
            limit: 100,
        };
        assert_eq!(stores[0].list(&query).await.unwrap().len(), 5, "{user}");
    }
    for id in &told.ended {
        let session = stores[0]
            .find(&TenantId::default(), *id)
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(session.status, Status::Ended(_)));
    }
    agrees(&stores[0], url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixture_of_all_comes_out_as_if_done_singly() {
    let database = database();
    mixture(&[open(&database).await], &database.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixture_of_all_at_two_processes_comes_out_as_if_done_singly() {
    let database = database();
    let stores = [open(&database).await, open(&database).await];
    mixture(&stores, &database.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_can_not_be_carried_out_fails_alone() {
    let database = database();
    let store = open(&database).await;
    commit(&store, start(1, "alice")).await;
    // The same id again: the database refuses it, and with it the whole transaction.
    let starts = (2..=100)
        .chain([1])
        .map(|n| store.commit(start(n, "alice").into()));
    let mut outcomes: Vec<Result<Outcome, PortError>> = join_all(starts).await;
    let poisoned = outcomes.pop().unwrap().unwrap_err();
    assert!(!poisoned.is_retry());
    for outcome in outcomes {
        assert!(matches!(
            outcome.unwrap(),
            Outcome::Start(StartOutcome::Started { .. })
        ));
    }
    agrees(&store, &database.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_waiting_stops_nobody_else() {
    let database = database();
    let store = open(&database).await;
    let mut gone = Vec::new();
    let mut stay = Vec::new();
    for n in 1..=100 {
        let mut change = store.commit(start(n, "alice").into());
        if n % 2 == 0 {
            stay.push(change);
        } else {
            // Asked for, and dropped while its group is under way.
            assert!(poll_immediate(&mut change).await.is_none());
            gone.push(n);
            drop(change);
        }
    }
    for outcome in join_all(stay).await {
        assert!(matches!(
            outcome.unwrap(),
            Outcome::Start(StartOutcome::Started { .. })
        ));
    }
    // In the queue before this one, so decided by now, with all that belongs to it.
    commit(&store, start(200, "alice")).await;
    agrees(&store, &database.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_change_is_one_transaction_of_few_calls() {
    let database = database();
    let store = open(&database).await;
    commit(&store, start(1, "alice")).await;
    let before = store.counts();
    commit(&store, end(1)).await;
    let after = store.counts();
    assert_eq!(after.transactions - before.transactions, 1);
    let calls = after.calls - before.calls;
    assert!(
        calls <= 5,
        "{calls} calls: begin, lock, event, counters, log and commit"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_asked_for_together_are_granted_together() {
    let database = database();
    let store = open(&database).await;
    let ask = async |instance: u128, counter: u64| {
        let request = GrantRequest {
            instance: InstanceId(uuid::Uuid::from_u128(instance)),
            counter,
            applied: None,
        };
        store.grant(&request, Duration::from_secs(5)).await
    };
    let before = store.counts().transactions;
    // Each twice, so that both may be in one group.
    let asked = (1..=200).map(|n| ask(1 + n % 100, 1 + u64::try_from(n).unwrap() / 101));
    let replies = join_all(asked).await;
    let transactions = store.counts().transactions - before;
    assert!(
        transactions < 20,
        "{transactions} transactions for 200 grants"
    );
    let mut secrets = BTreeMap::new();
    for (n, reply) in (1..=200_u128).zip(replies) {
        // The later counter may have come first; the earlier is refused then.
        match reply {
            Ok(GrantReply::Granted(grant)) => {
                let known = secrets
                    .entry(1 + n % 100)
                    .or_insert_with(|| grant.secret.clone());
                assert_eq!(*known, grant.secret, "one secret for a holder's life");
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(n <= 100 && !error.is_retry(), "{error:?}"),
        }
    }
    let leases = store.holders().await.unwrap().leases;
    assert_eq!(leases.len(), 100);
    for lease in leases {
        let instance = lease.instance.0.as_u128();
        assert_eq!((lease.counter, &lease.secret), (2, &secrets[&instance]));
    }
}

/// What the callers were told before the server died.
#[derive(Debug, Default)]
struct Answered {
    started: BTreeSet<u128>,
    ended: BTreeSet<u128>,
}

async fn work_until_it_fails(store: Arc<PostgresStore>, numbers: Vec<u128>) -> Answered {
    let mut answered = Answered::default();
    for n in numbers {
        if store.commit(start(n, "alice").into()).await.is_err() {
            break;
        }
        answered.started.insert(n);
        if n % 2 == 0 {
            if store.commit(end(n).into()).await.is_err() {
                break;
            }
            answered.ended.insert(n);
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_what_was_answered_and_nothing_by_halves() {
    const CALLERS: u128 = 32;
    let mut server = Postgres::start();
    let url = server.url("postgres");
    PostgresStore::migrate(&url.parse().unwrap(), &support::postgres::options())
        .await
        .unwrap();
    let mut all = Answered::default();
    for round in 0..3_u128 {
        let store = Arc::new(try_open(&url).await.unwrap());
        let callers = (0..CALLERS).map(|caller| {
            let first = round * 1_000_000 + caller * 10_000 + 1;
            let numbers = (first..first + 10_000).collect();
            tokio::spawn(work_until_it_fails(Arc::clone(&store), numbers))
        });
        let callers: Vec<_> = callers.collect();
        // Under load: enough has been answered, and much more is under way.
        while store.counts().changes < 1_000 {
            tokio::task::yield_now().await;
        }
        server.kill();
        for answered in join_all(callers).await {
            let mut answered = answered.unwrap();
            all.started.append(&mut answered.started);
            all.ended.append(&mut answered.ended);
        }
        server.restart();
        let store = try_open(&url).await.unwrap();
        agrees(&store, &url).await;
        let head = store.head().await.unwrap().seq;
        for n in &all.started {
            let found = store
                .find(&TenantId::default(), sample::session_id(*n))
                .await;
            let session = found.unwrap().expect("it was answered that it started");
            match session.status {
                Status::Ended(ending) => assert!(ending.seq <= head),
                Status::Active => assert!(!all.ended.contains(n), "answered that it ended"),
            }
        }
        store.close().await;
    }
    assert!(all.ended.len() > 100);
}
