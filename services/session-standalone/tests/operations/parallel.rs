//! Many at once: what must hold however requests come in between each other.

use std::collections::BTreeSet;

use crate::support::api::answer;
use crate::support::{Instance, SignedIn, login};
use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const MANY: usize = 100;

/// The status and body of each answer; all asked at once.
async fn all(requests: impl IntoIterator<Item = RequestBuilder>) -> Vec<(u16, Value)> {
    let asked = requests.into_iter().map(async |request| {
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    });
    join_all(asked).await
}

/// How many were answered so, with this code where it is a refusal.
fn count(answers: &[(u16, Value)], status: u16, code: Option<&str>) -> usize {
    let fits = |(found, body): &&(u16, Value)| {
        *found == status && code.is_none_or(|code| body["code"] == code)
    };
    answers.iter().filter(fits).count()
}

async fn active(instance: &Instance, user: &str) -> BTreeSet<String> {
    let path = format!("/sessions/user/{user}/active?limit=50");
    let page = answer(instance.service(Method::GET, &path), 200).await;
    assert_eq!(page["next_cursor"], Value::Null);
    let sessions = page["sessions"].as_array().expect("sessions");
    let ids = sessions
        .iter()
        .map(|session| session["id"].as_str().expect("an id").to_owned());
    ids.collect()
}

/// The ids of those of these sessions whose tokens the validator accepts.
async fn accepted(instance: &Instance, sessions: &[SignedIn]) -> BTreeSet<String> {
    let asked = sessions.iter().map(async |session| {
        let status = instance.validate(&session.access).await;
        assert!([200, 401].contains(&status), "{status}");
        assert_eq!(instance.validate_cookie(&session.cookie).await, status);
        (status == 200).then(|| session.id.clone())
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Everything the log says so far has been heard once this returns: nobody waits for an eviction,
/// but an end is answered only when the validator has heard of all before it.
async fn everything_is_heard(instance: &Instance) {
    let other = instance.sign_in("somebody-else").await;
    assert_eq!(instance.end(&other.id).await, 204);
}

async fn limited(dir: &std::path::Path, eviction: &str) -> (Instance, Vec<(u16, Value)>) {
    let instance = Instance::start_with(dir, |command| {
        command
            .env("SESSION_SESSION__MAX_PER_USER", "5")
            .env("SESSION_SESSION__EVICTION", eviction);
    });
    let logins = (0..MANY).map(|_| {
        let login = login("alice");
        instance.service(Method::POST, "/sessions").json(&login)
    });
    let answers = all(logins).await;
    (instance, answers)
}

#[tokio::test]
async fn of_many_logins_at_once_as_many_remain_as_are_allowed() {
    for eviction in ["oldest", "least_recent"] {
        let dir = tempfile::tempdir().unwrap();
        let (instance, answers) = limited(dir.path(), eviction).await;
        assert_eq!(count(&answers, 201, None), MANY, "{eviction}");
        let sessions: Vec<SignedIn> = answers.iter().map(|(_, body)| body.into()).collect();
        everything_is_heard(&instance).await;
        let active = active(&instance, "alice").await;
        assert_eq!(active.len(), 5, "{eviction}");
        assert_eq!(accepted(&instance, &sessions).await, active, "{eviction}");
        let stats = answer(instance.service(Method::GET, "/sessions/stats"), 200).await;
        assert_eq!(
            (&stats["active"], &stats["ended_by_reason"]["evicted"]),
            (&json!(5), &json!(MANY - 5)),
            "{eviction}"
        );
    }
}

#[tokio::test]
async fn where_the_new_one_gives_way_as_many_get_in_as_are_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let (instance, answers) = limited(dir.path(), "reject").await;
    assert_eq!(count(&answers, 201, None), 5);
    assert_eq!(count(&answers, 409, Some("session_limit")), MANY - 5);
    let started = answers.iter().filter(|(status, _)| *status == 201);
    let sessions: Vec<SignedIn> = started.map(|(_, body)| body.into()).collect();
    let ids: BTreeSet<String> = sessions.iter().map(|session| session.id.clone()).collect();
    assert_eq!(active(&instance, "alice").await, ids);
    assert_eq!(accepted(&instance, &sessions).await, ids);
}

#[tokio::test]
async fn one_login_sent_many_times_is_one_session_and_one_answer() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let post = |key: &str, body: &Value| {
        let post = instance.service(Method::POST, "/sessions");
        post.header("Idempotency-Key", key).json(body)
    };
    let alice = login("alice");
    let answers = all((0..MANY).map(|_| post("one", &alice))).await;
    let first = &answers[0];
    assert_eq!(first.0, 201, "{}", first.1);
    assert!(answers.iter().all(|answer| answer == first));
    assert_eq!(active(&instance, "alice").await.len(), 1);

    // Another request is another one, even where the key is the same.
    let bob = login("bob");
    let others = all((0..MANY / 2).map(|_| post("one", &bob))).await;
    let refused = count(&others, 422, Some("idempotency_key_reused"));
    assert_eq!(refused, MANY / 2);
    assert_eq!(active(&instance, "bob").await.len(), 0);

    // Whichever of two is first, all that say the same have the same answer.
    let bodies = [login("carol"), login("dave")];
    let answers = all((0..MANY).map(|n| post("two", &bodies[n % 2]))).await;
    let started: Vec<_> = answers
        .iter()
        .filter(|(status, _)| *status == 201)
        .collect();
    assert!(started.windows(2).all(|two| two[0] == two[1]));
    assert_eq!(started.len(), MANY / 2);
    let refused = count(&answers, 422, Some("idempotency_key_reused"));
    assert_eq!(refused, MANY / 2);
    let carols = active(&instance, "carol").await.len();
    assert_eq!(carols + active(&instance, "dave").await.len(), 1);
}

#[tokio::test]
async fn of_many_updates_made_for_one_version_one_is_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    let path = format!("/sessions/{}", session.id);
    for version in 1..=5 {
        // One half says so in the header, the other in the body.
        let answers = all((0..50).map(|n| {
            let put = instance.service(Method::PUT, &path);
            let mut body = json!({"device_name": format!("{version}-{n}")});
            if n % 2 == 0 {
                return put.header("If-Match", format!("\"{version}\"")).json(&body);
            }
            body["version"] = json!(version);
            put.json(&body)
        }))
        .await;
        assert_eq!(count(&answers, 200, None), 1);
        assert_eq!(count(&answers, 409, Some("version_conflict")), 49);
        let winner = answers.iter().find(|(status, _)| *status == 200);
        let (_, winner) = winner.expect("one");
        assert_eq!(winner["version"], version + 1);
        let now = answer(instance.service(Method::GET, &path), 200).await;
        assert_eq!(
            (&now["version"], &now["device"]),
            (&winner["version"], &winner["device"])
        );
    }
}

#[tokio::test]
async fn many_extensions_at_once_add_up_and_stop_at_the_absolute_end() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        command.env("SESSION_SESSION__ABSOLUTE_LIFETIME", "2h");
    });
    // It lasts an hour, and there is room for twelve times five minutes.
    let session = instance.sign_in("alice").await;
    let path = format!("/sessions/{}", session.id);
    let answers = all((0..50).map(|n| {
        let path = format!("{path}/extend");
        let extend = if n % 2 == 0 {
            instance.service(Method::POST, &path)
        } else {
            instance.user(&session.access, Method::POST, &path)
        };
        extend.json(&json!({"additional_seconds": 300}))
    }))
    .await;
    assert_eq!(count(&answers, 200, None), 12);
    assert_eq!(count(&answers, 409, Some("absolute_end_reached")), 38);
    let now = answer(instance.service(Method::GET, &path), 200).await;
    assert_eq!(now["expires_at"], now["absolute_expires_at"]);
    let done = answers.iter().filter(|(status, _)| *status == 200);
    let ends: BTreeSet<&str> = done
        .map(|(_, body)| body["expires_at"].as_str().expect("a date"))
        .collect();
    assert_eq!(ends.len(), 12, "each moved it");
    let last = ends.last().copied();
    assert_eq!(last, now["absolute_expires_at"].as_str(), "none beyond it");
}

#[tokio::test]
async fn many_ends_of_one_session_are_one_end_and_each_answer_comes_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let head = async || {
        let validators = instance.service(Method::GET, "/admin/validators");
        answer(validators, 200).await["head"]
            .as_u64()
            .expect("a number")
    };
    let session = instance.sign_in("alice").await;
    assert_eq!(instance.validate(&session.access).await, 200);
    let before = head().await;
    let path = format!("/sessions/{}", session.id);
    let seqs = join_all((0..MANY).map(async |n| {
        let (request, expected) = if n % 2 == 0 {
            (instance.service(Method::DELETE, &path), 204)
        } else {
            let revoke = instance.service(Method::POST, &format!("{path}/revoke"));
            (revoke.json(&json!({"reason": n.to_string()})), 200)
        };
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        // Whichever of them ended it, here it is over.
        assert_eq!(instance.validate(&session.access).await, 401);
        assert_eq!(status, expected);
        let seq = response.headers()["session-revocation-seq"].to_str();
        seq.expect("a number").parse::<u64>().expect("a number")
    }))
    .await;
    assert!(seqs.iter().all(|seq| *seq == before + 1), "{seqs:?}");
    assert_eq!(head().await, before + 1, "one entry of the log");
    // The counters move with the event that tells of it.
    let stats = answer(instance.service(Method::GET, "/sessions/stats"), 200).await;
    assert_eq!((&stats["ended"], &stats["active"]), (&json!(1), &json!(0)));
}
