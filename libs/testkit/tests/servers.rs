//! Private servers start, suffer what tests do to them, and leave nothing behind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use session_testkit::servers::{Nats, Postgres, Redis};

fn hello(address: SocketAddr, say: &[u8]) -> Option<u8> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .ok()?;
    stream.write_all(say).ok()?;
    let mut first = [0];
    stream.read_exact(&mut first).ok()?;
    Some(first[0])
}

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[test]
fn a_nats_server_is_killed_stopped_resumed_and_started_again() {
    let mut nats = Nats::start();
    assert_eq!(hello(nats.address(), b""), Some(b'I'));
    nats.stop();
    // Told isn't stopped: it may still answer once or twice.
    while hello(nats.address(), b"").is_some() {}
    nats.resume();
    assert_eq!(hello(nats.address(), b""), Some(b'I'));
    nats.kill();
    assert_eq!((hello(nats.address(), b""), nats.pid()), (None, None));
    nats.restart();
    assert_eq!(hello(nats.address(), b""), Some(b'I'));
    let (pid, folder) = (nats.pid().unwrap(), nats.folder().to_owned());
    drop(nats);
    assert!(!runs(pid) && !folder.exists());
}

#[test]
fn a_redis_server_answers_and_comes_back_empty() {
    let mut redis = Redis::start();
    assert_eq!(hello(redis.address(), b"SET a 1\r\n"), Some(b'+'));
    assert_eq!(hello(redis.address(), b"DEL a\r\n"), Some(b':'));
    redis.restart();
    assert_eq!(hello(redis.address(), b"PING\r\n"), Some(b'+'));
}

fn query(url: &str, statement: &str) -> String {
    let output = Command::new("psql")
        .args(["-X", "-q", "-t", "-A", "-c", statement, url])
        .output()
        .expect("psql");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_postgres_server_copies_templates_and_keeps_what_was_committed() {
    let fill = |url: &str| {
        query(url, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    };
    let shared = Postgres::shared();
    let (one, two) = (
        shared.copy_of("t", fill),
        shared.copy_of("t", |_| unreachable!()),
    );
    query(&one.url(), "INSERT INTO t VALUES (2)");
    assert_eq!(query(&one.url(), "SELECT count(*) FROM t"), "2");
    assert_eq!(query(&two.url(), "SELECT count(*) FROM t"), "1");

    let mut own = Postgres::start();
    let url = own.url("postgres");
    fill(&url);
    own.restart();
    assert_eq!(query(&url, "SELECT n FROM t"), "1");
}

/// What `setpriv` is there for. The process that is killed is this test program again.
#[test]
fn a_killed_test_process_takes_its_servers_along() {
    const CHILD: &str = "TESTKIT_SERVERS_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let (nats, postgres) = (Nats::start(), Postgres::start());
        println!("\npids {} {}", nats.pid().unwrap(), postgres.pid().unwrap());
        std::process::abort();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "a_killed_test_process_takes_its_servers_along",
        ])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("pids "))
        .expect(&said);
    for pid in line.split(' ').map(|pid| pid.parse().unwrap()) {
        // They are no children of ours to wait for.
        let gone = (0..500).any(|_| {
            let runs = runs(pid);
            if runs {
                let _ = Command::new("sleep").arg("0.01").status();
            }
            !runs
        });
        assert!(gone, "{pid} runs on");
    }
}
