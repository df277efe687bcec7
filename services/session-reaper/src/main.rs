//! `session-reaper` as a process of its own. Any number of them share the work.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use session_bus::NatsBus;
use session_domain::usecase::fence::{FenceKeeper, FencePorts};
use session_reaper::{Ports, Process};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::{
    ConfigArgs, describe, docs_table, exit_on_mistakes, load, print_config,
};
use session_runtime::listen::bind;
use session_runtime::private::{self, Check, Readiness};
use session_runtime::shutdown::{Shutdown, Tasks};
use session_runtime::telemetry::{Metrics, init_logs};
use session_store::{OpenError, PostgresStore};

/// The pause before the database is tried again while it can't be used.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

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
    let options = Options::parse();
    if let Some(Command::Settings) = options.command {
        print!("{}", docs_table(&describe(Process::read)));
        return ExitCode::SUCCESS;
    }
    let loaded = exit_on_mistakes(load(options.config.layers_of_process(), Process::read));
    if options.config.print_config {
        print!("{}", print_config(&loaded.fields));
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start threads");
    match runtime.and_then(|runtime| runtime.block_on(run(loaded.value))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("session-reaper: {error:#}");
            ExitCode::FAILURE
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
    let readiness = Readiness::new(&shutdown);
    let reached = readiness.check("database");
    let mut tasks = Tasks::new(&shutdown);
    tasks.spawn(
        "private",
        private_listener.serve(
            private::routes(readiness, metrics.clone()),
            shutdown.clone(),
        ),
    );
    tracing::info!(%private, "listening");
    let Some(store) = reach(&process, &reached, &shutdown).await? else {
        return tasks.run().await.context("stopped");
    };
    let fence = Arc::new(FenceKeeper::new(FencePorts {
        log: Arc::clone(&store) as _,
        bus: Arc::clone(&bus) as _,
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer::new(SystemClock)),
    }));
    let ports = Ports {
        store: Arc::clone(&store) as _,
        fence: Arc::clone(&fence) as _,
        clock: Arc::new(SystemClock),
    };
    let fenced = shutdown.clone();
    tasks.spawn("fence", async move { fence.run(fenced.draining()).await });
    tasks.spawn(
        "reaper",
        session_reaper::run(process.config, ports, shutdown),
    );
    let result = tasks.run().await;
    // What was announced last must still be sent.
    bus.close().await;
    store.close().await;
    result.context("stopped")
}

/// Connects to the database, for as long as it takes unless waiting won't help; `None` where the
/// process is told to stop meanwhile.
async fn reach(
    process: &Process,
    check: &Check,
    shutdown: &Shutdown,
) -> Result<Option<Arc<PostgresStore>>> {
    let Process { url, options, .. } = process;
    loop {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let connecting = PostgresStore::connect(url, options, clock, entropy);
        let connected = tokio::select! {
            connected = connecting => connected,
            () = shutdown.draining() => return Ok(None),
        };
        match connected {
            Ok(store) => {
                check.pass();
                return Ok(Some(Arc::new(store)));
            }
            // Nobody waits for a reaper, so it may wait for whoever migrates.
            Err(error) if error.is_passing() || matches!(error, OpenError::Unmigrated) => {
                tracing::warn!(%url, error = &error as &dyn std::error::Error, "the database can't be used yet; trying again");
                check.fail(error.to_string());
            }
            Err(error) => return Err(error).with_context(|| format!("can't use {url}")),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN_AFTER) => {}
            () = shutdown.draining() => return Ok(None),
        }
    }
}
