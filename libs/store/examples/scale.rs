//! Whether anything takes longer the more sessions there are:
//! `cargo run --release -p session-store --example scale [sqlite|postgres [SESSIONS]]`.
//!
//! Measures a user with 1 000 sessions who is alone, then the same user among 100 000 sessions,
//! then the same while half of all are overdue and are ended in batches. Milliseconds, and how
//! many times what the first (or, while reaping, the second) took.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{CountingEntropy, MachineClock, end, id, millis, percentiles, start, start_of, timed};
use futures::future::join_all;
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{InstanceId, TenantId};
use session_domain::port::{
    End, ListQuery, PagePosition, RevocationLog, SessionStore, Targets, Why,
};
use session_domain::revocation::GrantRequest;
use session_domain::session::{NewSession, ShownStatus};
use session_store::{PostgresOptions, PostgresStore, PostgresUrl, SqliteStore};
use session_testkit::servers::Postgres;

/// How many sessions the busy user has.
const BUSY: u128 = 1_000;

/// How often each thing is measured.
const ROUNDS: u128 = 300;

/// How many sessions the reaper ends in one transaction.
const BATCH: u32 = 500;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let engine = args.next().unwrap_or_else(|| "sqlite".to_owned());
    let all: u128 = args
        .next()
        .map_or(100_000, |n| n.parse().expect("a number"));
    match engine.as_str() {
        "sqlite" => {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("sessions.db");
            let (clock, entropy) = (Arc::new(MachineClock), Arc::new(CountingEntropy::default()));
            let store = SqliteStore::open(&path, clock, entropy).await;
            let store = Arc::new(store.expect("it opens"));
            Scale::new(store.clone(), store.clone()).run(all).await;
            store.close().await.expect("it closes");
        }
        "postgres" => {
            let server = tokio::task::spawn_blocking(Postgres::durable).await;
            let server = server.expect("it starts");
            let url: PostgresUrl = server.url("postgres").parse().expect("a URL");
            let options = PostgresOptions::default();
            let migrated = PostgresStore::migrate(&url, &options).await;
            migrated.expect("it migrates");
            let (clock, entropy) = (Arc::new(MachineClock), Arc::new(CountingEntropy::default()));
            let store = PostgresStore::connect(&url, &options, clock, entropy).await;
            let store = Arc::new(store.expect("it connects"));
            Scale::new(store.clone(), store.clone()).run(all).await;
            store.close().await;
        }
        other => panic!("not an engine: {other}"),
    }
}

/// What each thing took.
type Figures = BTreeMap<&'static str, (Duration, Duration)>;

struct Scale {
    store: Arc<dyn SessionStore>,
    log: Arc<dyn RevocationLog>,
    /// Sessions that are started to be measured, and leases that are asked for.
    drawn: AtomicU64,
}

impl Scale {
    fn new(store: Arc<dyn SessionStore>, log: Arc<dyn RevocationLog>) -> Self {
        let drawn = AtomicU64::new(0);
        Self { store, log, drawn }
    }

    async fn run(&self, all: u128) {
        self.fill(1..=BUSY, |n| sample::new_session(n, "busy"))
            .await;
        let alone = self.measure().await;
        show("alone", &alone, &alone);
        let filled = self.fill(BUSY + 1..=all, |n| {
            let new = sample::new_session(n, &format!("user {n}"));
            let mut draft = new.draft().clone();
            if n % 2 == 0 {
                draft.expires_at = draft.created_at.plus(Duration::from_mins(1));
            }
            NewSession::new(draft, new.seed().clone())
        });
        let (took, ()) = timed(filled).await;
        println!(
            "{all} sessions, the last of them started in {} ms",
            millis(took)
        );
        let among = self.measure().await;
        show("among all", &among, &alone);
        let (reaping, reaped) = self.measure_while_reaping().await;
        println!("{reaped} overdue sessions ended meanwhile");
        show("reaping", &reaping, &among);
    }

    async fn fill(&self, numbers: impl Iterator<Item = u128>, new: impl Fn(u128) -> NewSession) {
        let mut starts = numbers.map(|n| start_of(new(n)));
        loop {
            let together = starts.by_ref().take(512);
            let together = together.map(|start| self.store.apply(start));
            let done = join_all(together).await;
            if done.is_empty() {
                return;
            }
            for outcome in done {
                outcome.expect("it starts");
            }
        }
    }

    async fn measure(&self) -> Figures {
        let mut times: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
        for round in 0..ROUNDS {
            self.round(round, &mut times).await;
        }
        let figures = times.into_iter();
        figures
            .map(|(what, times)| (what, percentiles(times)))
            .collect()
    }

    /// Measures for as long as there is something overdue.
    async fn measure_while_reaping(&self) -> (Figures, usize) {
        let store = Arc::clone(&self.store);
        let reaper = tokio::spawn(async move {
            let mut reaped = 0;
            loop {
                let overdue = End {
                    targets: Targets::Overdue,
                    why: Why::Overdue,
                    at: sample::START.plus(Duration::from_mins(2)),
                    actor: Actor::System,
                    batch: BATCH,
                };
                let outcome = store.apply(overdue).await.expect("they end");
                reaped += outcome.ended.len();
                if !outcome.more {
                    return reaped;
                }
            }
        });
        let mut times = BTreeMap::new();
        let mut round = 0;
        while !reaper.is_finished() {
            self.round(round % ROUNDS, &mut times).await;
            round += 1;
        }
        let figures = times.into_iter();
        let figures = figures.map(|(what, times)| (what, percentiles(times)));
        (figures.collect(), reaper.await.expect("it reaps"))
    }

    /// Each thing once.
    async fn round(&self, round: u128, times: &mut BTreeMap<&'static str, Vec<Duration>>) {
        let mut note = |what, time| times.entry(what).or_default().push(time);
        let drawn = u128::from(self.drawn.fetch_add(1, Ordering::Relaxed));
        let (number, tenant) = ((1 << 40) + drawn, TenantId::default());
        for (what, after) in [
            ("list, first page", None),
            ("list, deep page", Some(BUSY / 10)),
        ] {
            let query = page(after);
            let (time, page) = timed(self.store.list(&query)).await;
            assert!(page.expect("a page").len() >= 50);
            note(what, time);
        }
        let (time, stats) = timed(self.store.stats(Some(&tenant))).await;
        assert!(stats.expect("stats").active > 0);
        note("stats", time);
        let found = self.store.find(&tenant, id(round + 1));
        let (time, found) = timed(found).await;
        assert!(found.expect("an answer").is_some());
        note("find", time);
        let (time, started) = timed(self.store.apply(start(number, "somebody"))).await;
        started.expect("it starts");
        note("start", time);
        let (time, ended) = timed(self.store.apply(end(number))).await;
        assert_eq!(ended.expect("it ends").ended.len(), 1);
        note("end", time);
        let request = GrantRequest {
            instance: InstanceId(uuid::Uuid::from_u128(1)),
            counter: self.drawn.load(Ordering::Relaxed),
            applied: None,
        };
        let grant = self.log.grant(&request, Duration::from_secs(5));
        let (time, granted) = timed(grant).await;
        granted.expect("an answer");
        note("grant", time);
    }
}

/// A page of the busy user's sessions: the newest, or those before the `after`th.
fn page(after: Option<u128>) -> ListQuery {
    ListQuery {
        tenant: TenantId::default(),
        user: sample::user("busy"),
        status: Some(ShownStatus::Active),
        after: after.map(|number| PagePosition {
            created_at: sample::START,
            id: id(number),
        }),
        limit: 50,
    }
}

fn show(when: &str, figures: &Figures, before: &Figures) {
    println!("{when}");
    for (what, (p50, p99)) in figures {
        let times = |now: Duration, then: Duration| {
            format!("{:.1}x", now.as_secs_f64() / then.as_secs_f64().max(1e-9))
        };
        let (then50, then99) = before.get(what).copied().unwrap_or((*p50, *p99));
        println!(
            "  {what:18} p50 {:>8} ({:>6})  p99 {:>8} ({:>6})",
            millis(*p50),
            times(*p50, then50),
            millis(*p99),
            times(*p99, then99)
        );
    }
}
