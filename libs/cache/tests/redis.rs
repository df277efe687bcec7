//! Readings in Redis keep the port's contract, and what isn't one of ours is none.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use session_domain::contract::sample;
use session_domain::port::SessionCache;
use session_domain::session::Session;
use session_testkit::servers::Redis as Server;

use support::{Process, config, reading};

async fn fresh() -> Arc<dyn SessionCache> {
    let process = Process::start(&config(&Server::shared().url())).await;
    Arc::new(process.cache)
}

session_domain::session_cache_contract!(fresh);

/// A client of the server's own, to do there what no program of ours does.
async fn hand() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(Server::shared().url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn run(command: &mut redis::Cmd) {
    let () = command.query_async(&mut hand().await).await.unwrap();
}

fn place(prefix: &str, session: &Session) -> String {
    format!("{prefix}:session:{}:{}", session.tenant, session.id)
}

#[tokio::test]
async fn processes_share_readings_and_deployments_don_t() {
    let ours = config(&Server::shared().url());
    let (one, other) = (Process::start(&ours).await, Process::start(&ours).await);
    let stranger = Process::start(&config(&Server::shared().url())).await;
    let session = reading(1, 3);
    one.put(&session).await;
    assert_eq!(other.get(&session).await, Some(session.clone()));
    assert_eq!(stranger.get(&session).await, None);
    other.put(&reading(1, 2)).await;
    assert_eq!(one.get(&session).await, Some(session));
    assert_eq!(other.count("session_cache_writes_total", "outdated"), 1);
    assert_eq!(other.count("session_cache_reads_total", "hit"), 1);
    assert_eq!(stranger.count("session_cache_reads_total", "miss"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_race_leave_the_newest() {
    let ours = config(&Server::shared().url());
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(Arc::new(Process::start(&ours).await));
    }
    for session in 0..30 {
        let puts = (1..=16).map(|version| {
            let process = Arc::clone(&processes[version % 4]);
            let version = u64::try_from(version * 7 % 17).unwrap();
            tokio::spawn(async move { process.put(&reading(session, version)).await })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap();
        }
        let newest = reading(session, 16);
        for process in &processes {
            assert_eq!(process.get(&newest).await, Some(newest.clone()));
        }
    }
}

#[tokio::test]
async fn a_reading_goes_by_itself() {
    let ours = config(&Server::shared().url());
    let process = Process::start(&ours).await;
    let session = reading(1, 1);
    process.put(&session).await;
    let key = place(ours.prefix.as_str(), &session);
    let left: i64 = redis::cmd("PTTL")
        .arg(&key)
        .query_async(&mut hand().await)
        .await
        .unwrap();
    assert!((1..=30_000).contains(&left), "{left}");

    // Where somebody made it stay, it isn't believed for longer than it was to live.
    run(redis::cmd("PERSIST").arg(&key)).await;
    process.clock.0.store(29, Ordering::Relaxed);
    assert!(process.get(&session).await.is_some());
    process.clock.0.store(31, Ordering::Relaxed);
    assert!(process.get(&session).await.is_none());
    assert_eq!(process.count("session_cache_reads_total", "stale"), 1);
}

#[tokio::test]
async fn what_is_no_reading_is_a_miss_and_counted() {
    let ours = config(&Server::shared().url());
    let (process, writer) = (Process::start(&ours).await, Process::start(&ours).await);
    let session = reading(1, 1);
    let key = place(ours.prefix.as_str(), &session);
    writer.put(&session).await;
    let whole: Vec<u8> = redis::cmd("GET")
        .arg(&key)
        .query_async(&mut hand().await)
        .await
        .unwrap();
    let mut newer_format = whole.clone();
    newer_format[1] = 200;
    let mut forged = whole.clone();
    let place = forged.len() - 3;
    forged[place] ^= 1;

    let values: [(&[u8], &str); 6] = [
        (&whole[..whole.len() - 1], "corrupt"),
        (&whole[..10], "corrupt"),
        (&forged, "corrupt"),
        (b"{\"somebody\":\"else's\"}", "corrupt"),
        (&newer_format, "unknown_format"),
        (&vec![b'S'; 1_000_000], "oversized"),
    ];
    for (value, outcome) in values {
        let before = process.count("session_cache_reads_total", outcome);
        run(redis::cmd("SET").arg(&key).arg(value)).await;
        assert_eq!(process.get(&session).await, None);
        let counted = process.count("session_cache_reads_total", outcome);
        assert_eq!(counted, before + 1, "{outcome}");
        // It has no end, so it is nobody's of ours, whatever version it claims: it makes way.
        process.put(&session).await;
        assert_eq!(process.get(&session).await, Some(session.clone()));
    }
    // Not even a text.
    run(redis::cmd("DEL").arg(&key)).await;
    run(redis::cmd("LPUSH").arg(&key).arg("x")).await;
    assert_eq!(process.get(&session).await, None);
    assert!(process.redis.is_available(), "one key is no outage");
    process.put(&session).await;
    assert_eq!(process.get(&session).await, Some(session));
}

#[tokio::test]
async fn another_session_s_reading_is_not_shown_in_its_place() {
    let ours = config(&Server::shared().url());
    let (process, prefix) = (Process::start(&ours).await, ours.prefix.as_str());
    let (mine, yours) = (reading(1, 1), reading(2, 1));
    process.put(&mine).await;
    let (from, to) = (place(prefix, &mine), place(prefix, &yours));
    run(redis::cmd("COPY").arg(from).arg(to)).await;
    assert_eq!(process.get(&yours).await, None);
    assert_eq!(process.count("session_cache_reads_total", "corrupt"), 1);
}

#[tokio::test]
async fn what_is_too_long_is_not_put_and_no_error() {
    let process = Process::start(&config(&Server::shared().url())).await;
    let mut session = reading(1, 1);
    let long = "x".repeat(40_000);
    session.metadata.insert("long".into(), long.into());
    process.put(&session).await;
    assert_eq!(process.get(&session).await, None);
    assert_eq!(process.count("session_cache_writes_total", "oversized"), 1);
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let server = Server::start();
    let process = Process::start(&config(&server.url())).await;
    for version in 1..4 {
        assert_eq!(server.say("SCRIPT FLUSH"), "+OK");
        let session = reading(1, version);
        process.put(&session).await;
        assert_eq!(process.get(&session).await, Some(session));
    }
    assert!(process.redis.is_available());
}

#[tokio::test]
async fn debug_shows_neither_people_nor_the_password() {
    let server = Server::start_with(&["--requirepass", "hunter2"]);
    let config = config(&server.url_as("default", "hunter2"));
    let process = Process::start(&config).await;
    process.put(&reading(1, 1)).await;
    let shown = format!("{config:?} {:?} {:?}", process.cache, process.limiter);
    assert!(shown.contains("available: true"), "{shown}");
    let name = sample::session().user;
    assert!(
        !shown.contains("hunter2") && !shown.contains(name.as_str()),
        "{shown}"
    );
}
