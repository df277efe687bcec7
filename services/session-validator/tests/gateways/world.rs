//! A validator that listens, the authority it follows, and a bus between them that can be stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use futures::stream::BoxStream;
use reqwest::Client;
use session_bus::InProcessBus;
use session_domain::port::{Bus, BusReply, BusRequest, Incoming, PortError};
use session_domain::revocation::{Acknowledgement, Publication};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::{Layers, load};
use session_runtime::listen::bind;
use session_runtime::private::Readiness;
use session_runtime::shutdown::{Shutdown, Timing};
use session_runtime::telemetry::Metrics;
use session_token::{LifeMax, StrictVerifier};
use session_validator::{ClientConfig, Config, Doors, Failures, PolicySettings, Ports};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::authority::{Authority, ISSUER};

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How many checks may be under way.
pub const CHECKS_MAX: usize = 2;

const POLICIES: &str = r#"
[acr]
levels = ["low", "aal1", "high"]
[policy.strong]
min_acr = "high"
[policy.fresh]
max_age = "100s"
[policy.scoped]
scopes = ["read", "write"]
[policy.bank]
audience = "https://bank.example"
[policy.bearer]
cookie = false
[policy.cors]
preflight = true
[policy.closed]
failure_status = 403
[policy.sockets]
websocket_origins = ["https://chat.example"]
websocket_token = true
"#;

/// A bus that hands leases and checks on only while it is told to.
pub struct Valve {
    bus: InProcessBus,
    open: watch::Sender<bool>,
}

impl Valve {
    /// Lets no lease and no check through from now on.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Lets them through again, also those that wait.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// How many checks wait.
    pub fn waiting(&self) -> usize {
        self.open.receiver_count()
    }
}

#[async_trait::async_trait]
impl Bus for Valve {
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
        let cut = || PortError::retry("request", "the valve is closed");
        match request {
            BusRequest::Check(_) => {
                let mut open = self.open.subscribe();
                let opened = tokio::time::timeout(within, open.wait_for(|open| *open)).await;
                opened.map_err(|_| cut())?.map_err(|_| cut())?;
            }
            _ if *self.open.borrow() => {}
            _ => return Err(cut()),
        }
        self.bus.request(request, within).await
    }

    async fn requests(&self) -> Result<BoxStream<'static, Incoming>, PortError> {
        self.bus.requests().await
    }
}

/// All of it, running.
pub struct World {
    pub authority: Authority,
    pub valve: Arc<Valve>,
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub client: Client,
    pub envoy: AuthorizationClient<Channel>,
    pub shutdown: Shutdown,
    pub running: JoinHandle<Result<(), PortError>>,
}

impl World {
    /// One whose validator holds a lease.
    pub async fn ready() -> Self {
        let world = Self::start(true).await;
        let (_, token) = world.authority.sign_in().await;
        let answered = async || world.status("default", token.expose()).await == 200;
        eventually(answered).await;
        world
    }

    /// One whose validator has never heard of anybody.
    pub async fn blind() -> Self {
        Self::start(false).await
    }

    async fn start(open: bool) -> Self {
        let valve = Arc::new(Valve {
            bus: InProcessBus::new(),
            open: watch::Sender::new(open),
        });
        let authority = Authority::over(Arc::clone(&valve) as _).await;
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = bind([("http", here), ("grpc", here)]).await;
        let [http, grpc] = bound.expect("free ports");
        let doors = Doors { http, grpc };
        let (http, grpc) = (doors.http.address(), doors.grpc.address());
        let policies = load(
            Layers::default().file("policies", POLICIES),
            PolicySettings::read,
        );
        let policies = policies.expect("policies").value;
        let config = Config {
            client: ClientConfig {
                check_within: PATIENCE,
                checks_max: CHECKS_MAX,
                activity_interval: Duration::from_millis(50),
                ..ClientConfig::new(ISSUER)
            },
            policies: policies.resolve(ISSUER, &["https://app.example".to_owned()]),
            grpc_failures: Failures::AsDenials,
        };
        let life_max = LifeMax {
            access: Duration::from_secs(600),
            session: Duration::from_secs(30 * 86_400),
        };
        let ports = Ports {
            bus: Arc::clone(&valve) as _,
            verifier: Arc::new(StrictVerifier::new(ISSUER.to_owned(), life_max)),
            clock: Arc::new(SystemClock),
            timer: Arc::new(TokioTimer::new(SystemClock)),
            entropy: Arc::new(SystemEntropy),
        };
        let shutdown = Shutdown::manual(Timing::default());
        let readiness = Readiness::new(&shutdown, []);
        let meter = Metrics::new("test", "0").expect("metrics").meter("test");
        let run = session_validator::run(
            config,
            ports,
            doors,
            None,
            meter,
            readiness,
            shutdown.clone(),
        );
        let running = tokio::spawn(run);
        let envoy = AuthorizationClient::connect(format!("http://{grpc}")).await;
        Self {
            authority,
            valve,
            http,
            grpc,
            client: Client::builder().no_proxy().build().expect("a client"),
            envoy: envoy.expect("a connection"),
            shutdown,
            running,
        }
    }

    /// The status for a bearer token by a policy.
    pub async fn status(&self, policy: &str, token: &str) -> u16 {
        let url = format!("http://{}/v1/authz/forwarded/{policy}", self.http);
        let asked = self.client.get(url).bearer_auth(token).send().await;
        asked.expect("an answer").status().as_u16()
    }

    /// Asks as Envoy does.
    pub async fn check(&self, request: CheckRequest) -> CheckResponse {
        let answered = self.envoy.clone().check(request).await;
        answered.expect("an answer").into_inner()
    }
}

/// Waits until it is so.
pub async fn eventually(so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.expect("it happens in time");
}
