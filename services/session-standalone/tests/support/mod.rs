//! Starts the real program on free ports and speaks HTTP with it, as its users do.

#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod api;
pub mod operations;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// A running instance. Killed when dropped.
pub struct Instance {
    child: Child,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    pub api: String,
    pub validator: String,
    pub private: String,
    pub service_key: String,
    pub http: Client,
}

/// The program on `data_dir`, on free ports, not started yet.
pub fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-standalone"));
    command.arg("--data-dir").arg(data_dir);
    for flag in [
        "--api-listen",
        "--validator-listen",
        "--grpc-listen",
        "--private-listen",
    ] {
        command.args([flag, "127.0.0.1:0"]);
    }
    // The process's own settings must not leak into the test.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SESSION_")) {
        command.env_remove(name);
    }
    command
        .env("SESSION_LOG__FORMAT", "json")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a program that is expected to refuse to start.
pub fn refused(mut command: Command) -> Output {
    let mut child = command.spawn().expect("the program is there");
    // Killed after this long, should it start after all.
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, waiting) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(20)) == Err(RecvTimeoutError::Timeout) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    });
    let status = child.wait().expect("a child");
    drop(ended);
    assert!(
        status.code().is_some(),
        "the program should have refused to start"
    );
    child.wait_with_output().expect("a child")
}

impl Instance {
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, |_| {})
    }

    pub fn start_with(data_dir: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = command(data_dir);
        change(&mut command);
        let mut child = command.spawn().expect("the program is there");
        let stdout = child.stdout.take().expect("a pipe");
        std::thread::spawn(move || BufReader::new(stdout).read_to_end(&mut Vec::new()));
        let log = Arc::new(Mutex::new(String::new()));
        let (said, ready) = std::sync::mpsc::channel();
        let (lines, kept) = (
            BufReader::new(child.stderr.take().expect("a pipe")),
            Arc::clone(&log),
        );
        let reader = std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str::<Value>(&line)
                    && event["message"] == "ready"
                {
                    let _ = said.send(event.clone());
                }
                let mut log = kept.lock().expect("the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(fields) = ready.recv_timeout(Duration::from_secs(30)) else {
            let _ = child.kill();
            let status = child.wait();
            panic!(
                "the program did not become ready ({status:?}):\n{}",
                log.lock().expect("the log")
            );
        };
        let address = |name: &str| format!("http://{}", fields[name].as_str().expect("an address"));
        let service_key =
            std::fs::read_to_string(data_dir.join("service-key")).expect("a service key");
        Self {
            child,
            stderr: log,
            reader: Some(reader),
            api: address("api"),
            validator: address("validator"),
            private: address("private"),
            service_key: service_key.trim().to_owned(),
            http: Client::builder().build().expect("a client"),
        }
    }

    /// One with these settings, each named as in its section: `session__idle_timeout`.
    pub fn start_set(data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_with(data_dir, |command| {
            for (name, value) in settings {
                command.env(format!("SESSION_{}", name.to_uppercase()), value);
            }
        })
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.stderr.lock().expect("the log").clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a child");
        let status = self.child.wait().expect("a child");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log's reader");
        }
        status
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api))
    }

    /// Starts a session, and returns the whole answer.
    pub async fn create(&self, body: Value) -> Response {
        self.request(Method::POST, "/api/v1/sessions")
            .bearer_auth(&self.service_key)
            .json(&body)
            .send()
            .await
            .expect("an answer")
    }

    /// Starts a session of `user` on an ordinary device.
    pub async fn sign_in(&self, user: &str) -> SignedIn {
        let response = self.create(login(user)).await;
        let status = response.status().as_u16();
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(status, 201, "{body}");
        SignedIn::from(&body)
    }

    /// What the validator answers to a bearer token.
    pub async fn validate(&self, token: &str) -> u16 {
        self.authz("forwarded")
            .bearer_auth(token)
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
    }

    /// What the validator answers to the session cookie.
    pub async fn validate_cookie(&self, token: &str) -> u16 {
        self.authz("forwarded")
            .header("Cookie", format!("session={token}"))
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
    }

    pub fn authz(&self, convention: &str) -> RequestBuilder {
        self.http
            .get(format!("{}/v1/authz/{convention}/default", self.validator))
    }

    /// Ends a session as the service.
    pub async fn end(&self, id: &str) -> u16 {
        let path = format!("/api/v1/sessions/{id}");
        self.request(Method::DELETE, &path)
            .bearer_auth(&self.service_key)
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
    }

    /// Trades a refresh token.
    pub async fn refresh(&self, token: &str) -> Response {
        let body = json!({ "refresh_token": token });
        self.request(Method::POST, "/api/v1/sessions/refresh")
            .json(&body)
            .send()
            .await
            .expect("an answer")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the program logged ---\n{}", self.log());
        }
    }
}

/// The body of a login.
pub fn login(user: &str) -> Value {
    json!({
        "user_id": user,
        "ip_address": "192.0.2.10",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    })
}

/// A started session's credentials.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub id: String,
    pub access: String,
    pub refresh: String,
    pub cookie: String,
}

impl From<&Value> for SignedIn {
    fn from(body: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        Self {
            id: text(&body["session"]["id"]),
            access: text(&body["access_token"]),
            refresh: text(&body["refresh_token"]),
            cookie: text(&body["session_token"]),
        }
    }
}

/// Every file below a folder, with its bytes.
pub fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let mut bytes = Vec::new();
            std::fs::File::open(&path)
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .expect("a file");
            found.push((path, bytes));
        }
    }
    found
}
