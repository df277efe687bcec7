//! Redis changes how fast `session-api` answers, and how limits are counted. Nothing else: real
//! processes over real servers, with Redis emptied, stopped, killed and set back.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use session_testkit::deployment::{Deployment, Program, Role, SERVICE_KEY, output};

/// Longer than anything takes that works, on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many people come and go while Redis doesn't.
const PEOPLE: usize = 40;

/// An API, and what its callers do.
struct Api<'a> {
    program: &'a Program,
    http: Client,
}

impl<'a> Api<'a> {
    fn new(program: &'a Program) -> Self {
        let http = Client::builder().timeout(PATIENCE).build();
        Self {
            program,
            http: http.expect("a client"),
        }
    }

    fn url(&self, path: &str) -> String {
        self.program.url("api", &format!("/api/v1{path}"))
    }

    async fn ask(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.bearer_auth(SERVICE_KEY).send().await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Starts a session. Returns its id and its session token.
    async fn sign_in(&self, user: &str) -> (String, String) {
        let login = json!({ "user_id": user, "ip_address": "192.0.2.10", "user_agent": "test" });
        let (status, body) = self
            .ask(self.http.post(self.url("/sessions")).json(&login))
            .await;
        assert_eq!(status, 201, "{body}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&body["session"]["id"]), text(&body["session_token"]))
    }

    /// What it is shown as.
    async fn status(&self, id: &str) -> String {
        let asked = self.http.get(self.url(&format!("/sessions/{id}")));
        let (status, body) = self.ask(asked).await;
        assert_eq!(status, 200, "{body}");
        body["status"].as_str().expect("a status").to_owned()
    }

    async fn is_valid(&self, token: &str) -> bool {
        let body = json!({ "session_token": token });
        let asked = self.http.post(self.url("/sessions/validate")).json(&body);
        let (status, body) = self.ask(asked).await;
        assert_eq!(status, 200, "{body}");
        body["is_valid"].as_bool().expect("yes or no")
    }

    /// How many sessions in use the user is listed with.
    async fn listed(&self, user: &str) -> usize {
        let asked = self
            .http
            .get(self.url(&format!("/sessions/user/{user}/active")));
        let (status, body) = self.ask(asked).await;
        assert_eq!(status, 200, "{body}");
        body["sessions"].as_array().expect("sessions").len()
    }

    async fn end(&self, id: &str) {
        let asked = self.http.delete(self.url(&format!("/sessions/{id}")));
        assert_eq!(self.ask(asked).await.0, 204);
    }

    /// The status that somebody with a wrong key gets.
    async fn knock(&self) -> u16 {
        let asked = self
            .http
            .get(self.url("/sessions"))
            .bearer_auth("ssk_wrong");
        asked.send().await.expect("an answer").status().as_u16()
    }

    async fn metric(&self, name: &str) -> Option<String> {
        let answer = self
            .http
            .get(self.program.url("private", "/metrics"))
            .send();
        let text = answer.await.expect("an answer").text().await.expect("text");
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next().map(str::to_owned)
    }

    /// How many readings were found in Redis.
    async fn hits(&self) -> u64 {
        let hits = self.metric("session_cache_reads_total{outcome=\"hit\"");
        hits.await.map_or(0, |hits| hits.parse().expect("a number"))
    }

    /// Returns once a reading of that session comes from Redis.
    async fn eventually_reads_redis(&self, id: &str) {
        let reading = async {
            loop {
                let before = self.hits().await;
                self.status(id).await;
                if self.hits().await > before {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.expect("it comes back to Redis");
    }

    /// Asserts that Redis has a reading of that session, and that it is shown as over all the same.
    async fn contradicts_redis(&self, id: &str) {
        let before = self.hits().await;
        assert_eq!(self.status(id).await, "revoked");
        assert_eq!(
            self.hits().await,
            before + 1,
            "Redis was asked, and said otherwise"
        );
    }

    async fn eventually_uses_redis(&self) {
        let waiting = async {
            while self.metric("session_redis_available").await.as_deref() != Some("1") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.expect("it comes back to Redis");
    }
}

/// One session's life, seen from both processes.
async fn live(one: &Api<'_>, other: &Api<'_>, user: &str) {
    let (id, token) = one.sign_in(user).await;
    for api in [one, other, one] {
        assert_eq!(api.status(&id).await, "active", "{user}");
        assert!(api.is_valid(&token).await, "{user}");
    }
    assert_eq!(other.listed(user).await, 1, "{user}");
    other.end(&id).await;
    for api in [one, other, one] {
        assert_eq!(api.status(&id).await, "revoked", "{user}");
        assert!(!api.is_valid(&token).await, "{user}");
        assert_eq!(api.listed(user).await, 0, "{user}");
    }
}

fn started(deployment: &Deployment, settings: &[(&str, &str)]) -> (Program, Program) {
    let both = [(); 2].map(|()| deployment.start_with(Role::Api, settings));
    both.iter().for_each(Program::eventually_ready);
    both.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_redis_the_answers_are_the_same() {
    let mut deployment = Deployment::prepare_with_redis();
    let programs = started(&deployment, &[]);
    let (one, other) = (Api::new(&programs.0), Api::new(&programs.1));
    live(&one, &other, "before").await;
    let hits = one
        .metric("session_cache_reads_total{outcome=\"hit\"")
        .await;
    assert!(
        hits.is_some(),
        "Redis is in use: this test is about something"
    );

    let redis = deployment.redis.as_mut().expect("a server");
    assert_eq!(redis.say("FLUSHALL"), "+OK");
    live(&one, &other, "emptied").await;
    redis.stop();
    live(&one, &other, "stopped").await;
    redis.resume();
    live(&one, &other, "resumed").await;
    redis.kill();
    live(&one, &other, "killed").await;
    redis.restart();
    live(&one, &other, "back").await;

    // And while people come and go.
    let lives = async {
        for number in 0..PEOPLE {
            let user = format!("during-{number}");
            let (one, other) = if number % 2 == 0 {
                (&one, &other)
            } else {
                (&other, &one)
            };
            live(one, other, &user).await;
        }
    };
    let mut redis = deployment.redis.take().expect("a server");
    let (done, is_done) = channel::<()>();
    let harm = std::thread::spawn(move || {
        let pause = |span| {
            let waited = is_done.recv_timeout(Duration::from_millis(span));
            waited == Err(RecvTimeoutError::Timeout)
        };
        let mut rounds = 0;
        while pause(300) {
            match rounds % 3 {
                0 => assert_eq!(redis.say("FLUSHALL"), "+OK"),
                1 => {
                    redis.stop();
                    pause(300);
                    redis.resume();
                }
                _ => redis.restart(),
            }
            rounds += 1;
        }
        rounds
    });
    lives.await;
    drop(done);
    let rounds = harm.join().expect("it does no worse");
    assert!(rounds > 3, "{rounds}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_redis_brings_no_session_back_not_even_without_a_lease() {
    let mut deployment = Deployment::prepare_with_redis();
    let programs = started(&deployment, &[("SESSION_LEASE", "2s")]);
    let (one, other) = (Api::new(&programs.0), Api::new(&programs.1));
    let (first, _) = one.sign_in("alice").await;
    let (second, _) = one.sign_in("bob").await;
    let (bystander, _) = one.sign_in("carol").await;
    for id in [&first, &second] {
        assert_eq!(other.status(id).await, "active");
    }
    let redis = deployment.redis.as_mut().expect("a server");
    assert_eq!(redis.say("SAVE"), "+OK");

    one.end(&first).await;
    redis.restart();
    other.eventually_reads_redis(&bystander).await;
    other.contradicts_redis(&first).await;

    // Nobody tells the other process of this end, and Redis tells it the contrary.
    deployment.nats.stop();
    one.end(&second).await;
    redis.restart();
    other.eventually_reads_redis(&bystander).await;
    other.contradicts_redis(&second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_a_limit_through_redis_and_count_alone_without() {
    let mut deployment = Deployment::prepare_with_redis();
    let limit = [("SESSION_LIMIT__INVALID_CREDENTIALS_PER_MINUTE", "10")];
    let programs = started(&deployment, &limit);
    let (one, other) = (Api::new(&programs.0), Api::new(&programs.1));
    for _ in 0..5 {
        assert_eq!((one.knock().await, other.knock().await), (401, 401));
    }
    assert_eq!((one.knock().await, other.knock().await), (429, 429));

    let redis = deployment.redis.as_mut().expect("a server");
    redis.kill();
    // Each of them has seen six itself.
    for api in [&one, &other] {
        for _ in 0..4 {
            assert_eq!(api.knock().await, 401);
        }
        assert_eq!(api.knock().await, 429);
        let fallbacks = api.metric("session_limiter_fallbacks_total").await;
        assert_eq!(fallbacks.as_deref(), Some("5"));
    }
    redis.restart();
    for api in [&one, &other] {
        api.eventually_uses_redis().await;
    }
    for _ in 0..5 {
        assert_eq!((one.knock().await, other.knock().await), (401, 401));
    }
    assert_eq!((one.knock().await, other.knock().await), (429, 429));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_a_process_starts_says_so_once_and_never_shows_the_password() {
    let deployment = Deployment::prepare();
    let settings = [
        ("SESSION_REDIS__URL", "redis://default:hunter2@127.0.0.1:1"),
        ("SESSION_LOG__LEVEL", "debug"),
    ];
    let programs = started(&deployment, &settings);
    let (one, other) = (Api::new(&programs.0), Api::new(&programs.1));
    live(&one, &other, "alice").await;
    let log = programs.0.log();
    let told = log.matches("going on without it").count();
    assert_eq!(told, 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_wrong_password_ends_the_start_and_passwords_are_masked() {
    let deployment = Deployment::prepare_with_redis();
    let redis = deployment.redis.as_ref().expect("a server");
    assert_eq!(redis.say("CONFIG SET requirepass hunter2"), "+OK");
    let mut settings = deployment.settings.clone();
    settings.insert("SESSION_REDIS__PASSWORD".into(), "hunter3".into());
    let refused = output(Role::Api, &settings, &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let address = redis.address().to_string();
    assert!(
        said.contains("can't use redis://") && said.contains(&address),
        "{said}"
    );
    assert!(
        said.contains("WRONGPASS") || said.contains("refuses"),
        "{said}"
    );
    assert!(!said.contains("hunter"), "{said}");

    let shown = output(Role::Api, &settings, &["--print-config"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    let masked = shown
        .lines()
        .filter(|line| line.contains("redis.") && line.contains("****"));
    assert_eq!(masked.count(), 2, "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");

    settings.insert("SESSION_REDIS__URL".into(), "redis://x?y=hunter2".into());
    let refused = output(Role::Api, &settings, &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(
        said.contains("redis.url") && !said.contains("hunter"),
        "{said}"
    );
}
