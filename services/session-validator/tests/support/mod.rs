//! A validator as the real program, and the authority it follows, put together from the parts that
//! ship; NATS between them.

mod authority;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Response};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;
use session_bus::{NatsBus, NatsConfig};
use session_domain::secret::Credential;
use session_runtime::telemetry::Metrics;
use session_testkit::servers::Nats;

pub use authority::{Authority, ISSUER, LEASE};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

impl Authority {
    /// One that is reached over NATS.
    pub async fn start(nats: &Nats) -> Self {
        Self::over(Arc::new(bus(nats).await)).await
    }
}

async fn bus(nats: &Nats) -> NatsBus {
    let config = NatsConfig::new(nats.url().parse().expect("a URL"), "api");
    let metrics = Metrics::new("test", "0").expect("metrics");
    let bus = NatsBus::connect(&config, &metrics.meter("bus")).await;
    bus.expect("a connection")
}

/// The program, with these settings and none of the test's own environment.
pub fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-validator"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SESSION_")) {
        command.env_remove(name);
    }
    command
        .envs(settings.iter().copied())
        .env("SESSION_LOG__FORMAT", "json")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// A running validator. Killed when dropped.
pub struct Validator {
    child: Child,
    log: Arc<Mutex<String>>,
    listens: SocketAddr,
    private: SocketAddr,
    http: Client,
}

impl Validator {
    /// Starts one, and returns once it listens.
    pub fn start(nats: &Nats) -> Self {
        Self::start_with(nats, &[])
    }

    /// Starts one with further settings, and returns once it listens.
    pub fn start_with(nats: &Nats, further: &[(&str, &str)]) -> Self {
        let nats = nats.url();
        let mut settings = vec![
            ("SESSION_NATS__URL", nats.as_str()),
            ("SESSION_VALIDATOR__LISTEN", "127.0.0.1:0"),
            ("SESSION_GRPC__LISTEN", "127.0.0.1:0"),
            ("SESSION_PRIVATE__LISTEN", "127.0.0.1:0"),
        ];
        // Where there is a file, that says it.
        if !further.iter().any(|(name, _)| *name == "SESSION_CONFIG") {
            settings.push(("SESSION_ISSUER", ISSUER));
        }
        settings.extend(further);
        let mut child = command(&settings).spawn().expect("the program is there");
        let (log, (said, listening)) = (Arc::new(Mutex::new(String::new())), channel());
        let (lines, kept) = (child.stderr.take().expect("a pipe"), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let event = serde_json::from_str::<Value>(&line).unwrap_or_default();
                if event["validator"].is_string() && event["private"].is_string() {
                    let _ = said.send(event);
                }
                let mut log = kept.lock().expect("the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(event) = listening.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("it doesn't listen:\n{}", log.lock().expect("the log"));
        };
        let address = |name: &str| {
            let text = event[name].as_str().expect("an address");
            text.parse().expect("an address")
        };
        Self {
            listens: address("validator"),
            private: address("private"),
            http: Client::builder().no_proxy().build().expect("a client"),
            child,
            log,
        }
    }

    /// Starts one, and returns once it is ready.
    pub async fn ready(nats: &Nats) -> Self {
        let validator = Self::start(nats);
        eventually(async || validator.readyz().await == 200).await;
        validator
    }

    pub async fn readyz(&self) -> u16 {
        self.private("/readyz").await.status().as_u16()
    }

    /// What is at a path of the private port.
    pub async fn private(&self, path: &str) -> Response {
        let answer = self.http.get(format!("http://{}{path}", self.private));
        answer.send().await.expect("an answer")
    }

    /// What a gateway is told about a bearer token.
    pub async fn ask(&self, token: &Credential) -> Response {
        self.ask_by("default", token).await
    }

    /// What a gateway is told by a policy.
    pub async fn ask_by(&self, policy: &str, token: &Credential) -> Response {
        let url = format!("http://{}/v1/authz/forwarded/{policy}", self.listens);
        let request = self.http.get(url).bearer_auth(token.expose());
        request.send().await.expect("an answer")
    }

    pub async fn validate(&self, token: &Credential) -> u16 {
        self.ask(token).await.status().as_u16()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a child");
        if signal == Signal::STOP {
            // Sent isn't stopped: until every thread stands still, one may answer yet.
            waitpid(Some(pid), WaitOptions::UNTRACED).expect("a child");
        }
    }

    /// Asks it to stop. Says whether it did so as it should.
    pub fn terminate(&mut self) -> bool {
        self.signal(Signal::TERM);
        self.child.wait().expect("a child").success()
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the validator logged ---");
            eprintln!("{}", self.log.lock().expect("the log"));
        }
    }
}

/// Waits until it is so.
pub async fn eventually(so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.expect("it happens in time");
}
