//! Starts the real programs on free ports, and speaks HTTP with them.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Longer than anything takes that works, on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The service key of every deployment here.
pub const KEY: &str = "ssk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/// Where tokens say they come from; nothing asks there.
const ISSUER: &str = "http://127.0.0.1:1";

/// What every process is told.
pub type Settings = Vec<(OsString, OsString)>;

pub fn settings(database: &str, nats: &str, folder: &Path) -> Settings {
    let secrets = folder.join("secrets");
    let text = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    vec![
        text("SESSION_DATABASE__URL", database),
        text("SESSION_NATS__URL", nats),
        text("SESSION_ISSUER", ISSUER),
        text("SESSION_BOOTSTRAP_KEY", KEY),
        text("SESSION_API__LISTEN", "127.0.0.1:0"),
        text("SESSION_VALIDATOR__LISTEN", "127.0.0.1:0"),
        text("SESSION_GRPC__LISTEN", "127.0.0.1:0"),
        text("SESSION_PRIVATE__LISTEN", "127.0.0.1:0"),
        text("SESSION_LOG__FORMAT", "json"),
        text("SESSION_REAPER__TICK", "100ms"),
        ("SESSION_SECRETS__DIR".into(), secrets.into()),
    ]
}

/// A program with these settings and none of the test's own environment.
fn command(program: &Path, settings: &Settings) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SESSION_")) {
        command.env_remove(name);
    }
    command
        .envs(settings.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn api_command(settings: &Settings) -> Command {
    command(Path::new(env!("CARGO_BIN_EXE_session-api")), settings)
}

/// Runs a program that is to end by itself.
pub fn output(command: &mut Command) -> Output {
    let child = command.spawn().expect("the program is there");
    let pid = Pid::from_child(&child);
    // Killed after this long, should it go on after all.
    let (ended, waiting) = channel::<()>();
    std::thread::spawn(move || {
        if waiting
            .recv_timeout(PATIENCE)
            .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().expect("a child");
    drop(ended);
    output
}

/// The program of another package, beside this one's: built by the same cargo, so that it is as
/// new as the source.
fn beside(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let api = Path::new(env!("CARGO_BIN_EXE_session-api"));
    let folder = api.parent().expect("a folder of programs");
    BUILT.call_once(|| {
        // `make test` has built them with everything else; on their own, cargo would build their
        // dependencies once more, with fewer features.
        if std::env::var_os("TESTKIT_PROGRAMS").is_some_and(|state| state == "built") {
            return;
        }
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "-q",
            "-p",
            "session-validator",
            "-p",
            "session-reaper",
        ]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "the other programs can't be built");
    });
    folder.join(name)
}

/// A running program. Killed when dropped.
pub struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
    /// Where it listens, by name.
    listens: Value,
    http: Client,
}

impl Program {
    /// Starts it, and returns once it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the program is there");
        let (log, (said, listening)) = (Arc::new(Mutex::new(String::new())), channel());
        let (lines, kept) = (child.stderr.take().expect("a pipe"), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let event = serde_json::from_str::<Value>(&line).unwrap_or_default();
                if event["message"] == "listening" && event["private"].is_string() {
                    let _ = said.send(event);
                }
                let mut log = kept.lock().expect("the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(listens) = listening.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("it doesn't listen:\n{}", log.lock().expect("the log"));
        };
        Self {
            child,
            log,
            listens,
            http: Client::new(),
        }
    }

    fn at(&self, listener: &str, path: &str) -> String {
        let address = self.listens[listener].as_str().expect("an address");
        format!("http://{address}{path}")
    }

    /// What `/readyz` answers.
    pub async fn ready(&self) -> u16 {
        let asked = self.http.get(self.at("private", "/readyz")).send().await;
        asked.expect("an answer").status().as_u16()
    }

    pub async fn eventually_ready(&self) {
        let ready = async {
            while self.ready().await != 200 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready)
            .await
            .expect("it becomes ready");
    }

    /// The status a login by the service with this key is answered with.
    pub async fn sign_in_with(&self, key: &str, user: &str) -> u16 {
        let asked = self.http.post(self.at("api", "/api/v1/sessions"));
        let answer = asked.bearer_auth(key).json(&login(user)).send().await;
        answer.expect("an answer").status().as_u16()
    }

    fn terminate(&mut self) -> bool {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a child");
        self.child.wait().expect("a child").success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- a program's log ---\n{}",
                self.log.lock().expect("the log")
            );
        }
    }
}

fn login(user: &str) -> Value {
    json!({ "user_id": user, "ip_address": "192.0.2.10", "user_agent": "test" })
}

/// One of each, ready.
pub struct Deployment {
    api: Program,
    validator: Program,
    reaper: Program,
}

impl Deployment {
    pub async fn start(settings: &Settings) -> Self {
        let deployment = Self {
            api: Program::start(api_command(settings)),
            validator: Program::start(command(&beside("session-validator"), settings)),
            reaper: Program::start(command(&beside("session-reaper"), settings)),
        };
        for program in [&deployment.api, &deployment.validator, &deployment.reaper] {
            program.eventually_ready().await;
        }
        deployment
    }

    /// Starts a session. Returns its id and its access token.
    pub async fn sign_in(&self, user: &str) -> (String, String) {
        let asked = self.api.http.post(self.api.at("api", "/api/v1/sessions"));
        let answer = asked.bearer_auth(KEY).json(&login(user)).send().await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(status, 201, "{body}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&body["session"]["id"]), text(&body["access_token"]))
    }

    /// What the validator answers to a token.
    pub async fn validate(&self, token: &str) -> u16 {
        let url = self
            .validator
            .at("validator", "/v1/authz/forwarded/default");
        let asked = self.validator.http.get(url).bearer_auth(token).send().await;
        asked.expect("an answer").status().as_u16()
    }

    /// Ends a session as the service.
    pub async fn end(&self, id: &str) -> u16 {
        let url = self.api.at("api", &format!("/api/v1/sessions/{id}"));
        let asked = self.api.http.delete(url).bearer_auth(KEY).send().await;
        asked.expect("an answer").status().as_u16()
    }

    /// Waits until a session is shown as expired: until the reaper has ended it.
    pub async fn eventually_expired(&self, id: &str) {
        let url = self.api.at("api", &format!("/api/v1/sessions/{id}"));
        let expired = async {
            loop {
                let asked = self.api.http.get(&url).bearer_auth(KEY).send().await;
                let shown: Value = asked.expect("an answer").json().await.expect("JSON");
                if shown["status"] == "expired" {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, expired)
            .await
            .expect("it expires");
    }

    /// Tells every process to stop, and waits until they have. Says whether all did well.
    pub fn stop(mut self) -> bool {
        // All of them, whatever the first says.
        [&mut self.validator, &mut self.reaper, &mut self.api]
            .map(Program::terminate)
            .iter()
            .all(|well| *well)
    }
}
