//! The product as it runs for real: processes of its own programs over private PostgreSQL, NATS
//! and, where wanted, Redis.
//!
//! ```no_run
//! use session_testkit::deployment::{Deployment, Role};
//!
//! let deployment = Deployment::prepare();
//! let api = deployment.start(Role::Api);
//! let validator = deployment.start(Role::Validator);
//! api.eventually_ready();
//! println!("{}", validator.url("validator", "/v1/authz/forwarded/default"));
//! ```

mod program;
mod programs;

use std::path::Path;

use tempfile::TempDir;

pub use program::{Program, Settings, output};
pub use programs::Role;

use crate::servers::{Nats, Postgres, Redis, folder};

/// The service key of every deployment.
pub const SERVICE_KEY: &str = "ssk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/// Where tokens say they come from unless settings say otherwise; nothing asks there.
const ISSUER: &str = "http://127.0.0.1:1";

/// Servers, and what processes are told about them. Processes are the caller's, to hurt as it
/// likes; they have to go before this does.
#[derive(Debug)]
pub struct Deployment {
    /// What every process is told, by the names of environment variables.
    pub settings: Settings,
    /// The truth.
    pub postgres: Postgres,
    /// The messages.
    pub nats: Nats,
    /// The cache, where there is one.
    pub redis: Option<Redis>,
    folder: TempDir,
}

impl Deployment {
    /// Starts PostgreSQL and NATS, and migrates the database.
    pub fn prepare() -> Self {
        Self::prepare_with(false)
    }

    /// As [`Self::prepare`], and with Redis.
    pub fn prepare_with_redis() -> Self {
        Self::prepare_with(true)
    }

    fn prepare_with(redis: bool) -> Self {
        let redis = redis.then(Redis::start);
        Self::over(Postgres::start(), Nats::start(), redis)
    }

    /// Over these servers, which are fresh; migrates the database.
    pub fn over(postgres: Postgres, nats: Nats, redis: Option<Redis>) -> Self {
        let folder = folder::fresh("deployment");
        let mut settings = settings(&postgres.url("postgres"), &nats.url(), folder.path());
        if let Some(redis) = &redis {
            settings.insert("SESSION_REDIS__URL".to_owned(), redis.url());
        }
        let deployment = Self {
            settings,
            postgres,
            nats,
            redis,
            folder,
        };
        deployment.migrate();
        deployment
    }

    /// Brings the database's schema to where the programs need it.
    pub fn migrate(&self) {
        let migrated = output(Role::Api, &self.settings, &["migrate"]);
        assert!(migrated.status.success(), "{migrated:?}");
    }

    /// Starts a process, and returns once it listens.
    pub fn start(&self, role: Role) -> Program {
        self.start_with(role, &[])
    }

    /// As [`Self::start`], with these settings besides, or instead.
    pub fn start_with(&self, role: Role, settings: &[(&str, &str)]) -> Program {
        let mut all = self.settings.clone();
        all.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Program::start(role, all)
    }

    /// A folder that goes with the deployment.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// What every process over these servers is told: to listen on free ports, to log in JSON.
pub fn settings(database: &str, nats: &str, folder: &Path) -> Settings {
    let secrets = folder.join("secrets").display().to_string();
    [
        ("SESSION_DATABASE__URL", database),
        ("SESSION_NATS__URL", nats),
        ("SESSION_ISSUER", ISSUER),
        ("SESSION_BOOTSTRAP_KEY", SERVICE_KEY),
        ("SESSION_API__LISTEN", "127.0.0.1:0"),
        ("SESSION_VALIDATOR__LISTEN", "127.0.0.1:0"),
        ("SESSION_GRPC__LISTEN", "127.0.0.1:0"),
        ("SESSION_PRIVATE__LISTEN", "127.0.0.1:0"),
        ("SESSION_LOG__FORMAT", "json"),
        ("SESSION_REAPER__TICK", "100ms"),
        ("SESSION_SECRETS__DIR", &secrets),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
