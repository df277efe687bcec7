//! A validator in a process of its own, as the real program, over a real NATS server: it hears of
//! every end before the end is answered, and never says yes without a lease.

mod support;

use std::time::Duration;

use rustix::process::Signal;
use session_domain::revocation::PAUSE_ALLOWANCE;
use session_testkit::servers::Nats;
use tokio::time::Instant;

use support::{Authority, ISSUER, LEASE, Validator, command, eventually};

/// What waiting for a lost validator may take on a busy machine beyond what it must.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ended_is_refused_by_every_validator_at_once() {
    let nats = Nats::start();
    let authority = Authority::start(&nats).await;
    let (mut one, two) = (Validator::ready(&nats).await, Validator::ready(&nats).await);
    for _ in 0..50 {
        let (id, token) = authority.sign_in().await;
        assert_eq!(
            [one.validate(&token).await, two.validate(&token).await],
            [200, 200]
        );
        let begun = Instant::now();
        authority.end(id).await;
        let took = begun.elapsed();
        assert!(
            took < LEASE,
            "nobody's acknowledgement was waited for in vain: {took:?}"
        );
        assert_eq!(
            [one.validate(&token).await, two.validate(&token).await],
            [401, 401]
        );
    }
    // One that leaves gives its lease up, and isn't waited for.
    let (id, token) = authority.sign_in().await;
    assert!(one.terminate());
    let begun = Instant::now();
    authority.end(id).await;
    assert!(begun.elapsed() < LEASE);
    assert_eq!(two.validate(&token).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_is_killed_while_it_is_waited_for_is_outlived() {
    let nats = Nats::start();
    let authority = Authority::start(&nats).await;
    let (killed, other) = (Validator::ready(&nats).await, Validator::ready(&nats).await);
    let (id, token) = authority.sign_in().await;
    assert_eq!(
        [killed.validate(&token).await, other.validate(&token).await],
        [200, 200]
    );
    // Held up first, so that it can't acknowledge before it is killed.
    killed.signal(Signal::STOP);
    let begun = Instant::now();
    let kills = async {
        tokio::time::sleep(LEASE / 4).await;
        killed.signal(Signal::KILL);
    };
    let ((), ()) = futures::future::join(authority.end(id), kills).await;
    let took = begun.elapsed();
    let least = LEASE + PAUSE_ALLOWANCE;
    assert!((least..least + SLACK).contains(&took), "{took:?}");
    assert_eq!(other.validate(&token).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_was_held_up_says_no_yes_that_is_too_late() {
    let nats = Nats::start();
    let authority = Authority::start(&nats).await;
    let validator = Validator::ready(&nats).await;
    let (id, token) = authority.sign_in().await;
    assert_eq!(validator.validate(&token).await, 200);
    validator.signal(Signal::STOP);
    let resumes = async {
        authority.end(id).await;
        validator.signal(Signal::CONT);
    };
    // The question waits at the door all the while. It was begun before the end, so the promise
    // would allow a yes; but its lease is over, and it gets the truth or nothing.
    let (status, ()) = futures::future::join(validator.validate(&token), resumes).await;
    assert!(matches!(status, 401 | 503), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nats_it_answers_until_its_lease_is_over_and_then_says_so() {
    let mut nats = Nats::start();
    let authority = Authority::start(&nats).await;
    let validator = Validator::ready(&nats).await;
    let (living, token) = authority.sign_in().await;
    let (ended, dead) = authority.sign_in().await;
    assert_eq!(validator.validate(&token).await, 200);

    tokio::task::block_in_place(|| nats.kill());
    let begun = Instant::now();
    let unavailable = async || match validator.validate(&token).await {
        200 => false,
        503 => true,
        other => panic!("neither yes nor unknown: {other}"),
    };
    eventually(unavailable).await;
    assert!(begun.elapsed() < LEASE + SLACK, "no yes after the lease");
    let answer = validator.ask(&token).await;
    assert!(answer.headers().contains_key("retry-after"));
    // Once ready, always ready: it is not the only one, and nobody would be left.
    assert_eq!(validator.readyz().await, 200);
    authority.end(ended).await;
    assert_eq!(validator.validate(&dead).await, 503);

    tokio::task::block_in_place(|| nats.restart());
    eventually(async || validator.validate(&token).await == 200).await;
    assert_eq!(
        validator.validate(&dead).await,
        401,
        "what it missed, it has learnt"
    );
    authority.end(living).await;
    assert_eq!(validator.validate(&token).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_ready_before_its_first_lease_and_can_be_stopped_all_the_same() {
    let mut nats = Nats::down("");
    let mut stopped = Validator::start(&nats);
    let validator = Validator::start(&nats);
    assert_eq!(
        (validator.readyz().await, stopped.readyz().await),
        (503, 503)
    );
    let begun = Instant::now();
    assert!(tokio::task::block_in_place(|| stopped.terminate()));
    assert!(begun.elapsed() < Duration::from_secs(5));

    tokio::task::block_in_place(|| nats.restart());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        validator.readyz().await,
        503,
        "nobody has granted anything yet"
    );
    let authority = Authority::start(&nats).await;
    eventually(async || validator.readyz().await == 200).await;
    let (_, token) = authority.sign_in().await;
    assert_eq!(validator.validate(&token).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_change_without_a_restart_and_a_mistake_leaves_the_old_ones_in_force() {
    let nats = Nats::start();
    let authority = Authority::start(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    let write_for = |issuer: &str, text: &str| {
        std::fs::write(&file, format!("issuer = \"{issuer}\"\n{text}")).unwrap();
    };
    let write = |text: &str| write_for(ISSUER, text);
    write("[policy.one]");
    let settings = [("SESSION_CONFIG", file.to_str().unwrap())];
    let validator = Validator::start_with(&nats, &settings);
    eventually(async || validator.readyz().await == 200).await;
    let (_, token) = authority.sign_in().await;
    let asked = async |policy| validator.ask_by(policy, &token).await.status().as_u16();
    assert_eq!((asked("one").await, asked("other").await), (200, 403));

    write("[policy.other]");
    eventually(async || asked("other").await == 200).await;
    assert_eq!((asked("one").await, asked("default").await), (403, 200));

    // Both mistakes are told, nothing is taken, and it stays ready.
    write("[policy.one]\ncookie = 5\n[policy.other]\nmax_age = \"soon\"");
    let note = async || validator.private("/readyz").await.text().await.unwrap();
    eventually(async || note().await.contains("policy.one.cookie")).await;
    assert!(note().await.contains("policy.other.max_age"));
    assert_eq!(validator.readyz().await, 200);
    assert_eq!((asked("one").await, asked("other").await), (403, 200));
    let metrics = validator.private("/metrics").await.text().await.unwrap();
    for result in ["taken", "refused"] {
        let counted = format!("result=\"{result}\"");
        let line = metrics.lines().find(|line| {
            line.starts_with("session_validator_policy_reloads") && line.contains(&counted)
        });
        assert!(line.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
    }

    write("[policy.one]");
    eventually(async || asked("one").await == 200).await;
    assert!(!note().await.contains("notes"));

    // Another issuer is for the next start: the tokens that are about aren't of that one.
    write_for("https://moved.example", "[policy.moved]");
    eventually(async || asked("moved").await != 403).await;
    assert_eq!((asked("moved").await, asked("default").await), (200, 200));

    // A change that doesn't show is taken when told.
    write("[policy.one]");
    eventually(async || asked("one").await == 200).await;
    let before = std::fs::metadata(&file).unwrap();
    write("[policy.two]");
    let changed = std::fs::File::options().write(true).open(&file).unwrap();
    changed.set_modified(before.modified().unwrap()).unwrap();
    validator.signal(Signal::HUP);
    eventually(async || asked("two").await == 200).await;
    assert_eq!(asked("one").await, 403);
}

#[test]
fn mistakes_in_the_configuration_are_told_at_once_with_64() {
    let output = command(&[("SESSION_VALIDATOR__LISTEN", "nowhere")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    for part in ["3 mistakes", "validator.listen", "issuer", "nats.url"] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
}

#[test]
fn credentials_that_nats_refuses_are_said_and_not_shown() {
    let nats = Nats::start_with("authorization { user: validator, password: right }");
    let url = nats.url_as("validator", "wr0ng");
    let settings = [
        ("SESSION_ISSUER", "https://s.example"),
        ("SESSION_NATS__URL", &url),
        ("SESSION_VALIDATOR__LISTEN", "127.0.0.1:0"),
        ("SESSION_GRPC__LISTEN", "127.0.0.1:0"),
        ("SESSION_PRIVATE__LISTEN", "127.0.0.1:0"),
    ];
    let output = command(&settings).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("NATS refuses the credentials") && !said.contains("wr0ng"),
        "{said}"
    );
}
