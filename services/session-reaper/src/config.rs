//! What an operator decides about the reaper.

use std::net::SocketAddr;
use std::time::Duration;

use session_bus::NatsConfig;
use session_runtime::config::{DatabaseLink, Mistaken, NatsLink, Reader};
use session_runtime::shutdown::Timing;
use session_runtime::telemetry::LogConfig;
use session_store::{PostgresOptions, PostgresUrl};

/// The decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How often overdue sessions are looked for.
    pub tick: Duration,
    /// How many end in one transaction.
    pub batch: u32,
}

impl Config {
    /// Reads the section `reaper`.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let tick = reader
            .value("reaper.tick")
            .doc("How often overdue sessions are looked for.")
            .default("1s")
            .duration_within("10ms", "1m");
        let batch = reader
            .value("reaper.batch")
            .doc("How many overdue sessions end in one transaction.")
            .default("500")
            .within(1, 1_000);
        Ok(Self {
            tick: tick?,
            batch: batch?,
        })
    }
}

/// The decisions of a reaper that runs as a process of its own.
#[derive(Debug)]
pub struct Process {
    /// Where health and metrics are.
    pub private: SocketAddr,
    /// Where the database is.
    pub url: PostgresUrl,
    /// How it is used.
    pub options: PostgresOptions,
    /// How ends are announced.
    pub nats: NatsConfig,
    /// The reaper's own decisions.
    pub config: Config,
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
        let private = reader
            .value("private.listen")
            .doc("Where health and metrics are.")
            .default("127.0.0.1:9090")
            .parse();
        let database = DatabaseLink::read(reader);
        let nats = NatsLink::read(reader, "_INBOX_reaper");
        let config = Config::read(reader);
        let log = LogConfig::read(reader);
        let shutdown = Timing::read(reader);
        reader.leave_alone("reaper.lag_max");
        reader.leave_others_alone();
        let (database, nats) = (database?, nats?);
        Ok(Self {
            private: private?,
            url: database.url,
            options: PostgresOptions {
                connections_max: database.connections_max,
                connection_timeout: database.connection_timeout,
                ..PostgresOptions::default()
            },
            nats: NatsConfig {
                prefix: nats.prefix,
                inbox: nats.inbox,
                credentials_file: nats.credentials_file,
                nkey_file: nats.nkey_file,
                ca_file: nats.ca_file,
                require_tls: nats.require_tls,
                ..NatsConfig::new(nats.servers, "reaper")
            },
            config: config?,
            log: log?,
            shutdown: shutdown?,
        })
    }
}
