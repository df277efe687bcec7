//! What an operator decides about a standalone instance.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use session_api::config::{Devices, Settings, bootstrap_key};
use session_bus::FileLimits;
use session_domain::secret::Credential;
use session_runtime::config::{Mistaken, Reader};
use session_runtime::shutdown::Timing;
use session_runtime::telemetry::LogConfig;
use session_validator::{Failures, PolicySettings};

/// The decisions.
#[derive(Debug)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the validator listens for gateways over HTTP.
    pub validator: SocketAddr,
    /// Where the validator listens for gateways over gRPC.
    pub grpc: SocketAddr,
    /// Where health and metrics are.
    pub private: SocketAddr,
    /// The service key to accept from the first moment on.
    pub bootstrap_key: Option<Credential>,
    /// How devices and places are told apart.
    pub devices: Devices,
    /// The API's decisions.
    pub settings: Settings,
    /// How many sessions may wait to be checked with the API.
    pub checks_max: usize,
    /// How gateways are told over gRPC that something can't be known.
    pub grpc_failures: Failures,
    /// What a session must be for one kind of request, by name.
    pub policies: PolicySettings,
    /// The reaper's decisions.
    pub reaper: session_reaper::Config,
    /// How other systems hear what happens; `None` where they don't.
    pub events: Option<EventsInFile>,
    /// What is logged.
    pub log: LogConfig,
    /// How the process stops.
    pub shutdown: Timing,
}

/// How other systems hear what happens, on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsInFile {
    /// The file.
    pub path: PathBuf,
    /// How large it grows.
    pub limits: FileLimits,
    /// What events say they come from; `None` for the issuer.
    pub source: Option<String>,
}

impl EventsInFile {
    /// Reads the section `events`.
    fn read(reader: &mut Reader) -> Result<Option<Self>, Mistaken> {
        let path = reader
            .value("events.file")
            .doc("The file that events are appended to for other systems, as CloudEvents, one JSON object a line. Where nobody sets it, events stay in the audit trail.")
            .example("/var/log/sessions/events.jsonl")
            .optional_with(|text| Ok::<_, Infallible>(PathBuf::from(text)));
        let mebibytes = reader
            .value("events.file_mebibytes")
            .doc("How large the file grows, in MiB, before it is renamed and a new one begun.")
            .default("64")
            .within::<u64>(1, 65_536);
        let files_max = reader
            .value("events.files")
            .doc("How many such files there are at most, the current one included; the oldest is deleted.")
            .default("8")
            .within(2, 1_000);
        let source = reader
            .value("events.source")
            .doc("What events say they come from (`source`). Where nobody sets it, the issuer.")
            .example("https://sessions.example.com")
            .optional_with(session_reaper::event_source);
        let limits = FileLimits {
            bytes_max: mebibytes? * 1024 * 1024,
            files_max: files_max?,
        };
        let (path, source) = (path?, source?);
        Ok(path.map(|path| Self {
            path,
            limits,
            source,
        }))
    }
}

impl Config {
    /// Reads all of it.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let data_dir = reader
            .value("data_dir")
            .doc("The folder for the database, the secrets and the service key. Made where it doesn't exist.")
            .default("var")
            .parse_with(|text| Ok::<_, Infallible>(PathBuf::from(text)));
        let mut listen = |name, doc, default| reader.value(name).doc(doc).default(default).parse();
        let api = listen("api.listen", "Where the API listens.", "127.0.0.1:8080");
        let validator = listen(
            "validator.listen",
            "Where the validator listens for gateways, over HTTP.",
            "127.0.0.1:8081",
        );
        let grpc = listen(
            "grpc.listen",
            "Where the validator listens for gateways, over gRPC (Envoy's `ext_authz`).",
            "127.0.0.1:8082",
        );
        let private = listen(
            "private.listen",
            "Where health and metrics are.",
            "127.0.0.1:9090",
        );
        let bootstrap_key = bootstrap_key(
            reader,
            "A service key to accept, `ssk_` and at least 43 letters or digits. Where nobody sets it, one is made and kept in the data folder.",
        );
        let devices = Devices::read(reader);
        let settings = Settings::read(reader);
        let checks_max = session_validator::checks_max(reader);
        let grpc_failures = session_validator::grpc_failures(reader);
        let policies = PolicySettings::read(reader);
        let reaping = session_reaper::Config::read(reader);
        let events = EventsInFile::read(reader);
        let log = LogConfig::read(reader);
        let shutdown = Timing::read(reader);
        Ok(Self {
            data_dir: data_dir?,
            api: api?,
            validator: validator?,
            grpc: grpc?,
            private: private?,
            bootstrap_key: bootstrap_key?,
            devices: devices?,
            settings: settings?,
            checks_max: checks_max?,
            grpc_failures: grpc_failures?,
            policies: policies?,
            reaper: reaping?,
            events: events?,
            log: log?,
            shutdown: shutdown?,
        })
    }
}
