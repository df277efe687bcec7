//! How long an end takes, and how many a second there can be, beside what nobody could do without:
//! a commit, and a round trip over NATS.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use session_domain::event::Actor;
use session_domain::ids::TenantId;
use session_domain::port::{Clock, End, SessionStore, Targets, Why};
use session_domain::session::EndReason;
use session_runtime::clock::{SystemClock, SystemEntropy};
use session_store::{PostgresOptions, PostgresStore};
use session_testkit::servers::installed;

use crate::load::Load;
use crate::moment::Moment;
use crate::nats::Bare;
use crate::scene::blocking;
use crate::users::Users;
use crate::world::{Shape, World};

/// How many of each are measured one at a time, at most.
const ONE_AT_A_TIME_MAX: usize = 1_000;

/// How many go before, to warm things up.
const WARMING_UP: usize = 50;

/// How many callers there are then.
const CALLERS: usize = 64;

/// A commit waits for the disk, as in service; links are direct.
const SHAPE: Shape = Shape {
    lease_seconds: 5,
    links: false,
    durable: true,
    revokers: 0,
    ..Shape::USUAL
};

/// Measures all of it in one world, and says what came out.
///
/// `ends` is how many sessions are ended to see how many a second there can be.
pub async fn measure(seed: u64, ends: usize) -> String {
    let world = blocking(|| World::start(SHAPE, seed));
    let users = Arc::new(Users::of(&world));
    match everything(&world, &users, ends).await {
        Ok(text) => text,
        Err(error) => format!("can't be measured: {error:#}"),
    }
}

async fn everything(world: &World, users: &Arc<Users>, ends: usize) -> Result<String> {
    let each = ends.clamp(1, ONE_AT_A_TIME_MAX);
    let mut text = format!("{:<44} {:>10} {:>10}\n", "measured (ms)", "p50", "p99");
    let mut line = |what: &str, spans: &mut [Duration]| {
        let (half, most) = (percentile(spans, 50), percentile(spans, 99));
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "{what:<44} {half:>10.3} {most:>10.3}");
        (half, most)
    };
    let (commit_half, commit_most) = line("a commit", &mut commits(world, each)?);
    let mut trips = round_trips(world, each).await.context("NATS")?;
    let (trip_half, trip_most) = line("a round trip over NATS", &mut trips);
    let mut bare = bare_ends(world, users, each).await?;
    let (bare_half, bare_most) = line("an end's transaction by itself", &mut bare);
    let mut singly = one_by_one(users, each).await;
    let (end_half, end_most) = line("an end, one at a time", &mut singly);
    let mut commits_after = commits(world, each)?;
    line("a commit, afterwards", &mut commits_after);
    for (what, half, most) in [
        ("its transaction", bare_half, bare_most),
        ("the smallest commit there is", commit_half, commit_most),
    ] {
        let half = end_half / (half + trip_half);
        let most = end_most / (most + trip_most);
        let _ = writeln!(
            text,
            "an end is {half:.1} times {what} and the round trip at p50, {most:.1} times at p99",
        );
    }
    let (mut spans, rate) = together(users, ends).await;
    let (half, most) = (percentile(&mut spans, 50), percentile(&mut spans, 99));
    let _ = write!(
        text,
        "{CALLERS} callers: {rate:.0} ends a second, {} of {ends} answered with 204; \
         p50 {half:.3} ms, p99 {most:.3} ms",
        spans.len()
    );
    Ok(text)
}

/// In milliseconds.
fn percentile(spans: &mut [Duration], percent: usize) -> f64 {
    spans.sort_unstable();
    let index = spans.len() * percent / 100;
    let span = spans.get(index.min(spans.len().saturating_sub(1)));
    span.map_or(f64::NAN, |span| span.as_secs_f64() * 1_000.0)
}

/// One row changed in a transaction of its own, by one client, again and again.
fn commits(world: &World, count: usize) -> Result<Vec<Duration>> {
    let folder = tempfile::tempdir()?;
    let url = world.deployment.postgres.url("postgres");
    let made =
        "DROP TABLE IF EXISTS bare; CREATE TABLE bare (n bigint); INSERT INTO bare VALUES (0)";
    let psql = Command::new(installed("psql"))
        .args(["-X", "-q", "-c", made])
        .arg(&url)
        .output()?;
    ensure!(psql.status.success(), "psql: {psql:?}");
    let script = folder.path().join("script");
    std::fs::write(&script, "UPDATE bare SET n = n + 1;\n")?;
    let pgbench = Command::new(installed("pgbench"))
        .args(["-n", "-M", "prepared", "-c", "1", "-t"])
        .arg(count.to_string())
        .args(["-l", "--log-prefix=bare", "-f"])
        .arg(&script)
        .arg(&url)
        .current_dir(folder.path())
        .output()?;
    ensure!(pgbench.status.success(), "pgbench: {pgbench:?}");
    let mut spans = Vec::new();
    for entry in std::fs::read_dir(folder.path())? {
        let path = entry?.path();
        if path == script {
            continue;
        }
        // "client transaction microseconds script seconds microseconds".
        for line in std::fs::read_to_string(path)?.lines() {
            let micros = line.split(' ').nth(2).context("a column")?.parse()?;
            spans.push(Duration::from_micros(micros));
        }
    }
    Ok(spans)
}

/// What ends a session in the database, and nothing around it: on one connection's worth of calls,
/// by the adapter that an API has.
async fn bare_ends(world: &World, users: &Users, count: usize) -> Result<Vec<Duration>> {
    let url = world.deployment.postgres.url("postgres").parse()?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let store = PostgresStore::connect(&url, &PostgresOptions::default(), clock, entropy).await?;
    let mut spans = Vec::new();
    for number in 0..WARMING_UP + count {
        let life = users.sign_in().await;
        let change = End {
            targets: Targets::One {
                tenant: TenantId::default(),
                id: life.id.parse()?,
            },
            why: Why::Because {
                reason: EndReason::RevokedByAdmin,
                note: None,
            },
            at: SystemClock.wall(),
            actor: Actor::System,
            batch: 1,
        };
        let begun = Moment::now();
        let outcome = (&store as &dyn SessionStore).apply(change).await?;
        let took = Moment::now().since(begun);
        ensure!(outcome.ended.len() == 1, "a session just started has ended");
        if number >= WARMING_UP {
            spans.push(took);
        }
    }
    store.close().await;
    Ok(spans)
}

/// There and back again, as a publication and its acknowledgement.
async fn round_trips(world: &World, count: usize) -> Result<Vec<Duration>> {
    let address = world.deployment.nats.address();
    let mut there = Bare::hearing(address, "bare.there").await?;
    let mut here = Bare::hearing(address, "bare.here").await?;
    let answering = tokio::spawn(async move {
        while there.hear().await.is_ok() && there.say("bare.here").await.is_ok() {}
    });
    let mut spans = Vec::new();
    for _ in 0..count {
        let begun = Moment::now();
        here.say("bare.there").await?;
        here.hear().await?;
        spans.push(Moment::now().since(begun));
    }
    answering.abort();
    Ok(spans)
}

async fn one_by_one(users: &Arc<Users>, count: usize) -> Vec<Duration> {
    let mut spans = Vec::new();
    for number in 0..WARMING_UP + count {
        let life = users.sign_in().await;
        users.end(&life).await;
        if number >= WARMING_UP {
            spans.extend(life.took());
        }
    }
    spans
}

/// Gives how long each took, and how many a second that were.
async fn together(users: &Arc<Users>, count: usize) -> (Vec<Duration>, f64) {
    let starts = 0..count;
    let mut lives = Vec::with_capacity(count);
    for some in starts.collect::<Vec<_>>().chunks(CALLERS) {
        lives.extend(futures::future::join_all(some.iter().map(|_| users.sign_in())).await);
    }
    let begun = Moment::now();
    let ended = Load::each(lives, CALLERS, async |life| {
        users.end(&life).await;
        life.took()
    });
    let spans: Vec<_> = ended.await.into_iter().flatten().collect();
    let took = Moment::now().since(begun).as_secs_f64();
    let count = f64::from(u32::try_from(spans.len()).unwrap_or(u32::MAX));
    (spans, count / took)
}
