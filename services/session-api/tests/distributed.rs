//! The processes apart, as the real programs: `session-api`, `session-validator` and
//! `session-reaper` over a real PostgreSQL and a real NATS server.

mod support;

use std::process::Output;
use std::time::Duration;

use futures::future::join_all;
use session_testkit::servers::{Nats, Postgres};

use support::{Deployment, KEY, Program, api_command, output, settings};

/// How many sessions live and die at once.
const SESSIONS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_accepted_once_its_end_was_answered() {
    let (postgres, nats) = (Postgres::start(), Nats::start());
    let database = postgres.empty();
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(&database.url(), &nats.url(), folder.path());
    let migrated = output(api_command(&settings).arg("migrate"));
    assert!(migrated.status.success(), "{migrated:?}");
    let deployment = Deployment::start(&settings).await;

    let lives = (0..SESSIONS).map(|number| {
        let deployment = &deployment;
        async move {
            let (id, token) = deployment.sign_in(&format!("user-{number}")).await;
            let before = deployment.validate(&token).await;
            let ended = deployment.end(&id).await;
            (before, ended, deployment.validate(&token).await)
        }
    });
    let lives = join_all(lives).await;
    assert_eq!(lives, vec![(200, 204, 401); SESSIONS]);

    assert!(deployment.stop(), "every process stops by itself when told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_time_ends_the_reaper_ends() {
    let (postgres, nats) = (Postgres::shared(), Nats::start());
    let database = postgres.empty();
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(&database.url(), &nats.url(), folder.path());
    settings.push(("SESSION_SESSION__ABSOLUTE_LIFETIME".into(), "5s".into()));
    let migrated = output(api_command(&settings).arg("migrate"));
    assert!(migrated.status.success(), "{migrated:?}");
    let deployment = Deployment::start(&settings).await;
    let (id, token) = deployment.sign_in("alice").await;
    assert_eq!(deployment.validate(&token).await, 200);
    deployment.eventually_expired(&id).await;
    assert_eq!(deployment.validate(&token).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_at_the_start_is_waited_for() {
    let (mut postgres, mut nats) = (Postgres::start(), Nats::down(""));
    // One that stays when the server is killed, and when nothing holds on to it.
    let database = postgres.url("postgres");
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(&database, &nats.url(), folder.path());
    assert!(
        output(api_command(&settings).arg("migrate"))
            .status
            .success()
    );
    postgres.kill();

    let api = Program::start(api_command(&settings));
    assert_eq!(api.ready().await, 503, "nobody is reached yet");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(api.ready().await, 503, "it goes on trying");
    postgres.restart();
    nats.restart();
    api.eventually_ready().await;
}

#[test]
fn what_waiting_does_not_mend_is_refused_and_said() {
    let (postgres, nats) = (Postgres::shared(), "nats://127.0.0.1:1");
    let folder = tempfile::tempdir().expect("a folder");
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let database = postgres.empty();
    let fresh = settings(&database.url(), nats, folder.path());
    let refused = output(&mut api_command(&fresh));
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("session-api migrate"),
        "{refused:?}"
    );

    let absent = settings(&postgres.url("absent"), nats, folder.path());
    let refused = output(&mut api_command(&absent));
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("refused"), "{refused:?}");

    let mut mistaken = settings("mysql://root:hunter2@db/x", nats, folder.path());
    mistaken.push(("SESSION_DATABASE__CONNECTIONS".into(), "0".into()));
    let refused = output(&mut api_command(&mistaken));
    assert_eq!(refused.status.code(), Some(64));
    let said = said(&refused);
    assert!(
        said.contains("database.url") && said.contains("database.connections"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_key_is_made_on_the_command_line() {
    let (postgres, nats) = (Postgres::shared(), Nats::start());
    let database = postgres.empty();
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(&database.url(), &nats.url(), folder.path());
    assert!(
        output(api_command(&settings).arg("migrate"))
            .status
            .success()
    );
    let arguments = [
        "add-service-key",
        "--name",
        "shop",
        "--scope",
        "sessions:create",
    ];
    let made = output(api_command(&settings).args(arguments));
    assert!(made.status.success(), "{made:?}");
    let key = String::from_utf8(made.stdout).expect("text");
    assert!(key.starts_with("ssk_") && key.trim() != KEY);
    let api = Program::start(api_command(&settings));
    api.eventually_ready().await;
    assert_eq!(api.sign_in_with(key.trim(), "alice").await, 201);
    assert_eq!(api.sign_in_with("ssk_wrong", "alice").await, 401);
}
