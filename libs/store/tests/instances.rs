//! Several stores on one PostgreSQL database, as several processes have them.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use session_domain::contract::log::entries;
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{InstanceId, Seq, TenantId};
use session_domain::port::{
    End, EndOutcome, Eviction, RevocationLog, SessionLimit, SessionStore, Start, Targets, Why,
};
use session_domain::revocation::{GrantReply, GrantRequest, LogEntry};
use session_domain::session::{EndReason, Session, Status};
use session_store::{OpenError, PostgresStore, PostgresUrl};
use session_testkit::servers::{Database, Postgres};
use support::postgres::{database, open, options, try_open};

const ENDS: u128 = 200;

async fn two(database: &Database<'_>) -> [Arc<PostgresStore>; 2] {
    [open(database).await, open(database).await]
}

async fn commit<T: session_domain::port::Transition>(
    store: &Arc<PostgresStore>,
    change: T,
) -> T::Outcome {
    let store: &dyn SessionStore = store.as_ref();
    store.apply(change).await.unwrap()
}

async fn start(store: &Arc<PostgresStore>, number: u128, user: &str) {
    let change = Start {
        session: sample::new_session(number, user),
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    commit(store, change).await;
}

async fn end(store: &Arc<PostgresStore>, number: u128) -> EndOutcome {
    let change = End {
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
    };
    commit(store, change).await
}

/// How often each serial is in the log.
async fn announced(store: &PostgresStore) -> Vec<u64> {
    let entries = entries(store, Seq(0), u32::MAX).await;
    let serials = entries.into_iter().flat_map(|entry| match entry {
        LogEntry::Ended(serials) => serials,
        other => panic!("{other:?}"),
    });
    let mut serials: Vec<_> = serials.map(|serial| serial.0).collect();
    serials.sort_unstable();
    serials
}

/// How many events tell of an end.
async fn ends_told(database: &Database<'_>) -> i64 {
    use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
    let db = Database::connect(database.url()).await.unwrap();
    let sql = "SELECT count(*) AS n FROM session_events WHERE type = 'session_ended'";
    let select = Statement::from_string(DbBackend::Postgres, sql);
    let row = db.query_one_raw(select).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_from_two_processes_are_numbered_without_gaps_each_once() {
    let database = database();
    let stores = two(&database).await;
    join_all((1..=ENDS).map(|number| start(&stores[0], number, "alice"))).await;
    // Every session from both sides at once.
    let from = |store| join_all((1..=ENDS).map(move |number| end(store, number)));
    let (one, other) = join(from(&stores[0]), from(&stores[1])).await;
    let mut numbers = BTreeSet::new();
    for (one, other) in one.iter().zip(&other) {
        let fresh = [one, other].map(|outcome| outcome.fresh.is_some());
        assert!(fresh[0] != fresh[1], "one of both ended it: {fresh:?}");
        assert_eq!(one.through, other.through, "both are told to wait for it");
        numbers.insert(one.through.0);
    }
    // Ends that a process writes together share an entry.
    let ends = u64::try_from(ENDS).unwrap();
    let head = stores[1].head().await.unwrap().seq.0;
    assert_eq!(numbers, (1..=head).collect());
    let serials = announced(&stores[1]).await;
    assert_eq!(serials.len(), serials.iter().collect::<BTreeSet<_>>().len());
    assert_eq!(serials.len() as u64, ends);
    assert_eq!(ends_told(&database).await, i64::try_from(ENDS).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reapers_share_the_overdue_and_end_none_twice() {
    let database = database();
    let stores = two(&database).await;
    join_all((1..=ENDS).map(|number| start(&stores[0], number, "alice"))).await;
    let reap = async |store: &Arc<PostgresStore>| {
        let mut ended = Vec::new();
        loop {
            let change = End {
                targets: Targets::Overdue,
                why: Why::Overdue,
                at: sample::START.plus(Duration::from_hours(48)),
                actor: Actor::System,
                batch: 10,
            };
            let outcome = commit(store, change).await;
            ended.extend(outcome.ended.iter().map(|session: &Session| session.id));
            if outcome.ended.is_empty() {
                return ended;
            }
        }
    };
    let (one, other) = join(reap(&stores[0]), reap(&stores[1])).await;
    let together: BTreeSet<_> = one.iter().chain(&other).collect();
    assert_eq!(one.len() + other.len(), together.len(), "none twice");
    assert_eq!(together.len() as u128, ENDS);
    assert!(
        !one.is_empty() && !other.is_empty(),
        "shared: {} and {}",
        one.len(),
        other.len()
    );
    assert_eq!(announced(&stores[0]).await.len() as u128, ENDS);
    assert_eq!(ends_told(&database).await, i64::try_from(ENDS).unwrap());
}

/// Whoever is granted a head below an end's number is seen by whoever made that end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_grant_of_one_process_is_before_or_after_every_end_of_another() {
    let database = database();
    let [api, other] = two(&database).await;
    join_all((1..=ENDS).map(|number| start(&api, number, "alice"))).await;
    let grants = join_all((1..=100).map(|number| {
        let api = &api;
        async move {
            let request = GrantRequest {
                instance: InstanceId(uuid::Uuid::from_u128(number)),
                counter: 1,
                applied: None,
            };
            // Whatever had been answered when this was asked for is in it.
            let before = api.head().await.unwrap();
            let reply = api.grant(&request, Duration::from_secs(5)).await.unwrap();
            let GrantReply::Granted(grant) = reply else {
                panic!("{reply:?}");
            };
            assert!(grant.head.seq >= before.seq);
            (request.instance, grant.head.seq)
        }
    }));
    let ends = join_all((1..=ENDS).map(|number| {
        let other = &other;
        async move {
            let seq = end(other, number).await.through;
            let leases = other.holders().await.unwrap().leases;
            let holders: BTreeSet<_> = leases.iter().map(|lease| lease.instance).collect();
            (seq, holders)
        }
    }));
    let (grants, ends) = join(grants, ends).await;
    for (instance, head) in grants {
        for (seq, holders) in &ends {
            assert!(
                head >= *seq || holders.contains(&instance),
                "missed by {seq}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_limit_holds_for_logins_at_two_processes() {
    let database = database();
    let stores = two(&database).await;
    let logins = (1..=100_u128).map(|number| {
        let store = &stores[usize::try_from(number % 2).unwrap()];
        async move {
            let limit = Some(SessionLimit {
                max: 5,
                eviction: Eviction::Oldest,
            });
            let change = Start {
                session: sample::new_session(number, "alice"),
                actor: Actor::System,
                limit,
                idempotency: None,
            };
            commit(store, change).await;
        }
    });
    join_all(logins).await;
    let found = (1..=100).map(|number| async move { sample::session_id(number) });
    let mut active = 0;
    for id in join_all(found).await {
        let session = stores[0].find(&TenantId::default(), id).await.unwrap();
        active += u32::from(session.unwrap().status == Status::Active);
    }
    assert_eq!(active, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_migrate_at_once() {
    let database = Postgres::shared().empty();
    let url: PostgresUrl = database.url().parse().unwrap();
    assert!(matches!(
        try_open(&database.url()).await,
        Err(OpenError::Unmigrated)
    ));
    let migrations = (0..18).map(|_| async {
        PostgresStore::migrate(&url, &options()).await.unwrap();
    });
    join_all(migrations).await;
    open(&database).await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_used_is_refused_by_name() {
    use sea_orm::{ConnectionTrait, Database};
    let absent = try_open(&Postgres::shared().url("absent")).await;
    assert!(matches!(absent, Err(OpenError::Refused(_))), "{absent:?}");

    let database = database();
    let stranger = database.url().replace("postgres@", "stranger@");
    let unknown = try_open(&stranger).await;
    assert!(matches!(unknown, Err(OpenError::Refused(_))), "{unknown:?}");

    let admin = Database::connect(database.url()).await.unwrap();
    // May come in and look, and no more: the first word on a connection is refused.
    let url = database.url();
    let (_, own) = url.rsplit_once('/').unwrap();
    let name = format!("reader_{own}");
    for grant in [
        format!("CREATE ROLE {name} LOGIN"),
        format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}"),
    ] {
        admin.execute_unprepared(&grant).await.unwrap();
    }
    let reader = try_open(&url.replace("postgres@", &format!("{name}@"))).await;
    assert!(matches!(reader, Err(OpenError::Refused(_))), "{reader:?}");
    let expanded = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9', 0)";
    admin.execute_unprepared(expanded).await.unwrap();
    open(&database).await.close().await;
    let newer = "UPDATE schema_info SET min_binary = 1000";
    admin.execute_unprepared(newer).await.unwrap();
    let found = try_open(&database.url()).await;
    assert!(
        matches!(&found, Err(OpenError::Newer { unknown }) if unknown == &["m9", "generation 1000"]),
        "{found:?}"
    );
    admin.close().await.unwrap();

    let mut server = Postgres::start();
    server.kill();
    let url = server.url("postgres").parse().unwrap();
    let hasty = session_store::PostgresOptions {
        connection_timeout: Duration::from_millis(300),
        ..options()
    };
    let gone = PostgresStore::migrate(&url, &hasty).await.unwrap_err();
    assert!(gone.is_passing(), "{gone:?}");
}
