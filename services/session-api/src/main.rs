//! `session-api` as a process of its own: the truth is in PostgreSQL, the other processes are heard
//! and told over NATS.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use opentelemetry::metrics::Meter;
use rustix::fs::Mode;
use session_api::config::{Database, Process};
use session_api::{Api, Ports};
use session_bus::NatsBus;
use session_device::{FingerprintHasher, GeoLocator, UserAgents};
use session_domain::event::Actor;
use session_domain::ids::TenantId;
use session_domain::port::{PortError, RateLimiter, RevocationLog, SessionCache};
use session_domain::service_key::{Scope, Scopes};
use session_domain::usecase::add_service_key::add_service_key;
use session_domain::usecase::fence::{FenceKeeper, FencePorts};
use session_domain::usecase::issue_service_key::{NewService, issue_service_key};
use session_runtime::authority::AuthorityClock;
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::ConfigArgs;
use session_runtime::listen::bind;
use session_runtime::private::{self, Check, Readiness};
use session_runtime::program;
use session_runtime::reach::{insist, reach, watch};
use session_runtime::shutdown::{Shutdown, Tasks};
use session_runtime::telemetry::{Metrics, init_logs};
use session_store::{OpenError, PostgresStore};
use session_token::{
    ActiveSigner, LifeMax, RefreshDeriver, SealedKeyRing, Secrets, StrictVerifier,
};

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
    /// Says whether the configuration is good, and starts nothing
    Check,
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

/// Its name, for whoever reads what it prints.
const NAME: &str = "session-api";

fn main() -> ExitCode {
    let Options { config, command } = Options::parse();
    // The secrets this process may make are for its owner alone.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let layers = config.layers_of_process();
    match command {
        Some(Command::Openapi) => {
            println!("{}", session_api::http::document());
            ExitCode::SUCCESS
        }
        Some(Command::Settings) => program::print_settings(Process::read),
        Some(Command::Migrate) => program::run(NAME, &config, layers, Database::alone, migrate),
        Some(Command::AddServiceKey(key)) => {
            program::run(NAME, &config, layers, Database::alone, |database| {
                make_service_key(database, key)
            })
        }
        Some(Command::Check) => program::run(NAME, &config, layers, Process::read, check),
        None => program::run(NAME, &config, layers, Process::read, run),
    }
}

/// Reading the settings was the check.
async fn check(_: Process) -> Result<()> {
    println!("the configuration is good");
    Ok(())
}

async fn migrate(Database { url, options }: Database) -> Result<()> {
    let migrated = PostgresStore::migrate(&url, &options).await;
    migrated.with_context(|| format!("can't migrate {url}"))?;
    println!("{url} is as this program needs it");
    Ok(())
}

async fn make_service_key(database: Database, key: NewKey) -> Result<()> {
    let clock = AuthorityClock::new(SystemClock);
    let store = open(&database, &clock).await;
    let store = store.with_context(|| format!("can't use {}", database.url))?;
    let service = NewService {
        name: key.name,
        tenant: key.tenant,
        scopes: Scopes(key.scopes),
    };
    let made = issue_service_key(&store, &clock, &SystemEntropy, Actor::System, service).await;
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
    let shared = Shared::open(&process, &secrets, &metrics).await?;
    let clock = Arc::clone(&shared.clock);

    let shutdown = Shutdown::on_signals(process.shutdown)?;
    let readiness = Readiness::new(&shutdown, ["api", "database"]);
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
    let Some(store) = connect(&process.database, &clock, &reached, &shutdown).await? else {
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
    let introduce = || introduce_service(&process, &clock, &store);
    let introduced = insist(
        "the bootstrap key",
        &shutdown,
        PortError::is_retry,
        introduce,
    );
    introduced
        .await
        .context("can't make the bootstrap key known")?;
    let devices = &process.devices;
    let (city, asn) = (devices.geoip_city.as_deref(), devices.geoip_asn.as_deref());
    let places = Arc::new(GeoLocator::open(city, asn));
    let adapters = Adapters {
        store: Arc::clone(&store),
        bus: Arc::clone(&bus),
        shared,
        places: Arc::clone(&places),
        meter: metrics.meter("session-api"),
    };
    let serving = compose(&process, api, &secrets, adapters)?;
    tasks.spawn("api", serving.run(listener, readiness, shutdown.clone()));
    tasks.spawn("geoip", keep_fresh(places, devices.geoip_reload, shutdown));
    let result = tasks.run().await;
    // The lease has been given up; what says so must still be sent.
    bus.close().await;
    store.close().await;
    result.context("stopped")
}

/// Connects to the database, and learns its time.
async fn open(
    Database { url, options }: &Database,
    clock: &AuthorityClock,
) -> Result<PostgresStore, OpenError> {
    let (own, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let store = PostgresStore::connect(url, options, own, entropy).await?;
    let asked = clock.learn(async || store.time().await).await;
    asked.map(|()| store).map_err(OpenError::Time)
}

/// Connects to the database, for as long as it takes unless waiting won't help; `None` where the
/// process is told to stop meanwhile.
async fn connect(
    database: &Database,
    clock: &AuthorityClock,
    check: &Check,
    shutdown: &Shutdown,
) -> Result<Option<Arc<PostgresStore>>> {
    let connect = async || open(database, clock).await;
    let reached = reach(
        "the database",
        check,
        shutdown,
        OpenError::is_passing,
        connect,
    );
    let store = reached
        .await
        .with_context(|| format!("can't use {}", database.url))?;
    Ok(store.map(Arc::new))
}

/// Makes the first service known, where the operator named its key.
async fn introduce_service(
    process: &Process,
    clock: &AuthorityClock,
    store: &PostgresStore,
) -> Result<(), PortError> {
    let Some(key) = &process.bootstrap_key else {
        return Ok(());
    };
    let (entropy, scopes) = (&SystemEntropy, Scopes::all());
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
    .map(|_| ())
}

/// What this process has in common with the others.
struct Shared {
    /// The database's time.
    clock: Arc<AuthorityClock>,
    cache: Arc<dyn SessionCache>,
    limiter: Arc<dyn RateLimiter>,
}

impl Shared {
    /// Shares readings and limits with the other processes, where a server for that is named.
    async fn open(process: &Process, secrets: &Secrets, metrics: &Metrics) -> Result<Self> {
        let clock = Arc::new(AuthorityClock::new(SystemClock));
        let redis = process.redis.as_ref();
        let key = secrets.kek.subkey(session_cache::KEY_CONTEXT);
        let meter = metrics.meter("session-cache");
        let opened = session_cache::open(redis, &key, Arc::clone(&clock) as _, &meter).await;
        let (cache, limiter) = opened.with_context(|| match redis {
            Some(redis) => format!("can't use {}", redis.url),
            None => "can't remember".to_owned(),
        })?;
        Ok(Self {
            clock,
            cache,
            limiter,
        })
    }
}

/// What the API is composed of, apart from what its secrets make.
struct Adapters {
    store: Arc<PostgresStore>,
    bus: Arc<NatsBus>,
    shared: Shared,
    places: Arc<GeoLocator>,
    meter: Meter,
}

fn compose(
    process: &Process,
    listens: std::net::SocketAddr,
    secrets: &Secrets,
    adapters: Adapters,
) -> Result<Api> {
    let Adapters {
        store,
        bus,
        shared,
        places,
        meter,
    } = adapters;
    let config = process.settings.clone().at(listens);
    let entropy = Arc::new(SystemEntropy);
    let timer = Arc::new(TokioTimer::new(SystemClock));
    let fence = Arc::new(FenceKeeper::new(FencePorts {
        log: Arc::clone(&store) as _,
        bus: Arc::clone(&bus) as _,
        clock: Arc::clone(&shared.clock) as _,
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
        store: Arc::clone(&store) as _,
        log: store,
        cache: shared.cache,
        limiter: shared.limiter,
        bus,
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
            secrets.kek.subkey(FingerprintHasher::KEY_CONTEXT),
        )),
        clock: shared.clock,
        timer,
        entropy,
    };
    Ok(Api::new(config, ports, fence, &meter))
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
