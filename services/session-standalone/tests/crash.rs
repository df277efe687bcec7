//! SIGKILL at any moment loses no answered write; a restart keeps keys and sessions.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use support::{Instance, SignedIn, login};

/// On the same data, under the same name: ports are free ones, so the name mustn't follow them.
fn start(dir: &std::path::Path) -> Instance {
    Instance::start_with(dir, |command| {
        command.env("SESSION_ISSUER", "http://localhost:8080");
    })
}

/// What was answered before the kill.
#[derive(Default)]
struct Answered {
    live: Vec<SignedIn>,
    ended: Vec<SignedIn>,
    rotated: Vec<(SignedIn, SignedIn)>,
}

impl Answered {
    /// How often what was answered least was.
    fn fewest(&self) -> usize {
        self.live
            .len()
            .min(self.ended.len())
            .min(self.rotated.len())
    }
}

/// Works until the program stops answering, noting only what it answered.
async fn work(instance: Arc<Instance>, user: String, answered: Arc<Mutex<Answered>>) {
    for round in 0_u64.. {
        let path = "/api/v1/sessions";
        let create = instance
            .request(reqwest::Method::POST, path)
            .bearer_auth(&instance.service_key)
            .json(&login(&user));
        let Ok(response) = create.send().await else {
            return;
        };
        let Ok(body) = response.json::<Value>().await else {
            return;
        };
        let session = SignedIn::from(&body);
        match round % 3 {
            0 => answered.lock().unwrap().live.push(session),
            1 => {
                let path = format!("/api/v1/sessions/{}", session.id);
                let end = instance
                    .request(reqwest::Method::DELETE, &path)
                    .bearer_auth(&instance.service_key);
                match end.send().await {
                    Ok(response) if response.status() == 204 => {
                        answered.lock().unwrap().ended.push(session);
                    }
                    _ => return,
                }
            }
            _ => {
                let json = serde_json::json!({ "refresh_token": session.refresh });
                let refresh = instance
                    .request(reqwest::Method::POST, "/api/v1/sessions/refresh")
                    .json(&json);
                let Ok(response) = refresh.send().await else {
                    return;
                };
                let Ok(body) = response.json::<Value>().await else {
                    return;
                };
                answered
                    .lock()
                    .unwrap()
                    .rotated
                    .push((session, SignedIn::from(&body)));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_no_answered_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut keys = None;
    let (mut live, mut ended, mut rotated) = (0, 0, 0);
    for round in 0..5_u64 {
        let instance = Arc::new(start(dir.path()));
        let answered = Arc::new(Mutex::new(Answered::default()));
        let workers = (0..8).map(|n| {
            tokio::spawn(work(
                Arc::clone(&instance),
                format!("u{n}"),
                Arc::clone(&answered),
            ))
        });
        let workers: Vec<_> = workers.collect();
        // However slow the machine: enough of everything has been answered, and more is under way.
        while answered.lock().unwrap().fewest() < 15 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(37 * round)).await;
        let pid = rustix::process::Pid::from_raw(i32::try_from(instance.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        for worker in workers {
            worker.await.unwrap();
        }
        drop(instance);

        let instance = start(dir.path());
        let jwks: Value = instance
            .request(reqwest::Method::GET, "/.well-known/jwks.json")
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(
            *keys.get_or_insert_with(|| jwks.clone()),
            jwks,
            "a restart keeps the keys"
        );
        let answered = std::mem::take(&mut *answered.lock().unwrap());
        for session in &answered.live {
            assert_eq!(
                instance.validate(&session.access).await,
                200,
                "an answered start is there"
            );
            assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
        }
        for session in &answered.ended {
            assert_eq!(
                instance.validate(&session.access).await,
                401,
                "an answered end holds"
            );
            assert_eq!(
                instance.refresh(&session.refresh).await.status().as_u16(),
                401
            );
        }
        for (before, after) in &answered.rotated {
            assert_eq!(instance.validate(&after.access).await, 200);
            let next = instance.refresh(&after.refresh).await;
            assert_eq!(next.status().as_u16(), 200, "an answered rotation holds");
            assert_ne!(before.refresh, after.refresh);
        }
        live += answered.live.len();
        ended += answered.ended.len();
        rotated += answered.rotated.len();
    }
    assert!(
        live > 50 && ended > 50 && rotated > 50,
        "{live} started, {ended} ended, {rotated} rotated"
    );
    println!(
        "5 kills: {live} started, {ended} ended, {rotated} rotated; nothing answered was lost"
    );
}

#[tokio::test]
async fn a_polite_stop_answers_what_was_asked_and_a_restart_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = start(dir.path());
    let session = instance.sign_in("alice").await;
    let gone = instance.sign_in("alice").await;
    assert_eq!(instance.end(&gone.id).await, 204);
    let status = instance.terminate();
    assert!(status.success(), "{status:?}\n{}", instance.log());

    let instance = start(dir.path());
    assert_eq!(instance.validate(&session.access).await, 200);
    assert_eq!(instance.validate(&gone.access).await, 401);
    assert_eq!(
        instance.refresh(&session.refresh).await.status().as_u16(),
        200
    );
}
