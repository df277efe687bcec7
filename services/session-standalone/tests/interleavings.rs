//! Everything at once, over real HTTP: revoke, refresh, extend, step-up and eviction of the same
//! sessions, in random interleavings. Whatever came of each, no ended session is usable, and the
//! counters tell what the clients were told.
//!
//! `INTERLEAVINGS` says how many, `INTERLEAVINGS_SEED` where the randomness starts.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use support::{Instance, SignedIn, login};

const WORKERS: u64 = 16;

/// A small generator (SplitMix64): a test must give the same again for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Revoke,
    Refresh,
    Extend,
    StepUp,
    SignIn,
    Validate,
}

const ACTS: [Act; 6] = [
    Act::Revoke,
    Act::Refresh,
    Act::Extend,
    Act::StepUp,
    Act::SignIn,
    Act::Validate,
];

/// What one act was told.
enum Told {
    /// The session is over.
    Ended,
    /// New credentials, and whether they replace all before them.
    Issued(SignedIn, Act),
    /// Done, or refused; nothing to remember.
    Nothing,
}

async fn act(instance: &Instance, act: Act, session: &SignedIn, user: &str) -> Told {
    let post = |path: String, body: Value| {
        instance
            .request(Method::POST, &path)
            .bearer_auth(&instance.service_key)
            .json(&body)
            .send()
    };
    let of = |what: &str| format!("/api/v1/sessions/{}/{what}", session.id);
    let response = match act {
        Act::Revoke => {
            assert_eq!(instance.end(&session.id).await, 204);
            return Told::Ended;
        }
        Act::Validate => {
            let status = instance.validate(&session.access).await;
            assert!([200, 401].contains(&status), "{status}");
            return Told::Nothing;
        }
        Act::Refresh => instance.refresh(&session.refresh).await,
        Act::Extend => post(of("extend"), json!({})).await.unwrap(),
        Act::StepUp => post(of("step-up"), json!({ "amr": ["otp"] }))
            .await
            .unwrap(),
        Act::SignIn => instance.create(login(user)).await,
    };
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    match (act, status) {
        (Act::Refresh | Act::StepUp, 200) | (Act::SignIn, 201) => {
            Told::Issued(SignedIn::from(&body), act)
        }
        (Act::Extend, 200) | (Act::Refresh, 401) | (Act::Extend | Act::StepUp, 409) => {
            Told::Nothing
        }
        other => panic!("{other:?}: {body}"),
    }
}

/// One session, some acts on it at once, and then the look at what they left.
async fn trial(instance: &Arc<Instance>, user: &str, random: &mut Random) -> u64 {
    let session = instance.sign_in(user).await;
    let mut created = 1;
    let acts: Vec<Act> = (0..2 + random.below(4))
        .map(|_| ACTS[usize::try_from(random.below(ACTS.len() as u64)).unwrap()])
        .collect();
    let running: Vec<_> = acts
        .iter()
        .map(|&kind| {
            let (instance, session, user) =
                (Arc::clone(instance), session.clone(), user.to_owned());
            tokio::spawn(async move { act(&instance, kind, &session, &user).await })
        })
        .collect();
    let (mut over, mut stepped, mut issued) = (false, false, vec![session.clone()]);
    for told in running {
        match told.await.unwrap() {
            Told::Ended => over = true,
            Told::Issued(_, Act::SignIn) => created += 1,
            Told::Issued(new, kind) => {
                stepped |= kind == Act::StepUp;
                issued.push(new);
            }
            Told::Nothing => {}
        }
    }
    if stepped {
        assert_eq!(
            instance.validate(&session.access).await,
            401,
            "{acts:?}: step-up left the old alive"
        );
    }
    // Whoever else signed in may have pushed this one out, which nobody waits for.
    if over {
        for credentials in &issued {
            assert_eq!(
                instance.validate(&credentials.access).await,
                401,
                "{acts:?}"
            );
            assert_eq!(
                instance.validate_cookie(&credentials.cookie).await,
                401,
                "{acts:?}"
            );
            assert_eq!(
                instance
                    .refresh(&credentials.refresh)
                    .await
                    .status()
                    .as_u16(),
                401,
                "{acts:?}"
            );
        }
        let path = format!("/api/v1/sessions/{}", session.id);
        let shown = instance
            .request(Method::GET, &path)
            .bearer_auth(&instance.service_key);
        let shown: Value = shown.send().await.unwrap().json().await.unwrap();
        assert_eq!(shown["status"], "revoked", "{acts:?}");
    }
    created
}

async fn get(instance: &Instance, path: &str) -> Value {
    let request = instance
        .request(Method::GET, path)
        .bearer_auth(&instance.service_key);
    request.send().await.unwrap().json().await.unwrap()
}

/// Every session of a user, by status and end reason, counted one by one.
async fn recount(instance: &Instance, user: &str, counted: &mut BTreeMap<String, u64>) {
    for status in ["active", "expired", "revoked"] {
        let mut path = format!("/api/v1/sessions/user/{user}?limit=50&status={status}");
        loop {
            let page = get(instance, &path).await;
            for session in page["sessions"].as_array().unwrap() {
                let key = session["end_reason"].as_str().unwrap_or("active");
                *counted.entry(key.to_owned()).or_default() += 1;
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => {
                    path = format!(
                        "/api/v1/sessions/user/{user}?limit=50&status={status}&cursor={cursor}"
                    );
                }
                None => break,
            }
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_interleaving_leaves_an_ended_session_usable_or_the_counters_wrong() {
    let (trials, seed) = (
        number("INTERLEAVINGS", 1_000),
        number("INTERLEAVINGS_SEED", 1),
    );
    let dir = tempfile::tempdir().unwrap();
    let instance = Arc::new(Instance::start_with(dir.path(), |command| {
        command
            .env("SESSION_SESSION__MAX_PER_USER", "3")
            // Refresh tokens from before a step-up are nobody's.
            .env("SESSION_LIMIT__INVALID_CREDENTIALS_PER_MINUTE", "1000000");
    }));
    let (next, created) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let workers = (0..WORKERS).map(|worker| {
        let (instance, next, created) = (
            Arc::clone(&instance),
            Arc::clone(&next),
            Arc::clone(&created),
        );
        tokio::spawn(async move {
            let mut random = Random(seed.wrapping_mul(WORKERS).wrapping_add(worker));
            while next.fetch_add(1, Ordering::Relaxed) < trials {
                let made = trial(&instance, &format!("user-{worker}"), &mut random).await;
                created.fetch_add(made, Ordering::Relaxed);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }

    let stats = get(&instance, "/api/v1/sessions/stats").await;
    let mut counted = BTreeMap::new();
    for worker in 0..WORKERS {
        recount(&instance, &format!("user-{worker}"), &mut counted).await;
    }
    assert_eq!(stats["created"], created.load(Ordering::Relaxed), "{stats}");
    assert_eq!(
        stats["active"],
        counted.remove("active").unwrap_or(0),
        "{stats}"
    );
    let by_reason: BTreeMap<String, u64> =
        serde_json::from_value(stats["ended_by_reason"].clone()).unwrap();
    assert_eq!(by_reason, counted);
    assert!(
        counted["evicted"] > 0 && counted["revoked_by_admin"] > 0,
        "{counted:?}"
    );
    println!("{trials} interleavings from seed {seed}: {stats}");
}
