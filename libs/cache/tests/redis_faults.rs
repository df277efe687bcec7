//! A Redis server that is emptied, killed, stopped, set back or never there costs speed, and not
//! much of it.

mod support;

use std::time::Duration;

use session_cache::RedisConfig;
use session_domain::port::{Budget, RateLimiter, Spent};
use session_testkit::servers::Redis as Server;

use support::{PATIENCE, Process, config, eventually, reading, timed};

const BUDGET: Budget = Budget {
    name: "test",
    amount: 1_000_000,
    window: Duration::from_secs(600),
};

/// What calls may take in sum where a call that waits takes 100 ms and almost none may wait.
const FAST: Duration = Duration::from_secs(1);

/// As processes are configured, but for a machine that is busy with other tests.
fn impatient(server: &Server) -> RedisConfig {
    RedisConfig {
        timeout: Duration::from_millis(100),
        ..config(&server.url())
    }
}

async fn left(process: &Process) -> u32 {
    match process.limiter.spend(&BUDGET, "a").await {
        Ok(Spent::Within { left }) => left,
        other => panic!("{other:?}"),
    }
}

/// Uses it as a busy process does, a hundred times.
async fn use_it(process: &Process) {
    for number in 0..50 {
        process.put(&reading(1_000 + number, 1)).await;
        process.get(&reading(1_000 + number, 1)).await;
        left(process).await;
    }
}

/// Uses it until it works there again.
async fn eventually_works(process: &Process) {
    let session = reading(7, 7);
    eventually(async || {
        process.put(&session).await;
        process.get(&session).await
    })
    .await;
}

#[tokio::test]
async fn emptied_it_forgets_and_goes_on() {
    let server = Server::start();
    let process = Process::start(&config(&server.url())).await;
    let session = reading(1, 1);
    process.put(&session).await;
    left(&process).await;
    assert_eq!(server.say("FLUSHALL"), "+OK");
    assert_eq!(process.get(&session).await, None);
    assert_eq!(left(&process).await, BUDGET.amount - 1, "a new count");
    process.put(&session).await;
    assert_eq!(process.get(&session).await, Some(session));
    assert_eq!(process.count("session_redis_failures_total", ""), 0);
}

#[tokio::test]
async fn killed_it_is_done_without_and_back_it_is_used_again() {
    let mut server = Server::start();
    let process = Process::start(&impatient(&server)).await;
    eventually_works(&process).await;
    for _ in 0..2 {
        server.kill();
        let ((), took) = timed(use_it(&process)).await;
        assert!(took < FAST, "{took:?}");
        assert!(!process.redis.is_available());
        assert!(process.count("session_limiter_fallbacks_total", "") >= 49);
        assert_eq!(process.count("session_redis_available", ""), 0);
        server.restart();
        process.eventually_available(true).await;
        eventually_works(&process).await;
    }
    assert_eq!(process.count("session_redis_available", ""), 1);
}

#[tokio::test]
async fn stopped_in_its_tracks_it_holds_nobody_up() {
    let server = Server::start();
    let process = Process::start(&impatient(&server)).await;
    eventually_works(&process).await;
    let before = left(&process).await;
    server.stop();
    let ((), took) = timed(use_it(&process)).await;
    // One call waited for it.
    assert!(
        took >= Duration::from_millis(100) && took < FAST,
        "{took:?}"
    );
    assert!(process.count("session_redis_failures_total", "timeout") >= 1);
    // Probes don't hold anybody up either.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ((), took) = timed(use_it(&process)).await;
    assert!(took < Duration::from_millis(100), "{took:?}");
    server.resume();
    process.eventually_available(true).await;
    eventually_works(&process).await;
    assert!(left(&process).await < before, "the count was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_held_up_together_and_not_one_after_the_other() {
    let server = Server::start();
    let process = std::sync::Arc::new(Process::start(&impatient(&server)).await);
    eventually_works(&process).await;
    server.stop();
    let crowd = (0..500).map(|number| {
        let process = std::sync::Arc::clone(&process);
        tokio::spawn(async move { process.get(&reading(number, 1)).await })
    });
    let crowd = crowd.collect::<Vec<_>>();
    let (found, took) = timed(async {
        let mut found = 0;
        for one in crowd {
            found += usize::from(one.await.unwrap().is_some());
        }
        found
    })
    .await;
    assert_eq!(found, 0);
    assert!(took < FAST, "{took:?}");
    server.resume();
}

#[tokio::test]
async fn not_there_at_the_start_it_is_used_once_it_is() {
    let mut server = Server::down(&[]);
    let (process, took) = timed(Process::start(&impatient(&server))).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(!process.redis.is_available());
    let ((), took) = timed(use_it(&process)).await;
    assert!(took < FAST, "{took:?}");
    server.restart();
    process.eventually_available(true).await;
    eventually_works(&process).await;
}

#[tokio::test]
async fn set_back_to_an_older_copy_it_doesn_t_take_a_process_back_behind_its_own_changes() {
    let mut server = Server::start();
    let config = impatient(&server);
    let (writer, other) = (Process::start(&config).await, Process::start(&config).await);
    let (old, new) = (reading(1, 1), reading(1, 2));
    writer.put(&old).await;
    assert_eq!(server.say("SAVE"), "+OK");
    writer.put(&new).await;
    assert_eq!(other.get(&new).await, Some(new.clone()));

    server.restart();
    for process in [&writer, &other] {
        left(process).await;
        process.eventually_available(true).await;
        eventually_works(process).await;
    }
    assert_eq!(writer.get(&new).await, None, "it has put a newer one");
    assert_eq!(writer.count("session_cache_reads_total", "outdated"), 1);
    // Others see what was true a moment ago, as with any reading; that it isn't shown as alive
    // after its end is seen to by whoever looks (see `find.rs`).
    assert_eq!(other.get(&new).await, Some(old));
    writer.put(&new).await;
    assert_eq!(other.get(&new).await, Some(new.clone()));
    assert_eq!(writer.get(&new).await, Some(new));
}

#[tokio::test]
async fn what_a_process_could_not_put_it_does_not_see_undone() {
    let server = Server::start();
    let process = Process::start(&impatient(&server)).await;
    let (old, new) = (reading(1, 1), reading(1, 2));
    process.put(&old).await;
    server.stop();
    process.put(&new).await;
    server.resume();
    process.eventually_available(true).await;
    // Stopped, the server had still taken what it was sent, or it had not.
    let seen = process.get(&old).await;
    assert!(seen.is_none() || seen == Some(new), "{seen:?}");
}

#[tokio::test]
async fn a_full_server_serves_what_it_can() {
    let server = Server::start();
    let process = Process::start(&config(&server.url())).await;
    let session = reading(1, 1);
    process.put(&session).await;
    assert_eq!(server.say("CONFIG SET maxmemory 1"), "+OK");
    process.put(&reading(2, 1)).await;
    assert_eq!(process.count("session_cache_writes_total", "reply"), 1);
    assert_eq!(process.get(&session).await, Some(session));
    left(&process).await;
    assert_eq!(process.count("session_limiter_fallbacks_total", ""), 1);
    assert!(process.redis.is_available(), "reading still helps");
}

#[tokio::test]
async fn a_replica_is_not_written_to_until_it_is_a_primary() {
    let server = Server::start();
    let process = Process::start(&config(&server.url())).await;
    assert_eq!(server.say("REPLICAOF 127.0.0.1 1"), "+OK");
    process.put(&reading(1, 1)).await;
    process.eventually_available(false).await;
    assert_eq!(server.say("REPLICAOF NO ONE"), "+OK");
    tokio::time::timeout(PATIENCE, process.eventually_available(true))
        .await
        .unwrap();
    eventually_works(&process).await;
}
