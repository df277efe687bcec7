//! `session-standalone`: the whole session service in one process, on a file. API, validator and
//! reaper are the very ones that run apart elsewhere; only what connects them is chosen here.

mod config;
mod service_key;
mod welcome;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use opentelemetry::metrics::Meter;
use rustix::fs::Mode;
use session_api::Api;
use session_bus::{EventFile, InProcessBus};
use session_cache::{MemoryCache, MemoryLimiter};
use session_device::{FingerprintHasher, GeoLocator, UserAgents};
use session_domain::policy::SessionPolicy;
use session_domain::port::{
    Bus, Clock, Entropy, RevocationLog, SessionStore, Timer, TokenVerifier,
};
use session_domain::service_key::Scopes;
use session_domain::usecase::add_service_key::add_service_key;
use session_domain::usecase::fence::{FenceKeeper, FencePorts};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_runtime::config::{ConfigArgs, Layers, Mistakes, load};
use session_runtime::listen::bind;
use session_runtime::private::{self, Readiness};
use session_runtime::program;
use session_runtime::shutdown::{Shutdown, Tasks};
use session_runtime::telemetry::{Metrics, init_logs};
use session_store::SqliteStore;
use session_token::{
    ActiveSigner, LifeMax, RefreshDeriver, SealedKeyRing, Secrets, StrictVerifier,
};
use session_validator::{ClientConfig, Doors, Reload};

use config::Config;
use welcome::Addresses;

/// The whole session service in one process, on a file.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Options {
    /// The folder for the database, the secrets and the service key
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<String>,
    /// Where the validator listens for gateways, over HTTP
    #[arg(long, value_name = "ADDRESS")]
    validator_listen: Option<String>,
    /// Where the validator listens for gateways, over gRPC
    #[arg(long, value_name = "ADDRESS")]
    grpc_listen: Option<String>,
    /// Where health and metrics are
    #[arg(long, value_name = "ADDRESS")]
    private_listen: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to print instead of running.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Prints the API document (`OpenAPI`), as JSON
    Openapi,
    /// Prints the table of settings, in Markdown
    Settings,
    /// Says whether the configuration is good, and makes or binds nothing
    Check,
}

impl Options {
    fn layers(&self) -> Layers {
        let flags = [
            ("data_dir", "--data-dir", &self.data_dir),
            ("api.listen", "--api-listen", &self.api_listen),
            (
                "validator.listen",
                "--validator-listen",
                &self.validator_listen,
            ),
            ("grpc.listen", "--grpc-listen", &self.grpc_listen),
            ("private.listen", "--private-listen", &self.private_listen),
        ];
        flags.into_iter().fold(
            self.config.layers_of_process(),
            |layers, (field, flag, value)| match value {
                Some(value) => layers.flag(field, flag, value),
                None => layers,
            },
        )
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    // Whatever this process makes is for its owner alone: the database holds half of what refresh
    // tokens are made of.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let (name, args, layers) = ("session-standalone", &options.config, options.layers());
    match options.command {
        Some(Command::Openapi) => {
            println!("{}", session_api::http::document());
            ExitCode::SUCCESS
        }
        Some(Command::Settings) => program::print_settings(Config::read),
        Some(Command::Check) => program::run(name, args, layers, Config::read, check),
        None => {
            let file = args.file_of_process();
            let again = options.clone();
            let reread = move || load(again.layers(), Config::read).map(|loaded| loaded.value);
            let run = |config| run(config, file, reread);
            program::run(name, args, layers, Config::read, run)
        }
    }
}

/// Reading the settings was the check.
async fn check(_: Config) -> Result<()> {
    println!("the configuration is good");
    Ok(())
}

/// The parts that others are composed of.
struct Adapters {
    store: Arc<SqliteStore>,
    bus: Arc<InProcessBus>,
    clock: Arc<SystemClock>,
    timer: Arc<dyn Timer>,
    entropy: Arc<dyn Entropy>,
    fence: Arc<FenceKeeper>,
}

async fn run(
    config: Config,
    file: Option<PathBuf>,
    reread: impl Fn() -> Result<Config, Mistakes> + Send + Sync + 'static,
) -> Result<()> {
    init_logs(&config.log)?;
    let metrics = Metrics::new("session-standalone", env!("CARGO_PKG_VERSION"))?;
    let [
        api_listener,
        validator_listener,
        grpc_listener,
        private_listener,
    ] = bind([
        ("api", config.api),
        ("validator", config.validator),
        ("grpc", config.grpc),
        ("private", config.private),
    ])
    .await?;
    let addresses = Addresses {
        api: api_listener.address(),
        validator: validator_listener.address(),
        grpc: grpc_listener.address(),
        private: private_listener.address(),
    };

    make_folder(&config.data_dir)?;
    let adapters = open(&config.data_dir).await?;
    let secrets =
        Secrets::load_or_create(&config.data_dir.join("secrets"), adapters.entropy.as_ref())?;
    let key_file = introduce_service(&config, &adapters).await?;

    let shutdown = Shutdown::on_signals(config.shutdown)?;
    let readiness = Readiness::new(&shutdown, ["api", "validator"]);
    let api_config = config.settings.clone().at(addresses.api);
    let verifier = Arc::new(verifier(&api_config.policy));
    let devices = &config.devices;
    let (city, asn) = (devices.geoip_city.as_deref(), devices.geoip_asn.as_deref());
    let places = Arc::new(GeoLocator::open(city, asn));
    let api = compose_api(
        &config,
        &api_config,
        &adapters,
        &secrets,
        Arc::clone(&verifier) as _,
        Arc::clone(&places),
        &metrics.meter("session-api"),
    )?;

    let (issuer, origins) = (api_config.policy.issuer.clone(), api_config.origins.clone());
    let reload = Reload::new(file, move || {
        Ok(reread()?.policies.resolve(&issuer, &origins))
    });
    let mut tasks = Tasks::new(&shutdown);
    tasks.spawn(
        "private",
        private_listener.serve(
            private::routes(readiness.clone(), metrics.clone()),
            shutdown.clone(),
        ),
    );
    tasks.spawn(
        "api",
        api.run(api_listener, readiness.clone(), shutdown.clone()),
    );
    tasks.spawn(
        "validator",
        session_validator::run(
            validator_config(&config, &api_config),
            validator_ports(&adapters, verifier),
            Doors {
                http: validator_listener,
                grpc: grpc_listener,
            },
            Some(reload),
            metrics.meter("session-validator"),
            readiness.clone(),
            shutdown.clone(),
        ),
    );
    tasks.spawn(
        "geoip",
        keep_fresh(places, devices.geoip_reload, &adapters, shutdown.clone()),
    );
    session_reaper::spawn(
        &mut tasks,
        config.reaper.clone(),
        reaper_ports(&adapters),
        telling(&config, &api_config, &adapters)?,
        &metrics.meter("session-reaper"),
        &shutdown,
    );
    tasks.spawn(
        "welcome",
        welcome_when_ready(addresses, key_file, readiness, shutdown),
    );
    let result = tasks.run().await;
    adapters
        .store
        .close()
        .await
        .context("can't close the database")?;
    result.context("stopped")
}

fn make_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(path)
        .with_context(|| format!("can't make the folder {}", path.display()))
}

async fn open(data_dir: &Path) -> Result<Adapters> {
    let clock = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let timer: Arc<dyn Timer> = Arc::new(TokioTimer::new(SystemClock));
    let file = data_dir.join("sessions.db");
    let store = SqliteStore::open(&file, Arc::clone(&clock) as _, Arc::clone(&entropy)).await;
    let store = Arc::new(store.with_context(|| format!("can't use {}", file.display()))?);
    // The file is locked for this process, and leases are held over a bus within the process:
    // whoever held these is gone, and nobody need wait for them.
    let holders = store.holders().await?;
    for lease in holders.leases {
        store.forget(lease.instance, lease.counter).await?;
    }
    store.settle(holders.head.epoch).await?;
    let bus = Arc::new(InProcessBus::new());
    let fence = Arc::new(FenceKeeper::new(FencePorts {
        log: Arc::clone(&store) as _,
        bus: Arc::clone(&bus) as Arc<dyn Bus>,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        timer: Arc::clone(&timer),
    }));
    Ok(Adapters {
        store,
        bus,
        clock,
        timer,
        entropy,
        fence,
    })
}

/// Makes the first service known. Returns where its key is.
async fn introduce_service(config: &Config, adapters: &Adapters) -> Result<PathBuf> {
    let path = config.data_dir.join("service-key");
    let key = service_key::ready(
        &path,
        config.bootstrap_key.clone(),
        adapters.entropy.as_ref(),
    )?;
    let store: &dyn SessionStore = adapters.store.as_ref();
    let (clock, entropy) = (adapters.clock.as_ref(), adapters.entropy.as_ref());
    add_service_key(
        store,
        clock,
        entropy,
        "bootstrap",
        None,
        Scopes::all(),
        key.expose(),
    )
    .await?;
    Ok(path)
}

fn verifier(policy: &SessionPolicy) -> StrictVerifier {
    let life_max = LifeMax {
        access: policy.access_token_lifetime,
        session: policy.absolute_lifetime,
    };
    StrictVerifier::new(policy.issuer.clone(), life_max)
}

fn compose_api(
    config: &Config,
    api_config: &session_api::Config,
    adapters: &Adapters,
    secrets: &Secrets,
    verifier: Arc<dyn TokenVerifier>,
    places: Arc<GeoLocator>,
    meter: &Meter,
) -> Result<Api> {
    let signer = Arc::new(ActiveSigner::new());
    let ring = SealedKeyRing::new(
        Arc::clone(&signer),
        secrets.kek.clone(),
        Arc::clone(&adapters.entropy),
    );
    let (&newest, _) = secrets
        .refresh_keys
        .last_key_value()
        .context("no refresh key")?;
    let agents = UserAgents::with(
        &config.devices.desktop_label,
        &config.devices.desktop_patterns,
    );
    let ports = session_api::Ports {
        store: Arc::clone(&adapters.store) as _,
        log: Arc::clone(&adapters.store) as _,
        cache: Arc::new(MemoryCache::new(Arc::clone(&adapters.clock) as _)),
        limiter: Arc::new(MemoryLimiter::new(Arc::clone(&adapters.clock) as _)),
        bus: Arc::clone(&adapters.bus) as _,
        signer,
        keys: Arc::new(ring),
        verifier,
        refresh: Arc::new(RefreshDeriver::new(secrets.refresh_keys.clone(), newest)?),
        agents: Arc::new(agents),
        locator: places,
        fingerprints: Arc::new(FingerprintHasher::new(
            secrets.kek.subkey(FingerprintHasher::KEY_CONTEXT),
        )),
        clock: Arc::clone(&adapters.clock) as _,
        timer: Arc::clone(&adapters.timer),
        entropy: Arc::clone(&adapters.entropy),
    };
    Ok(Api::new(
        api_config.clone(),
        ports,
        Arc::clone(&adapters.fence),
        meter,
    ))
}

fn validator_config(config: &Config, api: &session_api::Config) -> session_validator::Config {
    let issuer = &api.policy.issuer;
    session_validator::Config {
        client: ClientConfig {
            reaper_lag_max: api.reaper_lag_max,
            activity_interval: api.activity_interval,
            checks_max: config.checks_max,
            ..ClientConfig::new(issuer)
        },
        policies: config.policies.resolve(issuer, &api.origins),
        grpc_failures: config.grpc_failures,
    }
}

fn validator_ports(adapters: &Adapters, verifier: Arc<StrictVerifier>) -> session_validator::Ports {
    session_validator::Ports {
        bus: Arc::clone(&adapters.bus) as _,
        verifier,
        clock: Arc::clone(&adapters.clock) as _,
        timer: Arc::clone(&adapters.timer),
        entropy: Arc::clone(&adapters.entropy),
    }
}

/// Takes new GeoIP databases until the process stops.
fn keep_fresh(
    places: Arc<GeoLocator>,
    every: Duration,
    adapters: &Adapters,
    shutdown: Shutdown,
) -> impl Future<Output = Result<(), Infallible>> + use<> {
    let (clock, timer) = (Arc::clone(&adapters.clock), Arc::clone(&adapters.timer));
    async move {
        tokio::select! {
            never = places.keep_fresh(every, clock, timer) => match never {},
            () = shutdown.draining() => Ok(()),
        }
    }
}

fn reaper_ports(adapters: &Adapters) -> session_reaper::Ports {
    session_reaper::Ports {
        store: Arc::clone(&adapters.store) as _,
        log: Arc::clone(&adapters.store) as _,
        fence: Arc::clone(&adapters.fence) as _,
        clock: Arc::clone(&adapters.clock) as _,
    }
}

/// How other systems hear what happens, where the operator says so.
fn telling(
    config: &Config,
    api: &session_api::Config,
    adapters: &Adapters,
) -> Result<Option<session_reaper::Telling>> {
    let Some(events) = &config.events else {
        return Ok(None);
    };
    let file = EventFile::open(&events.path, events.limits);
    let file = file.with_context(|| format!("can't write to {}", events.path.display()))?;
    let source = events.source.as_ref().unwrap_or(&api.policy.issuer);
    Ok(Some(session_reaper::Telling {
        outbox: Arc::clone(&adapters.store) as _,
        publisher: Arc::new(file),
        timer: Arc::clone(&adapters.timer),
        entropy: Arc::clone(&adapters.entropy),
        source: source.as_str().into(),
    }))
}

/// Tells people and programs once everything is ready.
async fn welcome_when_ready(
    addresses: Addresses,
    key_file: PathBuf,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    while !readiness.is_ready() && !shutdown.is_draining() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if !shutdown.is_draining() {
        let Addresses {
            api,
            validator,
            grpc,
            private,
        } = addresses;
        tracing::info!(%api, %validator, %grpc, %private, "ready");
        println!("{}", welcome::text(&addresses, &key_file));
    }
    shutdown.draining().await;
    Ok(())
}
