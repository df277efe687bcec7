//! What an operator decides about a standalone instance.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use session_api::config::Settings;
use session_device::{DESKTOP_LABEL, DESKTOP_PATTERNS};
use session_domain::secret::Credential;
use session_domain::service_key;
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
        let bootstrap_key = reader
            .value("bootstrap_key")
            .doc("A service key to accept, `ssk_` and at least 43 letters or digits. Where nobody sets it, one is made and kept in the data folder.")
            .secret()
            .optional_with(|text| {
                let strong = service_key::is_well_formed(text);
                strong.then(|| Credential::new(text.to_owned())).ok_or("must be `ssk_` and at least 43 letters or digits")
            });
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
        let mut path = |name, doc| {
            reader
                .value(name)
                .doc(doc)
                .optional_with(|text| Ok::<_, Infallible>(PathBuf::from(text)))
        };
        let geoip_city = path(
            "geoip.city",
            "A City database in MaxMind's format; without one, places are unknown.",
        );
        let geoip_asn = path(
            "geoip.asn",
            "An ASN database in MaxMind's format; without one, networks are unknown.",
        );
        let geoip_reload = reader
            .value("geoip.reload")
            .doc("How often to look whether a database was replaced. A damaged one is not taken.")
            .default("1m")
            .duration_within("1s", "1d");
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
            desktop_label: desktop_label?,
            desktop_patterns: desktop_patterns?,
            geoip_city: geoip_city?,
            geoip_asn: geoip_asn?,
            geoip_reload: geoip_reload?,
            settings: settings?,
            reaper: reaping?,
            log: log?,
            shutdown: shutdown?,
        })
    }
}
