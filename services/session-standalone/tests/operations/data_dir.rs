//! The folder with the data: one process at a time, and what can't be read is left alone.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Instance, command, files, login, refused};

/// The database's bytes: the lock file beside it may come and go.
fn database(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    files(dir)
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|ext| ext == "db"))
        .collect()
}

#[tokio::test]
async fn two_instances_run_side_by_side_but_not_on_one_folder() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Instance::start(one.path());
    let second = Instance::start(two.path());
    let session = first.sign_in("alice").await;
    assert_eq!(first.validate(&session.access).await, 200);
    assert_eq!(
        second.validate(&session.access).await,
        401,
        "another deployment's token"
    );

    let output = refused(command(one.path()));
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("already in use") || said.contains("another process"),
        "{said}"
    );
    assert_eq!(
        first.validate(&session.access).await,
        200,
        "the first goes on"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_untouched() {
    let dir = tempfile::tempdir().unwrap();
    drop(Instance::start(dir.path()));
    let (path, _) = database(dir.path()).pop().expect("a database");
    let noise: Vec<u8> = (0..8_192_u32)
        .map(|n| u8::try_from(n * 7 % 251).unwrap())
        .collect();
    std::fs::write(&path, &noise).unwrap();
    let before = database(dir.path());

    let output = refused(command(dir.path()));
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(path.file_name().unwrap().to_str().unwrap()),
        "names the file: {said}"
    );
    assert_eq!(database(dir.path()), before);
}

#[tokio::test]
async fn what_is_secret_is_readable_by_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let mut secret = vec![
        dir.path().join("service-key"),
        dir.path().join("sessions.db"),
    ];
    secret.extend(
        files(&dir.path().join("secrets"))
            .into_iter()
            .map(|(path, _)| path),
    );
    assert!(secret.len() >= 4, "{secret:?}");
    for path in secret {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    assert!(instance.service_key.starts_with("ssk_"));
}

#[tokio::test]
async fn a_service_key_of_the_operators_choice_is_taken_and_a_weak_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut weak = command(dir.path());
    weak.env("SESSION_BOOTSTRAP_KEY", "ssk_hunter2");
    let output = refused(weak);
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("bootstrap_key") && !said.contains("hunter2"),
        "{said}"
    );

    let key = format!("ssk_{}", "0123456789abcdef".repeat(4));
    let instance = Instance::start_with(dir.path(), |command| {
        command.env("SESSION_BOOTSTRAP_KEY", &key);
    });
    let request = instance
        .request(reqwest::Method::POST, "/api/v1/sessions")
        .bearer_auth(&key);
    let response = request.json(&login("alice")).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 201);
}

#[tokio::test]
async fn every_mistake_in_the_configuration_is_told_at_once_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut wrong = command(&data);
    wrong.args(["--set", "reaper.batch=many"]);
    wrong
        .env("SESSION_ISSUER", "ftp://x")
        .env("SESSION_LEASE", "9 parsecs")
        .env("SESSION_LAESE", "5s");
    let output = refused(wrong);
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for expected in ["many", "issuer", "lease", "SESSION_LAESE"] {
        assert!(said.contains(expected), "{expected} is missing in: {said}");
    }
    assert!(
        !data.exists(),
        "nothing is made before the configuration is good"
    );
    let mut good = command(&data);
    good.arg("check");
    let output = refused(good);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!data.exists(), "a check makes nothing");
}
