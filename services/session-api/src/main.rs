//! `session-api` as a process of its own: the truth is in PostgreSQL, the other processes are heard
//! and told over NATS.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use rustix::fs::Mode;
use session_api::config::{Database, Process};
use session_api::{Api, Ports};
use session_bus::NatsBus;
use session_cache::{MemoryCache, MemoryLimiter};
use session_device::{FingerprintHasher, GeoLocator, UserAgents};
use session_domain::event::Actor;
use session_domain::ids::TenantId;
use session_domain::service_key::{Scope, Scopes};
use session_domain::usecase::add_service_key::add_service_key;
use session_domain::usecase::fence::{FenceKeeper, FencePorts};
use session_domain::usecase::issue_service_key::{NewService, issue_service_key};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::{
    ConfigArgs, describe, docs_table, exit_on_mistakes, load, print_config,
};
use session_runtime::listen::bind;
use session_runtime::private::{self, Check, Readiness};
use session_runtime::shutdown::{Shutdown, Tasks};
use session_runtime::telemetry::{Metrics, init_logs};
use session_store::PostgresStore;
use session_token::{
    ActiveSigner, LifeMax, RefreshDeriver, SealedKeyRing, Secrets, StrictVerifier,
};

/// The pause before the database is tried again while it can't be reached.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the key for device fingerprints is derived for.
const FINGERPRINT_CONTEXT: &str = "session-service 2026 device fingerprint";

/// Creates, shows, refreshes and ends sessions; grants leases to validators.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Prints the API document (`OpenAPI`), as JSON
    Openapi,
    /// Prints the table of settings, in Markdown
    Settings,
    /// Brings the database's schema to where this program needs it; needs `database.url` alone
    Migrate,
    /// Makes a key for a service and prints it, this once; needs `database.url` alone
    AddServiceKey(NewKey),
}

/// Whom a key is for.
#[derive(Debug, Clone, clap::Args)]
struct NewKey {
    /// What people call the service
    #[arg(long)]
    name: String,
    /// What it may do; several times for several
    #[arg(long = "scope", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// The only tenant it may act for
    #[arg(long)]
    tenant: Option<TenantId>,
}

fn scope(text: &str) -> Result<Scope, String> {
    let names = || Scope::ALL.map(Scope::as_str).join(", ");
    Scope::from_name(text).ok_or_else(|| format!("must be one of {}", names()))
}

fn main() -> ExitCode {
    let options = Options::parse();
    // The secrets this process may make are for its owner alone.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let layers = options.config.layers_of_process();
    match options.command {
        Some(Command::Openapi) => {
            println!("{}", session_api::http::document());
            ExitCode::SUCCESS
        }
        Some(Command::Settings) => {
            print!("{}", docs_table(&describe(Process::read)));
            ExitCode::SUCCESS
        }
        Some(Command::Migrate) => {
            let database = exit_on_mistakes(load(layers, Database::alone)).value;
            finish(migrate(database))
        }
        Some(Command::AddServiceKey(key)) => {
            let database = exit_on_mistakes(load(layers, Database::alone)).value;
            finish(make_service_key(database, key))
        }
        None => {
            let loaded = exit_on_mistakes(load(layers, Process::read));
            if options.config.print_config {
                print!("{}", print_config(&loaded.fields));
                return ExitCode::SUCCESS;
            }
            finish(run(loaded.value))
        }
    }
}

fn finish(work: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start threads");
    match runtime.and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("session-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn migrate(Database { url, options }: Database) -> Result<()> {
    let migrated = PostgresStore::migrate(&url, &options).await;
    migrated.with_context(|| format!("can't migrate {url}"))?;
    println!("{url} is as this program needs it");
    Ok(())
}

async fn make_service_key(Database { url, options }: Database, key: NewKey) -> Result<()> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let store = PostgresStore::connect(&url, &options, clock.clone(), entropy.clone()).await;
    let store = store.with_context(|| format!("can't use {url}"))?;
    let service = NewService {
        name: key.name,
        tenant: key.tenant,
        scopes: Scopes(key.scopes),
    };
    let made = issue_service_key(&store, &*clock, &*entropy, Actor::System, service).await;
    store.close().await;
    println!("{}", made.context("can't make a key")?.1.expose());
    Ok(())
}

async fn run(process: Process) -> Result<()> {
    init_logs(&process.log)?;
    let metrics = Metrics::new("session-api", env!("CARGO_PKG_VERSION"))?;
    let [listener, private_listener] =
        bind([("api", process.listen), ("private", process.private)]).await?;
    let (api, private) = (listener.address(), private_listener.address());
    let secrets = Secrets::load_or_create(&process.secrets, &SystemEntropy)?;
    let bus = NatsBus::connect(&process.nats, &metrics.meter("session-bus")).await;
    let bus = Arc::new(bus.with_context(|| format!("can't use {}", process.nats.servers))?);

    let shutdown = Shutdown::on_signals(process.shutdown)?;
    let readiness = Readiness::new(&shutdown);
    let reached = readiness.check("database");
    let mut tasks = Tasks::new(&shutdown);
    tasks.spawn(
        "private",
        private_listener.serve(
            private::routes(readiness.clone(), metrics.clone()),
            shutdown.clone(),
        ),
    );
    tracing::info!(%api, %private, "listening");
    let Some(store) = reach(&process.database, &reached, &shutdown).await? else {
        return tasks.run().await.context("stopped");
    };
    introduce_service(&process, &store).await?;
    let devices = &process.devices;
    let (city, asn) = (devices.geoip_city.as_deref(), devices.geoip_asn.as_deref());
    let places = Arc::new(GeoLocator::open(city, asn));
    let serving = compose(&process, api, &store, &bus, &secrets, Arc::clone(&places))?;
    tasks.spawn("api", serving.run(listener, readiness, shutdown.clone()));
    tasks.spawn("geoip", keep_fresh(places, devices.geoip_reload, shutdown));
    let result = tasks.run().await;
    // The lease has been given up; what says so must still be sent.
    bus.close().await;
    store.close().await;
    result.context("stopped")
}

/// Connects to the database, for as long as it takes unless waiting won't help; `None` where the
/// process is told to stop meanwhile.
async fn reach(
    database: &Database,
    check: &Check,
    shutdown: &Shutdown,
) -> Result<Option<Arc<PostgresStore>>> {
    let Database { url, options } = database;
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
            Err(error) if error.is_passing() => {
                tracing::warn!(%url, error = &error as &dyn std::error::Error, "the database can't be used yet; trying again");
                check.fail("it can't be reached");
            }
            Err(error) => return Err(error).with_context(|| format!("can't use {url}")),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN_AFTER) => {}
            () = shutdown.draining() => return Ok(None),
        }
    }
}

/// Makes the first service known, where the operator named its key.
async fn introduce_service(process: &Process, store: &PostgresStore) -> Result<()> {
    let Some(key) = &process.bootstrap_key else {
        return Ok(());
    };
    let (clock, entropy, scopes) = (&SystemClock, &SystemEntropy, Scopes::all());
    add_service_key(
        store,
        clock,
        entropy,
        "bootstrap",
        None,
        scopes,
        key.expose(),
    )
    .await
    .context("can't make the bootstrap key known")?;
    Ok(())
}

fn compose(
    process: &Process,
    listens: std::net::SocketAddr,
    store: &Arc<PostgresStore>,
    bus: &Arc<NatsBus>,
    secrets: &Secrets,
    places: Arc<GeoLocator>,
) -> Result<Api> {
    let config = process.settings.clone().at(listens);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let timer = Arc::new(TokioTimer::new(SystemClock));
    let fence = Arc::new(FenceKeeper::new(FencePorts {
        log: Arc::clone(store) as _,
        bus: Arc::clone(bus) as _,
        clock: Arc::clone(&clock) as _,
        timer: Arc::clone(&timer) as _,
    }));
    let life_max = LifeMax {
        access: config.policy.access_token_lifetime,
        session: config.policy.absolute_lifetime,
    };
    let signer = Arc::new(ActiveSigner::new());
    let ring = SealedKeyRing::new(
        Arc::clone(&signer),
        secrets.kek.clone(),
        Arc::clone(&entropy) as _,
    );
    let (&newest, _) = secrets
        .refresh_keys
        .last_key_value()
        .context("no refresh key")?;
    let devices = &process.devices;
    let ports = Ports {
        store: Arc::clone(store) as _,
        log: Arc::clone(store) as _,
        cache: Arc::new(MemoryCache::new(Arc::clone(&clock) as _)),
        limiter: Arc::new(MemoryLimiter::new(Arc::clone(&clock) as _)),
        bus: Arc::clone(bus) as _,
        signer,
        keys: Arc::new(ring),
        verifier: Arc::new(StrictVerifier::new(config.policy.issuer.clone(), life_max)),
        refresh: Arc::new(RefreshDeriver::new(secrets.refresh_keys.clone(), newest)?),
        agents: Arc::new(UserAgents::with(
            &devices.desktop_label,
            &devices.desktop_patterns,
        )),
        locator: places,
        fingerprints: Arc::new(FingerprintHasher::new(
            secrets.kek.subkey(FINGERPRINT_CONTEXT),
        )),
        clock,
        timer,
        entropy,
    };
    Ok(Api::new(config, ports, fence))
}

/// Takes new GeoIP databases until the process stops.
async fn keep_fresh(
    places: Arc<GeoLocator>,
    every: Duration,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let timer = Arc::new(TokioTimer::new(SystemClock));
    tokio::select! {
        never = places.keep_fresh(every, Arc::new(SystemClock), timer) => match never {},
        () = shutdown.draining() => Ok(()),
    }
}
