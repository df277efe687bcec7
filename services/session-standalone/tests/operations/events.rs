//! What other systems hear of, from the real program: every event in a file, once, in order, also
//! across kills; and what is deleted once it was kept for long enough.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::api::answer;
use crate::support::{Instance, SignedIn, login};
use reqwest::Method;
use serde_json::{Value, json};
use session_domain::event::Actor;
use session_domain::ids::TenantId;
use session_domain::port::{Clock, End, SessionStore, Targets, Why};
use session_domain::session::EndReason;
use session_runtime::clock::{SystemClock, SystemEntropy};
use session_store::SqliteStore;

const ISSUER: &str = "http://localhost:8080";

/// The file events go to.
fn file(dir: &Path) -> PathBuf {
    dir.join("events.jsonl")
}

fn start_with(dir: &Path, change: impl FnOnce(&mut Command)) -> Instance {
    let events = file(dir);
    Instance::start_with(&dir.join("data"), |command| {
        command
            .env("SESSION_ISSUER", ISSUER)
            .env("SESSION_EVENTS__FILE", events);
        change(command);
    })
}

fn start(dir: &Path) -> Instance {
    start_with(dir, |_| {})
}

/// The whole lines of the file, read as they are now: somebody is writing.
fn told(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file(dir)).unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |last| last + 1);
    let line = |line| serde_json::from_str(line).expect("a line is JSON");
    text[..whole].lines().map(line).collect()
}

/// Takes the first of each id, as those who listen do.
fn once(events: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let first = |event: &Value| seen.insert(event["id"].as_str().expect("an id").to_owned());
    events.into_iter().filter(first).collect()
}

/// Waits until the file says so.
async fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let waiting = async {
        while !happens() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "{what}");
}

/// What was told of a session, in its order.
fn of(events: &[Value], id: &str) -> Vec<Value> {
    let about = |event: &&Value| event["subject"] == id;
    events.iter().filter(about).cloned().collect()
}

fn types(events: &[Value]) -> Vec<String> {
    let kind = |event: &Value| event["type"].as_str().expect("a type").to_owned();
    events.iter().map(kind).collect()
}

fn number(event: &Value) -> u64 {
    event["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_sessions_life_is_told_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = start(dir.path());
    let session = instance.sign_in("alice").await;
    let other = instance.sign_in("bob").await;
    let refreshed: Value = instance
        .refresh(&session.refresh)
        .await
        .json()
        .await
        .unwrap();
    let access = refreshed["access_token"].as_str().unwrap().to_owned();
    let path = format!("/sessions/{}/extend", session.id);
    let extend = instance.user(&access, Method::POST, &path);
    let extended = answer(extend.json(&json!({})), 200).await;
    let path = format!("/sessions/{}/step-up", session.id);
    let step_up = instance.service(Method::POST, &path);
    let body = json!({ "amr": ["pwd", "otp"], "acr": "aal2" });
    answer(step_up.json(&body), 200).await;
    assert_eq!(instance.end(&session.id).await, 204);
    // Ending what has ended changes nothing, so there is nothing to tell.
    assert_eq!(instance.end(&session.id).await, 204);

    eventually("the end is told", || {
        of(&told(dir.path()), &session.id).len() >= 5
    })
    .await;
    assert!(instance.terminate().success());
    let all = told(dir.path());
    assert_eq!(
        once(all.clone()),
        all,
        "nothing is told twice without a reason"
    );
    assert!(all.is_sorted_by(|one, next| number(one) < number(next)));
    let told_of = of(&all, &session.id);
    let expected = [
        "session.started",
        "session.refreshed",
        "session.extended",
        "session.stepped_up",
        "session.ended",
    ];
    assert_eq!(types(&told_of), expected);
    assert_eq!(types(&of(&all, &other.id)), ["session.started"]);
    for event in &told_of {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], ISSUER);
        assert_eq!(event["tenant"], "default");
        assert_eq!(event["datacontenttype"], "application/json");
        assert_eq!(event["data"]["user"], "alice");
        let time = event["time"].as_str().unwrap();
        let rfc3339 = &time::format_description::well_known::Rfc3339;
        assert!(time::OffsetDateTime::parse(time, rfc3339).is_ok(), "{time}");
    }
    assert_eq!(told_of[1]["data"]["generation"], 1);
    let moment = |text: &Value| {
        let rfc3339 = &time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::parse(text.as_str().unwrap(), rfc3339).unwrap()
    };
    let until = &told_of[2]["data"]["expires_at"];
    assert_eq!(moment(until), moment(&extended["expires_at"]));
    assert_eq!(told_of[2]["data"]["actor"]["session"], session.id.as_str());
    assert_eq!(told_of[3]["data"]["acr"], "aal2");
    assert_eq!(told_of[4]["data"]["reason"], "revoked_by_admin");
    assert_eq!(told_of[4]["data"]["actor"]["kind"], "service");
}

#[tokio::test]
async fn events_say_nothing_of_addresses_devices_or_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = start(dir.path());
    let mut body = login("alice");
    body["device_name"] = json!("Zoë’s laptop");
    body["metadata"] = json!({ "plan": "very-secret-plan" });
    let created: Value = instance.create(body).await.json().await.unwrap();
    let session = SignedIn::from(&created);
    let path = format!("/sessions/{}", session.id);
    let revoke = instance.service(Method::POST, &format!("{path}/revoke"));
    let body = json!({ "reason": "seen at 198.51.100.7" });
    let status = revoke.json(&body).send().await.unwrap().status();
    assert!(status.is_success(), "{status}");
    eventually("the end is told", || {
        of(&told(dir.path()), &session.id).len() >= 2
    })
    .await;
    assert!(instance.terminate().success());
    let text = std::fs::read_to_string(file(dir.path())).unwrap();
    for secret in [
        "192.0.2.10",
        "198.51.100.7",
        "Firefox",
        "Mozilla",
        "Zoë",
        "very-secret-plan",
        &session.access,
        &session.refresh,
        &session.cookie,
        &instance.service_key,
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// What was answered, by session: how many events it must have, and whether it has ended.
type Answered = Arc<Mutex<BTreeMap<String, Vec<&'static str>>>>;

/// Works until the program stops answering, noting only what it answered.
async fn work(instance: Arc<Instance>, user: String, answered: Answered) {
    let note = |id: &str, kind| {
        let mut answered = answered.lock().unwrap();
        answered.entry(id.to_owned()).or_default().push(kind);
    };
    loop {
        let create = instance.request(Method::POST, "/api/v1/sessions");
        let create = create
            .bearer_auth(&instance.service_key)
            .json(&login(&user));
        let Ok(response) = create.send().await else {
            return;
        };
        let Ok(body) = response.json::<Value>().await else {
            return;
        };
        let session = SignedIn::from(&body);
        note(&session.id, "session.started");
        let refresh = instance.request(Method::POST, "/api/v1/sessions/refresh");
        let body = json!({ "refresh_token": session.refresh });
        let Ok(response) = refresh.json(&body).send().await else {
            return;
        };
        if response.json::<Value>().await.is_err() {
            return;
        }
        note(&session.id, "session.refreshed");
        let path = format!("/api/v1/sessions/{}", session.id);
        let end = instance.request(Method::DELETE, &path);
        match end.bearer_auth(&instance.service_key).send().await {
            Ok(response) if response.status() == 204 => note(&session.id, "session.ended"),
            _ => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_any_moment_lose_no_event_and_disorder_none() {
    let dir = tempfile::tempdir().unwrap();
    let answered = Answered::default();
    for round in 0..4_u64 {
        let instance = Arc::new(start(dir.path()));
        let before = told(dir.path()).len();
        let workers: Vec<_> = (0..6)
            .map(|n| {
                work(
                    Arc::clone(&instance),
                    format!("u{n}"),
                    Arc::clone(&answered),
                )
            })
            .map(tokio::spawn)
            .collect();
        eventually("it tells while it works", || {
            told(dir.path()).len() > before + 40
        })
        .await;
        tokio::time::sleep(Duration::from_millis(23 * round)).await;
        let pid = i32::try_from(instance.pid()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        for worker in workers {
            worker.await.unwrap();
        }
    }
    let mut instance = start(dir.path());
    let last = instance.sign_in("last").await;
    eventually("it has caught up", || {
        !of(&told(dir.path()), &last.id).is_empty()
    })
    .await;
    assert!(instance.terminate().success());

    let events = once(told(dir.path()));
    assert!(events.is_sorted_by(|one, next| number(one) < number(next)));
    let answered = std::mem::take(&mut *answered.lock().unwrap());
    assert!(answered.len() > 50, "{}", answered.len());
    for (id, done) in answered {
        let told = types(&of(&events, &id));
        // What was done and not answered is told, too.
        assert!(told.len() >= done.len(), "{id}: {told:?} of {done:?}");
        assert_eq!(told[..done.len()], done, "{id}");
    }
}

/// Ends a session as if it had been a long time ago. The program must not run.
async fn end_long_ago(dir: &Path, id: &str) {
    let path = dir.join("data").join("sessions.db");
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let store = SqliteStore::open(&path, clock, entropy).await.unwrap();
    let end = End {
        targets: Targets::One {
            tenant: TenantId::default(),
            id: id.parse().unwrap(),
        },
        why: Why::Because {
            reason: EndReason::Logout,
            note: None,
        },
        at: SystemClock.wall().minus(Duration::from_secs(200 * 86_400)),
        actor: Actor::System,
        batch: 1,
    };
    let ports: &dyn SessionStore = &store;
    assert_eq!(ports.apply(end).await.unwrap().ended.len(), 1);
    store.close().await.unwrap();
}

/// A validator that joins knows of an end by the row alone. It is there for as long as a token of
/// the session may be within its own time, however long ago it ended.
#[tokio::test]
async fn a_validator_that_joins_after_a_purge_refuses_every_token_that_could_still_be_good() {
    let dir = tempfile::tempdir().unwrap();
    let impatient = |command: &mut Command| {
        command
            .env("SESSION_RETENTION__SESSIONS", "1h")
            .env("SESSION_RETENTION__EVERY", "100ms");
    };
    let mut instance = start_with(dir.path(), impatient);
    let ended = instance.sign_in("alice").await;
    let kept = instance.sign_in("alice").await;
    assert_eq!(instance.validate_cookie(&ended.cookie).await, 200);
    assert!(instance.terminate().success());
    end_long_ago(dir.path(), &ended.id).await;

    let mut purging = start_with(dir.path(), impatient);
    // Two looks for what may go: the second begins after the first is complete.
    let looks = async |instance: &Instance| -> u64 {
        let metrics = instance.http.get(format!("{}/metrics", instance.private));
        let text = metrics.send().await.unwrap().text().await.unwrap();
        let found = text
            .lines()
            .find(|line| line.starts_with("session_reaper_purges_total"));
        found.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    while looks(&purging).await < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(purging.terminate().success());

    let instance = start_with(dir.path(), impatient);
    assert_eq!(instance.validate_cookie(&ended.cookie).await, 401);
    assert_eq!(instance.validate_cookie(&kept.cookie).await, 200);
}
