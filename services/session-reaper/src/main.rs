//! `session-reaper` as a process of its own. Any number of them share the work.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use session_bus::NatsBus;
use session_domain::port::RevocationLog;
use session_domain::usecase::fence::{FenceKeeper, FencePorts};
use session_reaper::{Ports, Process, Telling};
use session_runtime::authority::AuthorityClock;
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::ConfigArgs;
use session_runtime::listen::bind;
use session_runtime::private::{self, Check, Readiness};
use session_runtime::program;
use session_runtime::reach::{reach, watch};
use session_runtime::shutdown::{Shutdown, Tasks};
use session_runtime::telemetry::{Metrics, init_logs};
use session_store::{OpenError, PostgresStore};

/// Ends sessions whose time is over.
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
        Some(Command::Settings) => program::print_settings(Process::read),
        None => {
            let layers = config.layers_of_process();
            program::run("session-reaper", &config, layers, Process::read, run)
        }
    }
}

async fn run(process: Process) -> Result<()> {
    init_logs(&process.log)?;
    let metrics = Metrics::new("session-reaper", env!("CARGO_PKG_VERSION"))?;
    let [private_listener] = bind([("private", process.private)]).await?;
    let private = private_listener.address();
    let bus = NatsBus::connect(&process.nats, &metrics.meter("session-bus")).await;
    let bus = Arc::new(bus.with_context(|| format!("can't use {}", process.nats.servers))?);

    let shutdown = Shutdown::on_signals(process.shutdown)?;
    let readiness = Readiness::new(&shutdown, ["database", "nats"]);
    let reached = readiness.check("database");
    let heard = readiness.check("nats");
    let clock = Arc::new(AuthorityClock::new(SystemClock));
    let mut tasks = Tasks::new(&shutdown);
    tasks.spawn(
        "private",
        private_listener.serve(
            private::routes(readiness, metrics.clone()),
            shutdown.clone(),
        ),
    );
    tracing::info!(%private, "listening");
    let Some(store) = connect(&process, &clock, &reached, &shutdown).await? else {
        return tasks.run().await.context("stopped");
    };
    let (probed, ticking, watched) = (Arc::clone(&store), Arc::clone(&clock), shutdown.clone());
    tasks.spawn(
        "database",
        watch("the database", reached, watched, async move || {
            ticking.learn(async || probed.time().await).await?;
            probed.head().await
        }),
    );
    let (asked, watched) = (Arc::clone(&bus), shutdown.clone());
    tasks.spawn(
        "nats",
        watch("NATS", heard, watched, async move || asked.answers().await),
    );
    let fence = Arc::new(FenceKeeper::new(FencePorts {
        log: Arc::clone(&store) as _,
        bus: Arc::clone(&bus) as _,
        clock: Arc::clone(&clock) as _,
        timer: Arc::new(TokioTimer::new(SystemClock)),
    }));
    let ports = Ports {
        store: Arc::clone(&store) as _,
        log: Arc::clone(&store) as _,
        fence: Arc::clone(&fence) as _,
        clock,
    };
    let fenced = shutdown.clone();
    tasks.spawn("fence", async move { fence.run(fenced.draining()).await });
    let telling = process.events.map(|events| Telling {
        outbox: Arc::clone(&store) as _,
        publisher: Arc::new(bus.events(events.stream)),
        timer: Arc::new(TokioTimer::new(SystemClock)),
        entropy: Arc::new(SystemEntropy),
        source: events.source.into(),
    });
    let meter = metrics.meter("session-reaper");
    session_reaper::spawn(
        &mut tasks,
        process.config,
        ports,
        telling,
        &meter,
        &shutdown,
    );
    let result = tasks.run().await;
    // What was announced last must still be sent.
    bus.close().await;
    store.close().await;
    result.context("stopped")
}

/// Connects to the database, for as long as it takes unless waiting won't help; `None` where the
/// process is told to stop meanwhile.
async fn connect(
    process: &Process,
    clock: &AuthorityClock,
    check: &Check,
    shutdown: &Shutdown,
) -> Result<Option<Arc<PostgresStore>>> {
    let Process { url, options, .. } = process;
    // Nobody waits for a reaper, so it may wait for whoever migrates.
    let passing = |error: &OpenError| error.is_passing() || matches!(error, OpenError::Unmigrated);
    let connect = async || {
        let (own, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let store = PostgresStore::connect(url, options, own, entropy).await?;
        let asked = clock.learn(async || store.time().await).await;
        asked.map(|()| store).map_err(OpenError::Time)
    };
    let reached = reach("the database", check, shutdown, passing, connect).await;
    let store = reached.with_context(|| format!("can't use {url}"))?;
    Ok(store.map(Arc::new))
}
