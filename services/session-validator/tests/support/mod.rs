//! A validator as the real program, and the authority it follows, put together from the parts that
//! ship; NATS between them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Response};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;
use session_bus::{NatsBus, NatsConfig};
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{SessionId, TenantId};
use session_domain::policy::SessionPolicy;
use session_domain::port::{
    Clock, End, Entropy, Fence, SessionStore, Start, StartOutcome, Targets, Why,
};
use session_domain::secret::{Credential, Secret256};
use session_domain::session::{Authentication, EndReason, NewSession, RefreshState, Session};
use session_domain::usecase::fence::{FenceKeeper, FencePorts};
use session_domain::usecase::issue::issue;
use session_domain::usecase::ready_keys::{ReadyKeysPorts, ready_keys};
use session_domain::usecase::serve::{ServePorts, serve};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::telemetry::Metrics;
use session_store::SqliteStore;
use session_testkit::servers::Nats;
use session_token::{ActiveSigner, RefreshDeriver, SealedKeyRing, Secrets};

/// Short, so that outliving one doesn't take long.
pub const LEASE: Duration = Duration::from_secs(1);

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

const ISSUER: &str = "http://127.0.0.1:1";

/// What answers validators, ends sessions and waits at the fence.
pub struct Authority {
    store: Arc<SqliteStore>,
    fence: Arc<FenceKeeper>,
    signer: Arc<ActiveSigner>,
    refresh: RefreshDeriver,
    started: AtomicU8,
    _folder: tempfile::TempDir,
}

impl Authority {
    pub async fn start(nats: &Nats) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let file = folder.path().join("sessions.db");
        let store = SqliteStore::open(&file, Arc::new(SystemClock), Arc::clone(&entropy)).await;
        let store = Arc::new(store.expect("a store"));
        let bus = Arc::new(bus(nats).await);
        let fence = Arc::new(FenceKeeper::new(FencePorts {
            log: Arc::clone(&store) as _,
            bus: Arc::clone(&bus) as _,
            clock: Arc::new(SystemClock),
            timer: Arc::new(TokioTimer::new(SystemClock)),
        }));
        let fencing = Arc::clone(&fence);
        tokio::spawn(async move { fencing.run(std::future::pending()).await });
        let serving = Arc::clone(&store);
        tokio::spawn(async move {
            let ports = ServePorts {
                log: serving.as_ref(),
                store: serving.as_ref(),
                bus: bus.as_ref(),
                clock: &SystemClock,
                lease: LEASE,
            };
            serve(&ports, std::future::pending()).await
        });
        let secrets = Secrets::load_or_create(&folder.path().join("secrets"), entropy.as_ref());
        let secrets = secrets.expect("secrets");
        let signer = Arc::new(ActiveSigner::new());
        let ring = SealedKeyRing::new(Arc::clone(&signer), secrets.kek.clone(), entropy);
        ready_keys(&ReadyKeysPorts {
            store: store.as_ref(),
            log: store.as_ref(),
            fence: fence.as_ref(),
            ring: &ring,
            clock: &SystemClock,
        })
        .await
        .expect("a key");
        let newest = *secrets.refresh_keys.keys().next_back().expect("a key");
        Self {
            store,
            fence,
            signer,
            refresh: RefreshDeriver::new(secrets.refresh_keys, newest).expect("keys"),
            started: AtomicU8::new(0),
            _folder: folder,
        }
    }

    /// Starts a session of an hour. Returns it and its access token.
    pub async fn sign_in(&self) -> (SessionId, Credential) {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let (now, seed) = (SystemClock.wall(), Secret256([number; 32]));
        let sample = sample::session();
        let session = Session {
            id: sample::session_id(number.into()),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus(Duration::from_secs(3_600)),
            absolute_expires_at: now.plus(Duration::from_secs(86_400)),
            authentication: Authentication {
                auth_time: now,
                ..sample.authentication.clone()
            },
            refresh: RefreshState {
                rotated_at: now,
                ..sample.refresh
            },
            ..sample
        };
        let change = Start {
            session: NewSession::new(session, seed.clone()),
            actor: Actor::System,
            limit: None,
            idempotency: None,
        };
        let store: &dyn SessionStore = self.store.as_ref();
        let outcome = store.apply(change).await.expect("a session");
        let StartOutcome::Started { session, .. } = outcome else {
            panic!("not started: {outcome:?}");
        };
        let policy = SessionPolicy::new(ISSUER.into());
        let issued = issue(
            self.signer.as_ref(),
            &self.refresh,
            &policy,
            &session,
            &seed,
        );
        (session.id, issued.expect("tokens").access_token)
    }

    /// Ends a session, and returns once no validator accepts it.
    pub async fn end(&self, id: SessionId) {
        let change = End {
            targets: Targets::One {
                tenant: TenantId::default(),
                id,
            },
            why: Why::Because {
                reason: EndReason::Logout,
                note: None,
            },
            at: SystemClock.wall(),
            actor: Actor::System,
            batch: 1,
        };
        let store: &dyn SessionStore = self.store.as_ref();
        let outcome = store.apply(change).await.expect("an end");
        assert_eq!(outcome.ended.len(), 1);
        let waited = self.fence.wait(outcome.through, outcome.fresh).await;
        waited.expect("the fence opens");
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
        let mut child = command(&[
            ("SESSION_ISSUER", ISSUER),
            ("SESSION_NATS__URL", &nats.url()),
            ("SESSION_VALIDATOR__LISTEN", "127.0.0.1:0"),
            ("SESSION_PRIVATE__LISTEN", "127.0.0.1:0"),
        ])
        .spawn()
        .expect("the program is there");
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
        let answer = self.http.get(format!("http://{}/readyz", self.private));
        answer.send().await.expect("an answer").status().as_u16()
    }

    /// What a gateway is told about a bearer token.
    pub async fn ask(&self, token: &Credential) -> Response {
        let url = format!("http://{}/v1/authz/forwarded/default", self.listens);
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
