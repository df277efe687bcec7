//! What an operator decides about a standalone instance.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use session_api::config::{Devices, Settings, bootstrap_key};
use session_domain::secret::Credential;
use session_runtime::config::{Mistaken, Reader};
use session_runtime::shutdown::Timing;
use session_runtime::telemetry::LogConfig;

/// The decisions.
#[derive(Debug)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the validator listens for gateways over HTTP.
    pub validator: SocketAddr,
    /// Where the validator will listen for gateways over gRPC.
    pub grpc: SocketAddr,
    /// Where health and metrics are.
    pub private: SocketAddr,
    /// The service key to accept from the first moment on.
    pub bootstrap_key: Option<Credential>,
    /// How devices and places are told apart.
    pub devices: Devices,
    /// The API's decisions.
    pub settings: Settings,
    /// The reaper's decisions.
    pub reaper: session_reaper::Config,
    /// What is logged.
    pub log: LogConfig,
    /// How the process stops.
    pub shutdown: Timing,
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
            "Kept for gateways that ask over gRPC.",
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
        let reaping = session_reaper::Config::read(reader);
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
            reaper: reaping?,
            log: log?,
            shutdown: shutdown?,
        })
    }
}
