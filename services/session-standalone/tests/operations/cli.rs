//! `sessionctl` against a running instance: what it prints, and what it ends with. It runs within
//! this process, for cargo builds other packages' programs for no test.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::support::{Instance, login};
use serde_json::Value;
use sessionctl::{Environment, Exit, run};

/// How a command ended, and what it printed.
struct Done {
    exit: Exit,
    out: String,
    err: String,
}

impl Done {
    fn json(&self) -> Value {
        assert_eq!(self.exit, Exit::Done, "{}", self.err);
        serde_json::from_str(&self.out).expect("JSON")
    }

    /// What it printed, having succeeded.
    fn text(&self) -> &str {
        assert_eq!(self.exit, Exit::Done, "{}", self.err);
        assert_eq!(self.err, "");
        &self.out
    }
}

async fn sessionctl_in(environment: Environment, args: &[&str]) -> Done {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("sessionctl").chain(args.iter().copied());
    let never = std::future::pending();
    let exit = run(args, environment, &mut out, &mut err, never).await;
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Done {
        exit,
        out: text(out),
        err: text(err),
    }
}

/// The command line as its operator has it: the instance's address and key in the environment.
fn environment(instance: &Instance) -> Environment {
    Environment {
        api: Some(instance.api.clone()),
        service_key: Some(instance.service_key.clone()),
        width: None,
    }
}

async fn sessionctl(instance: &Instance, args: &[&str]) -> Done {
    sessionctl_in(environment(instance), args).await
}

fn ids(page: &Value) -> Vec<&str> {
    let sessions = page["sessions"].as_array().expect("a list");
    sessions
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_users_sessions_are_listed_shown_and_ended() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let first = instance.sign_in("alice").await;
    let second = instance.sign_in("alice").await;
    instance.sign_in("bob").await;

    let listed = sessionctl(&instance, &["list", "--user", "alice"]).await;
    let lines: Vec<_> = listed.text().lines().collect();
    assert_eq!(lines.len(), 3, "{}", listed.out);
    assert!(lines[0].starts_with("ID "), "{}", lines[0]);
    assert!(lines[1].starts_with(&second.id) && lines[2].starts_with(&first.id));
    assert!(lines[1].contains("active") && lines[1].contains("Firefox on Linux"));

    let shown = sessionctl(&instance, &["show", &first.id]).await;
    let line = |name: &str| shown.text().lines().find(|line| line.starts_with(name));
    assert!(line("user ").is_some_and(|line| line.ends_with(" alice")));
    assert!(line("end reason").is_none());

    let ended = sessionctl(&instance, &["end", &first.id, "--reason", "lost telephone"]).await;
    assert!(ended.text().contains("revoked_by_admin"), "{}", ended.out);
    assert_eq!(instance.validate(&first.access).await, 401);
    assert_eq!(instance.validate(&second.access).await, 200);

    let args = ["--json", "list", "--user", "alice", "--status", "revoked"];
    assert_eq!(ids(&sessionctl(&instance, &args).await.json()), [&first.id]);
    let args = ["list", "--user", "nobody-of-that-name"];
    assert_eq!(sessionctl(&instance, &args).await.text(), "No sessions.\n");
}

#[tokio::test]
async fn all_of_a_users_sessions_end_however_many_pages_they_fill() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    for _ in 0..61 {
        instance.sign_in("alice").await;
    }
    let other = instance.sign_in("bob").await;

    let all = sessionctl(&instance, &["--json", "list", "--user", "alice"]).await;
    assert_eq!(ids(&all.json()).len(), 61);
    let some = ["--json", "list", "--user", "alice", "--limit", "55"];
    let some = sessionctl(&instance, &some).await;
    assert_eq!(ids(&some.json()).len(), 55);
    assert!(some.err.contains("newest 55"), "{}", some.err);

    let args = ["end-all", "--user", "alice", "--reason", "left the company"];
    let ended = sessionctl(&instance, &args).await;
    assert_eq!(
        ended.text(),
        "61 sessions are over; no validator accepts them.\n"
    );
    let again = sessionctl(&instance, &args).await;
    assert_eq!(again.text(), "No session was active.\n");
    assert_eq!(instance.validate(&other.access).await, 200);

    // Whoever says nothing ends nothing, and a dry run shows.
    assert_eq!(sessionctl(&instance, &["end-all"]).await.exit, Exit::Usage);
    let args = ["end-all", "--tenant", "default", "--dry-run"];
    let shown = sessionctl(&instance, &args).await;
    assert!(shown.text().starts_with("1 session would end.\n"));
    assert!(shown.text().contains(&other.id), "{}", shown.text());
    assert_eq!(instance.validate(&other.access).await, 200);
    let ended = sessionctl(&instance, &["end-all", "--everything"]).await;
    assert_eq!(
        ended.text(),
        "1 session is over; no validator accepts it.\n"
    );
    assert_eq!(instance.validate(&other.access).await, 401);
}

#[tokio::test]
async fn counts_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    instance.sign_in("alice").await;
    instance.end(&session.id).await;
    let shown = sessionctl(&instance, &["stats"]).await;
    let count = |name: &str| {
        let line = shown.text().lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().next_back())
            .map(str::to_owned)
    };
    assert_eq!(count("active ").as_deref(), Some("1"));
    assert_eq!(count("created ").as_deref(), Some("2"));
    assert_eq!(
        count("ended_by_reason revoked_by_admin").as_deref(),
        Some("1")
    );
    let json = sessionctl(&instance, &["--json", "stats"]).await.json();
    assert_eq!(json["active"], 1);
}

#[tokio::test]
async fn validators_and_signing_keys_are_managed() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    let validators = sessionctl(&instance, &["--json", "validators"])
        .await
        .json();
    assert!(!validators["validators"].as_array().unwrap().is_empty());
    let shown = sessionctl(&instance, &["validators"]).await;
    assert!(shown.text().contains("LAG") && shown.text().contains("The log is at "));

    let keys = sessionctl(&instance, &["--json", "signing-keys", "list"])
        .await
        .json();
    let old = keys["keys"][0]["kid"].as_str().unwrap().to_owned();
    let rotated = sessionctl(&instance, &["signing-keys", "rotate"]).await;
    assert!(rotated.text().contains("every validator knows it"));
    assert_eq!(instance.validate(&session.access).await, 200);
    let listed = sessionctl(&instance, &["signing-keys", "list"]).await;
    assert_eq!(listed.text().lines().count(), 3, "{}", listed.out);

    let retired = sessionctl(&instance, &["signing-keys", "retire", &old]).await;
    assert!(retired.text().starts_with(&format!("{old} is withdrawn")));
    assert_eq!(instance.validate(&session.access).await, 401);
}

#[tokio::test]
async fn service_keys_are_made_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    instance.sign_in("alice").await;
    let args = [
        "service-keys",
        "new",
        "--name",
        "support",
        "--scope",
        "sessions:read",
    ];
    let made = sessionctl(&instance, &args).await;
    assert_eq!(made.exit, Exit::Done, "{}", made.err);
    assert!(made.out.starts_with("ssk_") && made.out.lines().count() == 1);
    assert!(!made.err.contains("ssk_"), "the key is in one place only");

    // By file, which goes before the environment.
    let file = dir.path().join("support-key");
    fs::write(&file, &made.out).unwrap();
    let file = file.to_str().unwrap();
    let read = ["--service-key-file", file, "list", "--user", "alice"];
    assert_eq!(sessionctl(&instance, &read).await.text().lines().count(), 2);
    let stats = sessionctl(&instance, &["--service-key-file", file, "stats"]).await;
    assert_eq!(stats.exit, Exit::Refused);
    assert!(stats.err.contains("insufficient_scope"), "{}", stats.err);

    let listed = sessionctl(&instance, &["--json", "service-keys", "list"])
        .await
        .json();
    let listed = listed["service_keys"].as_array().unwrap().clone();
    let support = listed.iter().find(|key| key["name"] == "support").unwrap();
    let id = support["id"].as_str().unwrap();
    sessionctl(&instance, &["service-keys", "remove", id])
        .await
        .text();
    let refused = sessionctl(&instance, &read).await;
    assert_eq!(refused.exit, Exit::Refused);
    assert!(!refused.err.contains("ssk_"));
}

#[tokio::test]
async fn scripts_can_tell_failures_apart() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let unknown = "018f0000-0000-7000-8000-000000000000";
    let missing = sessionctl(&instance, &["show", unknown]).await;
    assert_eq!((missing.exit.code(), missing.out.as_str()), (3, ""));
    for part in ["There is no such thing here.", "code not_found", "trace "] {
        assert!(missing.err.contains(part), "{}", missing.err);
    }
    let invalid = sessionctl(&instance, &["show", "not-an-id"]).await;
    assert_eq!(invalid.exit.code(), 1);
    assert!(invalid.err.contains("\n  id: must be"), "{}", invalid.err);

    for usage in [
        &["frobnicate"][..],
        &[],
        &["list"],
        &["show", ".."],
        &["watch", "--every", "0"],
    ] {
        assert_eq!(
            sessionctl(&instance, usage).await.exit.code(),
            2,
            "{usage:?}"
        );
    }
    let mut stranger = environment(&instance);
    stranger.service_key = Some(format!("ssk_{}", "x".repeat(43)));
    let refused = sessionctl_in(stranger, &["stats"]).await;
    assert_eq!(refused.exit.code(), 4);
    assert!(refused.err.contains("invalid_token"), "{}", refused.err);

    let mut nowhere = environment(&instance);
    nowhere.api = Some("http://127.0.0.1:9".into());
    let unreachable = sessionctl_in(nowhere, &["stats"]).await;
    assert_eq!(unreachable.exit.code(), 1);
    assert!(
        unreachable.err.contains("can't reach http://127.0.0.1:9/"),
        "{}",
        unreachable.err
    );

    let no_key = ["--service-key-file", "/nonexistent/key", "stats"];
    assert_eq!(sessionctl(&instance, &no_key).await.exit.code(), 1);
}

#[tokio::test]
async fn help_and_completion_need_no_service() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["list", "--help"],
        &["completion", "bash"],
    ] {
        let done = sessionctl_in(Environment::default(), args).await;
        assert!(done.text().contains("sessionctl"), "{args:?}");
        assert!(!done.out.contains('\u{1b}'));
    }
    let help = sessionctl_in(Environment::default(), &["--help"]).await;
    for part in ["SESSIONCTL_API", "SESSIONCTL_SERVICE_KEY", "3 not found"] {
        assert!(help.out.contains(part), "{}", help.out);
    }
}

#[tokio::test]
async fn what_a_user_wrote_moves_no_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let mut body = login("alice");
    body["user_agent"] = "evil\u{9b}2J bot".into();
    body["metadata"] = serde_json::json!({ "note": "\u{1b}[2J\u{202e}" });
    let started: Value = instance.create(body).await.json().await.unwrap();
    let id = started["session"]["id"].as_str().unwrap();
    for args in [
        &["show", id][..],
        &["list", "--user", "alice"],
        &["--json", "show", id],
    ] {
        let done = sessionctl(&instance, args).await;
        assert!(
            !done.text().contains(['\u{1b}', '\u{9b}', '\u{202e}']),
            "{}",
            done.out
        );
    }
}

/// Hands on what is written, so that a test can wait for it.
struct Lines(tokio::sync::mpsc::UnboundedSender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            // A test that has ended isn't interested.
            let _ = self.0.send(line.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn changes_are_told_until_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let first = instance.sign_in("alice").await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (interrupt, interrupted) = tokio::sync::oneshot::channel::<()>();
    let watch = async {
        let args = ["sessionctl", "watch", "--user", "alice", "--every", "1"];
        let (mut out, mut err) = (Lines(sender), Vec::new());
        let stop = async { interrupted.await.unwrap_or_default() };
        let exit = run(args, environment(&instance), &mut out, &mut err, stop).await;
        (exit, err)
    };
    let life = async {
        let mut next = async || told.recv().await.expect("something is told");
        let active = next().await;
        assert!(
            active.starts_with(&format!("active {}", first.id)),
            "{active}"
        );
        let second = instance.sign_in("alice").await;
        let started = next().await;
        assert!(
            started.starts_with(&format!("started {}", second.id)),
            "{started}"
        );
        instance.end(&first.id).await;
        let ended = next().await;
        let expected = format!("ended (revoked_by_admin) {}", first.id);
        assert!(ended.starts_with(&expected), "{ended}");
        interrupt.send(()).expect("it is still watching");
    };
    let together = async { tokio::join!(watch, life) };
    let done = tokio::time::timeout(Duration::from_secs(30), together).await;
    let ((exit, err), ()) = done.expect("in time");
    assert_eq!((exit, err), (Exit::Done, Vec::new()));
}

#[tokio::test]
async fn watching_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    instance.sign_in("alice").await;
    let watched = sessionctl(&instance, &["watch", "--for", "0"]).await;
    assert!(watched.text().contains("active 1\n"), "{}", watched.out);
    let watched = sessionctl(
        &instance,
        &["--json", "watch", "--every", "1", "--for", "1"],
    )
    .await;
    let lines: Vec<_> = watched.text().lines().collect();
    assert_eq!(lines.len(), 1, "nothing changed in the second round");
    let stats: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(stats["active"], 1);
}

#[tokio::test]
async fn the_documentation_names_every_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let help = sessionctl_in(Environment::default(), &["--help"]).await;
    let commands = help.text().lines().skip_while(|line| *line != "Commands:");
    let commands = commands.skip(1).take_while(|line| !line.is_empty());
    let mut count = 0;
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        count += 1;
        let named = text.contains(&format!("sessionctl {command}"));
        assert!(named || command == "help", "{command}");
    }
    assert!(count > 10, "{}", help.out);
}
