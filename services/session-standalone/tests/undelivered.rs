//! Where nobody can be told that sessions are used, nobody is logged out for not using one: the
//! very parts the program is composed of, on a bus that loses what validators tell of use.

#![expect(
    clippy::disallowed_methods,
    reason = "a test watches what others do, in their time"
)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use opentelemetry::metrics::Meter;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use session_api::Api;
use session_api::config::Settings;
use session_bus::InProcessBus;
use session_cache::{MemoryCache, MemoryLimiter};
use session_device::{FingerprintHasher, GeoLocator, UserAgents};
use session_domain::port::{
    Bus, BusReply, BusRequest, Clock, Entropy, Incoming, PortError, SessionStore, Timer,
};
use session_domain::revocation::{Acknowledgement, Publication};
use session_domain::service_key::Scopes;
use session_domain::usecase::add_service_key::add_service_key;
use session_domain::usecase::fence::{FenceKeeper, FencePorts};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::{Layers, load};
use session_runtime::listen::bind;
use session_runtime::private::Readiness;
use session_runtime::shutdown::{Shutdown, Timing};
use session_runtime::telemetry::Metrics;
use session_store::SqliteStore;
use session_token::{
    ActiveSigner, LifeMax, RefreshDeriver, SealedKeyRing, Secrets, StrictVerifier,
};
use session_validator::{ClientConfig, Doors, Policies, Policy};
use support::api::answer;
use support::{SignedIn, login};
use tokio::task::JoinSet;

const KEY: &str = "ssk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/// A bus that loses every telling of use while it is told to.
struct Losing {
    bus: Arc<InProcessBus>,
    loses: AtomicBool,
}

#[async_trait::async_trait]
impl Bus for Losing {
    async fn publish(&self, publication: &Publication) -> Result<(), PortError> {
        self.bus.publish(publication).await
    }

    async fn publications(&self) -> Result<BoxStream<'static, Publication>, PortError> {
        self.bus.publications().await
    }

    async fn acknowledge(&self, ack: &Acknowledgement) -> Result<(), PortError> {
        self.bus.acknowledge(ack).await
    }

    async fn acknowledgements(&self) -> Result<BoxStream<'static, Acknowledgement>, PortError> {
        self.bus.acknowledgements().await
    }

    async fn request(&self, request: BusRequest, within: Duration) -> Result<BusReply, PortError> {
        if matches!(request, BusRequest::Activity(_)) && self.loses.load(Ordering::SeqCst) {
            return Err(PortError::retry("activity", "lost on purpose"));
        }
        self.bus.request(request, within).await
    }

    async fn requests(&self) -> Result<BoxStream<'static, Incoming>, PortError> {
        self.bus.requests().await
    }
}

/// What is running: an API and a reaper, and a validator on a bus that loses.
struct Running {
    http: Client,
    api: String,
    validator: String,
    bus: Arc<Losing>,
    shutdown: Shutdown,
    tasks: JoinSet<Result<(), PortError>>,
}

/// What all of them are composed of.
struct Parts {
    store: Arc<SqliteStore>,
    bus: Arc<InProcessBus>,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    entropy: Arc<dyn Entropy>,
    fence: Arc<FenceKeeper>,
}

impl Parts {
    async fn new(dir: &Path) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let timer: Arc<dyn Timer> = Arc::new(TokioTimer::new(SystemClock));
        let file = dir.join("sessions.db");
        let store = SqliteStore::open(&file, Arc::clone(&clock), Arc::clone(&entropy)).await;
        let store = Arc::new(store.expect("a database"));
        let (scopes, name) = (Scopes::all(), "test");
        let known: &dyn SessionStore = store.as_ref();
        add_service_key(
            known,
            clock.as_ref(),
            entropy.as_ref(),
            name,
            None,
            scopes,
            KEY,
        )
        .await
        .expect("a service key");
        let bus = Arc::new(InProcessBus::new());
        let fence = Arc::new(FenceKeeper::new(FencePorts {
            log: Arc::clone(&store) as _,
            bus: Arc::clone(&bus) as _,
            clock: Arc::clone(&clock),
            timer: Arc::clone(&timer),
        }));
        Self {
            store,
            bus,
            clock,
            timer,
            entropy,
            fence,
        }
    }

    fn api(
        &self,
        dir: &Path,
        config: &session_api::Config,
        verifier: Arc<StrictVerifier>,
        meter: &Meter,
    ) -> Api {
        let secrets = Secrets::load_or_create(&dir.join("secrets"), self.entropy.as_ref());
        let secrets = secrets.expect("secrets");
        let signer = Arc::new(ActiveSigner::new());
        let kek = secrets.kek.clone();
        let ring = SealedKeyRing::new(Arc::clone(&signer), kek, Arc::clone(&self.entropy));
        let (&newest, _) = secrets.refresh_keys.last_key_value().expect("a key");
        let refresh = RefreshDeriver::new(secrets.refresh_keys.clone(), newest);
        let fingerprints = secrets.kek.subkey(FingerprintHasher::KEY_CONTEXT);
        let ports = session_api::Ports {
            store: Arc::clone(&self.store) as _,
            log: Arc::clone(&self.store) as _,
            cache: Arc::new(MemoryCache::new(Arc::clone(&self.clock))),
            limiter: Arc::new(MemoryLimiter::new(Arc::clone(&self.clock))),
            bus: Arc::clone(&self.bus) as _,
            signer,
            keys: Arc::new(ring),
            verifier,
            refresh: Arc::new(refresh.expect("a key")),
            agents: Arc::new(UserAgents::with("Desktop", [""; 0])),
            locator: Arc::new(GeoLocator::open(None, None)),
            fingerprints: Arc::new(FingerprintHasher::new(fingerprints)),
            clock: Arc::clone(&self.clock),
            timer: Arc::clone(&self.timer),
            entropy: Arc::clone(&self.entropy),
        };
        Api::new(config.clone(), ports, Arc::clone(&self.fence), meter)
    }
}

impl Running {
    /// All of it, with sessions that are idle after a second.
    async fn start(dir: &Path) -> Self {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = bind([("api", here), ("http", here), ("grpc", here)]).await;
        let [api_listener, http, grpc] = bound.expect("free ports");
        let (api, validator) = (api_listener.address(), http.address());
        let settings = load(Layers::default(), Settings::read);
        let mut config = settings.expect("defaults").value.at(api);
        config.policy.idle_timeout = Some(Duration::from_secs(1));
        config.activity_interval = Duration::from_millis(50);

        let quick = Layers::default().flag("reaper.tick", "--tick", "50ms");
        let reaping = load(quick, session_reaper::Config::read);
        let reaping = reaping.expect("defaults").value;

        let parts = Parts::new(dir).await;
        let bus = Arc::new(Losing {
            bus: Arc::clone(&parts.bus),
            loses: AtomicBool::new(true),
        });
        let life_max = LifeMax {
            access: config.policy.access_token_lifetime,
            session: config.policy.absolute_lifetime,
        };
        let issuer = config.policy.issuer.clone();
        let verifier = Arc::new(StrictVerifier::new(issuer.clone(), life_max));
        let shutdown = Shutdown::manual(Timing::default());
        let readiness = Readiness::new(&shutdown, []);
        let metrics = Metrics::new("test", "0").expect("metrics");
        let mut tasks = JoinSet::new();
        let composed = parts.api(dir, &config, Arc::clone(&verifier), &metrics.meter("test"));
        tasks.spawn(composed.run(api_listener, readiness.clone(), shutdown.clone()));
        tasks.spawn(session_validator::run(
            session_validator::Config {
                policies: Policies::new(Policy::new(issuer.clone())),
                client: ClientConfig {
                    reaper_lag_max: config.reaper_lag_max,
                    activity_interval: config.activity_interval,
                    ..ClientConfig::new(&issuer)
                },
                grpc_failures: session_validator::Failures::AsDenials,
            },
            session_validator::Ports {
                bus: Arc::clone(&bus) as _,
                verifier,
                clock: Arc::clone(&parts.clock),
                timer: Arc::clone(&parts.timer),
                entropy: Arc::clone(&parts.entropy),
            },
            Doors { http, grpc },
            None,
            metrics.meter("test"),
            readiness.clone(),
            shutdown.clone(),
        ));
        tasks.spawn(session_reaper::run(
            reaping,
            session_reaper::Ports {
                store: Arc::clone(&parts.store) as _,
                log: Arc::clone(&parts.store) as _,
                fence: Arc::clone(&parts.fence) as _,
                clock: Arc::clone(&parts.clock),
            },
            metrics.meter("test"),
            shutdown.clone(),
        ));
        while !readiness.is_ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self {
            http: Client::new(),
            api: format!("http://{api}"),
            validator: format!("http://{validator}"),
            bus,
            shutdown,
            tasks,
        }
    }

    fn service(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.api));
        request.bearer_auth(KEY)
    }

    async fn sign_in(&self, user: &str) -> SignedIn {
        let request = self.service(Method::POST, "/sessions").json(&login(user));
        SignedIn::from(&answer(request, 201).await)
    }

    /// A user's only session, as it stands in the database.
    async fn shown(&self, user: &str) -> Value {
        let path = format!("/sessions/user/{user}");
        let mut page = answer(self.service(Method::GET, &path), 200).await;
        page["sessions"][0].take()
    }

    /// What the validator answers to the cookie; used by it.
    async fn asked(&self, session: &SignedIn) -> u16 {
        let url = format!("{}/v1/authz/forwarded/default", self.validator);
        let cookie = format!("session={}", session.cookie);
        let response = self.http.get(url).header("Cookie", cookie).send().await;
        response.expect("an answer").status().as_u16()
    }

    async fn stop(mut self) {
        self.shutdown.drain();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic").expect("a clean end");
        }
    }
}

#[tokio::test]
async fn nobody_is_logged_out_while_it_cannot_be_told_that_they_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let used = running.sign_in("alice").await;
    running.sign_in("bob").await;
    let begun = Instant::now();
    // Three times what makes a session idle, and not a word of it arrives.
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(
            running.asked(&used).await,
            200,
            "after {:?}",
            begun.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for user in ["alice", "bob"] {
        let shown = running.shown(user).await;
        assert_eq!(shown["status"], "active");
        assert_eq!(
            shown["last_seen_at"], shown["created_at"],
            "nothing was told"
        );
    }

    // Once it can be told again, it is: who was there stays, who wasn't has been idle for long.
    running.bus.loses.store(false, Ordering::SeqCst);
    let healed = Instant::now();
    while running.shown("bob").await["status"] == "active" {
        assert!(healed.elapsed() < Duration::from_secs(10), "it ends");
        assert_eq!(
            running.asked(&used).await,
            200,
            "after {:?}",
            healed.elapsed()
        );
    }
    assert_eq!(running.shown("bob").await["end_reason"], json!("idle"));
    let shown = running.shown("alice").await;
    assert_eq!(shown["status"], "active");
    assert_ne!(shown["last_seen_at"], shown["created_at"]);

    // Left alone, it ends like any other.
    while running.shown("alice").await["status"] == "active" {
        assert!(healed.elapsed() < Duration::from_secs(20), "it ends");
    }
    assert_eq!(running.shown("alice").await["end_reason"], json!("idle"));
    running.stop().await;
}
