//! What an operator decides about the API.

mod policy;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use session_bus::NatsConfig;
use session_cache::{KeyPrefix, RedisConfig, RedisUrl};
use session_device::{DESKTOP_LABEL, DESKTOP_PATTERNS};
use session_domain::policy::SessionPolicy;
use session_domain::secret::Credential;
use session_domain::service_key;
use session_runtime::config::{DatabaseLink, Mistaken, NatsLink, Reader, RedisLink, origin};
use session_runtime::shutdown::Timing;
use session_runtime::telemetry::LogConfig;
use session_store::{PostgresOptions, PostgresUrl};

/// The decisions, with the names that depend on where the process ended up listening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Lifetimes, limits, names.
    pub policy: SessionPolicy,
    /// How long validators' leases are (L): the longest a revoke waits for one that is gone.
    pub lease: Duration,
    /// How far the reaper may lag before session tokens are checked with the database.
    pub reaper_lag_max: Duration,
    /// How often it is written which sessions are used.
    pub activity_interval: Duration,
    /// The origins whose pages may act with the session cookie.
    pub origins: Vec<String>,
    /// The proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// How many invalid credentials may come from one address in a minute.
    pub invalid_credentials_per_minute: u32,
}

/// The decisions as they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    issuer: Option<String>,
    policy: SessionPolicy,
    lease: Duration,
    reaper_lag_max: Duration,
    activity_interval: Duration,
    origins: Vec<String>,
    trusted_proxies: Vec<IpNet>,
    invalid_credentials_per_minute: u32,
}

impl Settings {
    /// Reads `issuer`, `origins`, `lease`, and the sections `session` and `token`.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let issuer = reader
            .value("issuer")
            .doc("The URL tokens are issued under (`iss`), without a trailing slash. Where nobody sets it, the API's own address.")
            .example("https://sessions.example.com")
            .optional_with(issuer);
        let origins = reader
            .value("origins")
            .doc("The origins whose pages may act with the session cookie, besides the issuer's own.")
            .example("https://app.example.com")
            .list_with(origin);
        let trusted_proxies = reader
            .value("trusted_proxies")
            .doc("The networks of the proxies in front of the API, whose X-Forwarded-For is believed. Where nobody sets it, nobody's is.")
            .example("10.0.0.0/8, 2001:db8::/32")
            .list();
        let invalid_credentials_per_minute = reader
            .value("limit.invalid_credentials_per_minute")
            .doc("How many invalid credentials may come from one address in a minute before it is told to wait.")
            .default("20")
            .within(1, 1_000_000);
        let lease = reader
            .value("lease")
            .doc("How long a validator may answer from memory without hearing from the API (L): the longest a revoke waits for a validator that is gone.")
            .default("5s")
            .duration_within("1s", "1m");
        let reaper_lag_max = reader
            .value("reaper.lag_max")
            .doc("How far the reaper may lag before session tokens are checked with the database on each request.")
            .default("1m")
            .duration_within("1s", "1d");
        let activity_interval = reader
            .value("activity.interval")
            .doc("How often it is written which sessions are used: a process that dies may lose as much, and a session ends for being idle as much later.")
            .default("1s")
            .duration_within("10ms", "1m");
        let policy = policy::policy(reader);
        Ok(Self {
            issuer: issuer?,
            origins: origins?,
            lease: lease?,
            reaper_lag_max: reaper_lag_max?,
            activity_interval: activity_interval?,
            trusted_proxies: trusted_proxies?,
            invalid_credentials_per_minute: invalid_credentials_per_minute?,
            policy: policy?,
        })
    }

    /// The decisions of a process whose API listens at `address`.
    pub fn at(self, address: std::net::SocketAddr) -> Config {
        let issuer = self.issuer.unwrap_or_else(|| format!("http://{address}"));
        let mut origins = self.origins;
        if !origins.contains(&issuer) {
            origins.push(issuer.clone());
        }
        Config {
            policy: SessionPolicy {
                issuer,
                ..self.policy
            },
            lease: self.lease,
            reaper_lag_max: self.reaper_lag_max,
            activity_interval: self.activity_interval,
            origins,
            trusted_proxies: self.trusted_proxies,
            invalid_credentials_per_minute: self.invalid_credentials_per_minute,
        }
    }
}

/// The decisions of an API that runs as a process of its own.
#[derive(Debug)]
pub struct Process {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where health and metrics are.
    pub private: SocketAddr,
    /// Where the truth is.
    pub database: Database,
    /// How the other processes are reached.
    pub nats: NatsConfig,
    /// What processes share readings and limits through, where there is such a thing.
    pub redis: Option<RedisConfig>,
    /// Where the keys are that stay out of the database.
    pub secrets: PathBuf,
    /// The service key to accept from the first moment on.
    pub bootstrap_key: Option<Credential>,
    /// How devices and places are told apart.
    pub devices: Devices,
    /// The API's own decisions.
    pub settings: Settings,
    /// What is logged.
    pub log: LogConfig,
    /// How the process stops.
    pub shutdown: Timing,
}

impl Process {
    /// Reads all of it.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let mut listen = |name, doc, default| reader.value(name).doc(doc).default(default).parse();
        let public = listen("api.listen", "Where the API listens.", "127.0.0.1:8080");
        let private = listen(
            "private.listen",
            "Where health and metrics are.",
            "127.0.0.1:9090",
        );
        let database = Database::read(reader);
        let nats = NatsLink::read(reader, "_INBOX_api");
        let redis = redis(reader);
        let secrets = reader
            .value("secrets.dir")
            .doc("The folder with the keys that seal signing keys and derive refresh tokens; the same for every replica. Made, with new keys, where there is none.")
            .example("/var/lib/session/secrets")
            .parse_with(|text| Ok::<_, Infallible>(PathBuf::from(text)));
        let bootstrap_key = bootstrap_key(
            reader,
            "A service key to accept, `ssk_` and at least 43 letters or digits; `session-api add-service-key` makes others.",
        );
        let devices = Devices::read(reader);
        let settings = Settings::read(reader);
        let log = LogConfig::read(reader);
        let shutdown = Timing::read(reader);
        reader.leave_alone("reaper");
        reader.leave_others_alone();
        let nats = nats?;
        Ok(Self {
            listen: public?,
            private: private?,
            database: database?,
            nats: NatsConfig {
                prefix: nats.prefix,
                inbox: nats.inbox,
                credentials_file: nats.credentials_file,
                nkey_file: nats.nkey_file,
                ca_file: nats.ca_file,
                require_tls: nats.require_tls,
                ..NatsConfig::new(nats.servers, "api")
            },
            redis: redis?,
            secrets: secrets?,
            bootstrap_key: bootstrap_key?,
            devices: devices?,
            settings: settings?,
            log: log?,
            shutdown: shutdown?,
        })
    }
}

/// Reads the section `redis`; `None` where no server is named.
fn redis(reader: &mut Reader) -> Result<Option<RedisConfig>, Mistaken> {
    let link = RedisLink::<RedisUrl, KeyPrefix>::read(reader)?;
    let Some(mut url) = link.url else {
        return Ok(None);
    };
    if link.ca_file.is_some() && !url.is_tls() {
        return Err(reader.mistake("redis.ca_file", "needs a `redis.url` with rediss://"));
    }
    if let Some(password) = link.password {
        if url.has_password() {
            return Err(reader.mistake("redis.password", "is in `redis.url`, too"));
        }
        url = url.with_password(password);
    }
    Ok(Some(RedisConfig {
        prefix: link.prefix,
        connections_max: link.connections_max,
        timeout: link.timeout,
        ca_file: link.ca_file,
        ..RedisConfig::new(url)
    }))
}

/// Which database, and how it is used.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where it is.
    pub url: PostgresUrl,
    /// How it is used.
    pub options: PostgresOptions,
}

impl Database {
    /// Reads the section `database`.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let link = DatabaseLink::read(reader)?;
        let options = PostgresOptions {
            connections_max: link.connections_max,
            connection_timeout: link.connection_timeout,
            ..PostgresOptions::default()
        };
        Ok(Self {
            url: link.url,
            options,
        })
    }

    /// Reads it alone, for a command that needs nothing else of the process's settings.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn alone(reader: &mut Reader) -> Result<Self, Mistaken> {
        let database = Self::read(reader);
        reader.leave_others_alone();
        database
    }
}

/// How devices and places are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// What desktop applications that show web pages are called.
    pub desktop_label: String,
    /// What the user agents of their web views contain.
    pub desktop_patterns: Vec<String>,
    /// Where the GeoIP City database is.
    pub geoip_city: Option<PathBuf>,
    /// Where the GeoIP ASN database is.
    pub geoip_asn: Option<PathBuf>,
    /// How often to look whether they were replaced.
    pub geoip_reload: Duration,
}

impl Devices {
    /// Reads the sections `device` and `geoip`.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let desktop_label = reader
            .value("device.desktop_label")
            .doc("What desktop applications that show web pages are called.")
            .default(DESKTOP_LABEL)
            .parse();
        let desktop_patterns = reader
            .value("device.desktop_patterns")
            .doc("Texts that the user agents of their web views contain, in any case of letters.")
            .default(&DESKTOP_PATTERNS.join(","))
            .list();
        let mut file = |name, doc| {
            reader
                .value(name)
                .doc(doc)
                .optional_with(|text| Ok::<_, Infallible>(PathBuf::from(text)))
        };
        let geoip_city = file(
            "geoip.city",
            "A City database in MaxMind's format; without one, places are unknown.",
        );
        let geoip_asn = file(
            "geoip.asn",
            "An ASN database in MaxMind's format; without one, networks are unknown.",
        );
        let geoip_reload = reader
            .value("geoip.reload")
            .doc("How often to look whether a database was replaced. A damaged one is not taken.")
            .default("1m")
            .duration_within("1s", "1d");
        Ok(Self {
            desktop_label: desktop_label?,
            desktop_patterns: desktop_patterns?,
            geoip_city: geoip_city?,
            geoip_asn: geoip_asn?,
            geoip_reload: geoip_reload?,
        })
    }
}

/// Reads `bootstrap_key`, a service key to accept from the first moment on.
///
/// # Errors
/// The mistake has been noted.
pub fn bootstrap_key(
    reader: &mut Reader,
    doc: &'static str,
) -> Result<Option<Credential>, Mistaken> {
    reader
        .value("bootstrap_key")
        .doc(doc)
        .secret()
        .optional_with(|text| {
            let strong = service_key::is_well_formed(text);
            strong
                .then(|| Credential::new(text.to_owned()))
                .ok_or("must be `ssk_` and at least 43 letters or digits")
        })
}

/// An issuer (RFC 8414 §2): https, or http on this machine; scheme, host and port alone.
fn issuer(text: &str) -> Result<String, &'static str> {
    let text = origin(text)?;
    if text.len() > 200 {
        Err("must be at most 200 characters")
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
