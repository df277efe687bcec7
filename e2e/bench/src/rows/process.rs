//! A validator as the real program, over a real NATS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use session_bus::{NatsBus, NatsConfig};
use session_domain::port::Clock;
use session_runtime::clock::SystemClock;
use session_runtime::telemetry::Metrics;
use session_testkit::deployment::{Program, Role, Settings};
use session_testkit::servers::Nats;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::authority::{Authority, ISSUER};

/// A validator that is ready, and what it follows. The process goes first.
pub struct Validator {
    program: Program,
    /// What it follows.
    pub authority: Authority,
    /// From its start until it was ready.
    pub took: Duration,
    _serving: JoinSet<()>,
    _nats: Nats,
}

impl Validator {
    /// Starts one that follows an authority of this many sessions.
    pub fn start(runtime: &Runtime, sessions: u64) -> Result<Self> {
        let nats = Nats::start();
        let authority = Authority::new(sessions)?;
        let serving = runtime.block_on(serve(authority.clone(), &nats))?;
        let settings: Settings = [
            ("SESSION_ISSUER", ISSUER),
            ("SESSION_NATS__URL", &nats.url()),
            ("SESSION_VALIDATOR__LISTEN", "127.0.0.1:0"),
            ("SESSION_GRPC__LISTEN", "127.0.0.1:0"),
            ("SESSION_PRIVATE__LISTEN", "127.0.0.1:0"),
            ("SESSION_LOG__FORMAT", "json"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let begun = SystemClock.boot();
        let program = Program::start(Role::Validator, settings);
        program.eventually_ready();
        let took = SystemClock.boot().since(begun);
        Ok(Self {
            program,
            authority,
            took,
            _serving: serving,
            _nats: nats,
        })
    }

    /// Where it listens, as `validator` or `grpc`.
    pub fn address(&self, listener: &str) -> SocketAddr {
        self.program.address(listener)
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        self.program.pid().context("it runs")
    }
}

async fn serve(authority: Authority, nats: &Nats) -> Result<JoinSet<()>> {
    let config = NatsConfig::new(nats.url().parse()?, "api");
    let metrics = Metrics::new("bench", "0")?;
    let bus = NatsBus::connect(&config, &metrics.meter("bus")).await?;
    authority.serve(Arc::new(bus)).await
}
