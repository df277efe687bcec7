//! What an operator decides about the reaper.

use std::net::SocketAddr;
use std::time::Duration;

use session_bus::{EventStream, NatsConfig, StreamName, SubjectPrefix};
use session_runtime::config::{DatabaseLink, Mistaken, NatsLink, Reader, origin};
use session_runtime::shutdown::Timing;
use session_runtime::telemetry::LogConfig;
use session_store::{PostgresOptions, PostgresUrl};

use crate::Purging;

/// The decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How often overdue sessions are looked for.
    pub tick: Duration,
    /// How many end in one transaction.
    pub batch: u32,
    /// How long things are kept.
    pub purging: Purging,
}

impl Config {
    /// Reads the sections `reaper` and `retention`.
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
        let purging = Purging::read(reader);
        Ok(Self {
            tick: tick?,
            batch: batch?,
            purging: purging?,
        })
    }
}

/// How other systems hear what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// The stream they are told through.
    pub stream: EventStream,
    /// What events say they come from.
    pub source: String,
}

impl Events {
    /// Reads the section `events`; `None` where nobody is to be told.
    ///
    /// # Errors
    /// The mistakes have been noted.
    fn read(reader: &mut Reader, prefix: Option<&SubjectPrefix>) -> Result<Option<Self>, Mistaken> {
        let publish = reader
            .value("events.publish")
            .doc("Whether other systems are told what happens, through a JetStream stream. Where they aren't, events stay in the audit trail.")
            .default("true")
            .parse::<bool>();
        let name = reader
            .value("events.stream")
            .doc("The stream's name. Where nobody sets it, the prefix in capitals and `_EVENTS`: `SESSION_EVENTS`.")
            .optional::<StreamName>();
        let max_age = reader
            .value("events.max_age")
            .doc("How long the stream keeps an event. As all its limits: where the reaper makes the stream; one that is there stays as it is.")
            .default("7d")
            .duration_within("1h", "3650d");
        let mebibytes = reader
            .value("events.max_mebibytes")
            .doc("How much the stream keeps, in MiB; the oldest events go first.")
            .default("1024")
            .within::<u64>(1, 1_048_576);
        let replicas = reader
            .value("events.replicas")
            .doc("On how many NATS servers the stream keeps each event.")
            .default("1")
            .within(1, 5);
        let source = reader
            .value("events.source")
            .doc("What events say they come from (`source`). Where nobody sets it, the issuer; where nobody says that either, `/` and `nats.prefix`. With `id` it names an event, so it had better stay the same.")
            .example("https://sessions.example.com")
            .optional_with(event_source);
        let issuer = reader
            .value("issuer")
            .doc("The URL tokens are issued under (`iss`), without a trailing slash; the same as the API's.")
            .example("https://sessions.example.com")
            .optional_with(origin);
        let (publish, name, max_age) = (publish?, name?, max_age?);
        let (mebibytes, replicas, source, issuer) = (mebibytes?, replicas?, source?, issuer?);
        // Without a prefix there is a mistake already.
        let prefix = prefix.cloned().unwrap_or_default();
        let stream = EventStream {
            name: name.unwrap_or_else(|| StreamName::of(&prefix)),
            max_age,
            max_bytes: mebibytes * 1024 * 1024,
            replicas,
        };
        let source = source.or(issuer).unwrap_or_else(|| format!("/{prefix}"));
        Ok(publish.then_some(Self { stream, source }))
    }
}

/// Something that the `source` of an event may be; the standard asks for a URI reference.
///
/// # Errors
/// The rule, worded to follow the value.
pub fn event_source(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    if (1..=256).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("must be a URL or a path, 1 to 256 characters")
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
    /// How other systems hear what happens; `None` where they don't.
    pub events: Option<Events>,
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
        let events = Events::read(reader, nats.as_ref().ok().map(|nats| &nats.prefix));
        let config = Config::read(reader);
        let log = LogConfig::read(reader);
        let shutdown = Timing::read(reader);
        reader.leave_alone("reaper.lag_max");
        // Where events go in a process that has no NATS.
        for file in ["events.file", "events.file_mebibytes", "events.files"] {
            reader.leave_alone(file);
        }
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
            events: events?,
            config: config?,
            log: log?,
            shutdown: shutdown?,
        })
    }
}
