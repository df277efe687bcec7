//! `session-validator` as a process of its own: hears over NATS what has ended, and answers
//! gateways from memory.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use session_bus::NatsBus;
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::{ConfigArgs, load};
use session_runtime::listen::bind;
use session_runtime::private::{self, Readiness};
use session_runtime::program;
use session_runtime::shutdown::{Shutdown, Tasks};
use session_runtime::telemetry::{Metrics, init_logs};
use session_token::StrictVerifier;
use session_validator::{Doors, Ports, Reload, Settings};

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
            let again = config.clone();
            let run = |settings: Settings| {
                // Whatever else the file says by then is for the next start.
                let (issuer, origins) = (settings.issuer.clone(), settings.origins.clone());
                let reload = Reload::new(config.file_of_process(), move || {
                    let loaded = load(again.layers_of_process(), Settings::read)?;
                    Ok(loaded.value.policies.resolve(&issuer, &origins))
                });
                run(settings, reload)
            };
            program::run("session-validator", &config, layers, Settings::read, run)
        }
    }
}

async fn run(settings: Settings, reload: Reload) -> Result<()> {
    init_logs(&settings.log)?;
    let metrics = Metrics::new("session-validator", env!("CARGO_PKG_VERSION"))?;
    let [http, grpc, private_listener] = bind([
        ("validator", settings.listen),
        ("grpc", settings.grpc),
        ("private", settings.private),
    ])
    .await?;
    let (validator, private) = (http.address(), private_listener.address());
    let doors = Doors { http, grpc };
    let grpc = doors.grpc.address();
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
    let readiness = Readiness::new(&shutdown, ["validator"]);
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
            doors,
            Some(reload),
            metrics.meter("session-validator"),
            readiness,
            shutdown,
        ),
    );
    tracing::info!(%validator, %grpc, %private, "listening");
    let result = tasks.run().await;
    // The lease has been given up; what says so must still be sent.
    bus.close().await;
    result.context("stopped")
}
