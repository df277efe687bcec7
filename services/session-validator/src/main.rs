//! `session-validator` as a process of its own: hears over NATS what has ended, and answers
//! gateways from memory.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use session_bus::NatsBus;
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::ConfigArgs;
use session_runtime::listen::bind;
use session_runtime::private::{self, Readiness};
use session_runtime::program;
use session_runtime::shutdown::{Shutdown, Tasks};
use session_runtime::telemetry::{Metrics, init_logs};
use session_token::StrictVerifier;
use session_validator::{Ports, Settings};

/// Answers gateways from memory: is this session still good?
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to print instead of running.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Prints the table of settings, in Markdown
    Settings,
}

fn main() -> ExitCode {
    let Options { config, command } = Options::parse();
    match command {
        Some(Command::Settings) => program::print_settings(Settings::read),
        None => {
            let layers = config.layers_of_process();
            program::run("session-validator", &config, layers, Settings::read, run)
        }
    }
}

async fn run(settings: Settings) -> Result<()> {
    init_logs(&settings.log)?;
    let metrics = Metrics::new("session-validator", env!("CARGO_PKG_VERSION"))?;
    let [listener, private_listener] = bind([
        ("validator", settings.listen),
        ("private", settings.private),
    ])
    .await?;
    let (validator, private) = (listener.address(), private_listener.address());
    let bus = NatsBus::connect(&settings.nats, &metrics.meter("session-bus")).await;
    let bus = Arc::new(bus.with_context(|| format!("can't use {}", settings.nats.servers))?);
    let ports = Ports {
        bus: Arc::clone(&bus) as _,
        verifier: Arc::new(StrictVerifier::new(settings.issuer, settings.life_max)),
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer::new(SystemClock)),
        entropy: Arc::new(SystemEntropy),
    };

    let shutdown = Shutdown::on_signals(settings.shutdown)?;
    let readiness = Readiness::new(&shutdown);
    let mut tasks = Tasks::new(&shutdown);
    tasks.spawn(
        "private",
        private_listener.serve(
            private::routes(readiness.clone(), metrics.clone()),
            shutdown.clone(),
        ),
    );
    tasks.spawn(
        "validator",
        session_validator::run(
            settings.config,
            ports,
            listener,
            metrics.meter("session-validator"),
            readiness,
            shutdown,
        ),
    );
    tracing::info!(%validator, %private, "listening");
    let result = tasks.run().await;
    // The lease has been given up; what says so must still be sent.
    bus.close().await;
    result.context("stopped")
}
