//! How many starts, refreshes and ends a second PostgreSQL takes, and how long each waits:
//! `cargo run --release -p session-store --example write_load [CALLERS [SECONDS]]`.
//!
//! Starts a private server that waits for the disk at each commit, as one in service does. Every
//! caller has one change under way at any time.

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{CountingEntropy, MachineClock, end, millis, percentiles, start, timed};
use futures::future::{Either, join_all, select};
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{Generation, TenantId};
use session_domain::port::{Change, Rotate, SessionStore};
use session_store::{PostgresCounts, PostgresOptions, PostgresStore, PostgresUrl};
use session_testkit::servers::Postgres;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let callers = args.next().map_or(64, |n| n.parse().expect("a number"));
    let seconds = args.next().map_or(5, |n| n.parse().expect("a number"));
    let server = tokio::task::spawn_blocking(Postgres::durable);
    let server = server.await.expect("it starts");
    let database = server.empty();
    let store = open(&database.url()).await;
    println!("{callers} callers, {seconds} s each; milliseconds");
    let load = Load {
        store,
        callers,
        span: Duration::from_secs(seconds),
    };
    let starts = |caller, n| start(number(caller, n), "alice").into();
    let started = load.run("start", u64::MAX, starts).await;
    load.run("refresh", u64::MAX, refresh).await;
    // As many as the slowest caller has started.
    let fewest = started.iter().copied().min().unwrap_or(0);
    let ends = |caller, n| end(number(caller, n)).into();
    load.run("end", fewest, ends).await;
    load.store.close().await;
}

async fn open(url: &str) -> Arc<PostgresStore> {
    let url: PostgresUrl = url.parse().expect("a URL");
    let options = PostgresOptions::default();
    PostgresStore::migrate(&url, &options)
        .await
        .expect("it migrates");
    let (clock, entropy) = (Arc::new(MachineClock), Arc::new(CountingEntropy::default()));
    let store = PostgresStore::connect(&url, &options, clock, entropy).await;
    Arc::new(store.expect("it connects"))
}

/// The number of a caller's `n`th session.
const fn number(caller: u128, n: u128) -> u128 {
    (caller << 32) + n
}

/// Each caller refreshes its first session over and over.
fn refresh(caller: u128, n: u128) -> Change {
    let session = number(caller, 0);
    Change::Rotate(Rotate {
        tenant: TenantId::default(),
        id: common::id(session),
        presented: Generation(u32::try_from(n).expect("few")),
        seed: sample::new_session(session, "alice").seed().clone(),
        at: sample::START,
        grace: Duration::from_secs(10),
        actor: Actor::System,
    })
}

struct Load {
    store: Arc<PostgresStore>,
    callers: u128,
    span: Duration,
}

impl Load {
    /// Lets all callers work for a while, or until each has made `most` changes; gives how many
    /// each has made.
    async fn run(&self, what: &str, most: u64, make: fn(u128, u128) -> Change) -> Vec<u64> {
        let stop = Arc::new(AtomicBool::new(false));
        let caller = |caller| {
            let (store, stop) = (Arc::clone(&self.store), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut times = Vec::new();
                for n in 0..u128::from(most) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (time, outcome) = timed(store.commit(make(caller, n))).await;
                    outcome.expect("it is carried out");
                    times.push(time);
                }
                times
            })
        };
        let before = self.store.counts();
        let callers: Vec<_> = (0..self.callers).map(caller).collect();
        let stopping = async {
            tokio::time::sleep(self.span).await;
            stop.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        let (working, stopping) = (pin!(join_all(callers)), pin!(stopping));
        let working = select(working, stopping);
        let (span, Either::Left((done, _))) = timed(working).await else {
            unreachable!("nobody stops before the callers do")
        };
        let times: Vec<Vec<Duration>> = done.into_iter().map(Result::unwrap_or_default).collect();
        let each = times.iter().map(|times| times.len() as u64).collect();
        let times: Vec<_> = times.into_iter().flatten().collect();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rate = times.len() as f64 / span.as_secs_f64();
        let (p50, p99) = percentiles(times);
        let (p50, p99) = (millis(p50), millis(p99));
        println!(
            "{what:8} {rate:8.0}/s  p50 {p50:>8}  p99 {p99:>8}  {}",
            shares(before, self.store.counts())
        );
        each
    }
}

/// How many changes shared a transaction, and how many calls to the server one took.
fn shares(before: PostgresCounts, after: PostgresCounts) -> String {
    let transactions = (after.transactions - before.transactions).max(1);
    let each = |count: u64| {
        format!(
            "{}.{}",
            count / transactions,
            count * 10 / transactions % 10
        )
    };
    let (changes, calls) = (after.changes - before.changes, after.calls - before.calls);
    format!(
        "{} changes and {} calls a transaction",
        each(changes),
        each(calls)
    )
}
