//! A validator ready-made: it follows over NATS and checks tokens as `session-validator` does. The
//! one place of this crate that names adapters, as a service's `main.rs` does.

use std::future::Future;
use std::sync::Arc;

use session_bus::NatsBus;
pub use session_bus::NatsConfig;
use session_domain::port::PortError;
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
pub use session_token::LifeMax;
use session_token::StrictVerifier;

use crate::{Config, Following, Policies, Ports, Validator};

/// Whom to hear from, and whose tokens are good.
#[derive(Debug, Clone)]
pub struct Link {
    /// How NATS is reached; a validator's permissions are enough (`docs/operations.md`).
    pub nats: NatsConfig,
    /// Whose tokens are good: the API's `issuer`.
    pub issuer: String,
    /// How long tokens may live at most; no less than what the API is told.
    pub life_max: LifeMax,
}

impl Link {
    /// To `servers` (`nats://…`), for tokens of `issuer`, on the API's default lifetimes.
    ///
    /// # Errors
    /// The text names no servers.
    pub fn new(servers: &str, issuer: &str) -> Result<Self, session_bus::InvalidServers> {
        let policy = session_domain::policy::SessionPolicy::new(issuer.to_owned());
        Ok(Self {
            nats: NatsConfig::new(servers.parse()?, "validator"),
            issuer: policy.issuer,
            life_max: LifeMax {
                access: policy.access_token_lifetime,
                session: policy.absolute_lifetime,
            },
        })
    }
}

/// What keeps a connected validator knowing.
#[must_use = "a validator knows nothing until this runs"]
pub struct Connection {
    bus: Arc<NatsBus>,
    following: Following,
}

impl Connection {
    /// Runs until `stop`, which must come only once nobody is answered any more; then says goodbye,
    /// so that no end waits for this process.
    ///
    /// # Errors
    /// See [`Following::run`].
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), PortError> {
        let result = self.following.run(stop).await;
        // The lease has been given up; what says so must still be sent.
        self.bus.close().await;
        result
    }
}

/// A validator over `link`. It works once [`Connection::run`] does, and is ready
/// ([`Validator::is_ready`]) once it holds its first lease.
///
/// # Errors
/// Where NATS refuses the credentials; servers that aren't there yet are waited for.
pub async fn connect(
    link: Link,
    config: Config,
    policies: Policies,
) -> Result<(Validator, Connection), PortError> {
    let meter = opentelemetry::global::meter("session-client");
    let bus = Arc::new(NatsBus::connect(&link.nats, &meter).await?);
    let ports = Ports {
        bus: Arc::clone(&bus) as _,
        verifier: Arc::new(StrictVerifier::new(link.issuer, link.life_max)),
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer::new(SystemClock)),
        entropy: Arc::new(SystemEntropy),
    };
    let (validator, following) = Validator::new(config, policies, ports);
    Ok((validator, Connection { bus, following }))
}
