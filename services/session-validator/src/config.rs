//! What an operator decides about a validator.

use std::net::SocketAddr;

use session_bus::NatsConfig;
use session_client::{Config as ClientConfig, Policies};
use session_runtime::config::{Mistaken, NatsLink, Reader, origin};
use session_runtime::shutdown::Timing;
use session_runtime::telemetry::LogConfig;
use session_token::LifeMax;

use crate::grpc::Failures;
use crate::policies::PolicySettings;

/// The decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What holds for every request.
    pub client: ClientConfig,
    /// What a session must be, by name.
    pub policies: Policies,
    /// How gateways are told over gRPC that something can't be known.
    pub grpc_failures: Failures,
}

/// The decisions of a validator that runs as a process of its own.
#[derive(Debug)]
pub struct Settings {
    /// Where gateways ask, over HTTP.
    pub listen: SocketAddr,
    /// Where gateways ask, over gRPC.
    pub grpc: SocketAddr,
    /// Where health and metrics are.
    pub private: SocketAddr,
    /// How the authority is reached.
    pub nats: NatsConfig,
    /// Whose tokens are good.
    pub issuer: String,
    /// How long a token may live at most.
    pub life_max: LifeMax,
    /// The origins of the service's own pages.
    pub origins: Vec<String>,
    /// What is said of policies, for this issuer and these origins or for others.
    pub policies: PolicySettings,
    /// The validator's own decisions.
    pub config: Config,
    /// What is logged.
    pub log: LogConfig,
    /// How the process stops.
    pub shutdown: Timing,
}

impl Settings {
    /// Reads all of it.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let mut listen = |name, doc, default| reader.value(name).doc(doc).default(default).parse();
        let public = listen(
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
        let issuer = reader
            .value("issuer")
            .doc("The URL tokens are issued under (`iss`), without a trailing slash; the same as the API's.")
            .example("https://sessions.example.com")
            .parse_with(origin);
        let origins = reader
            .value("origins")
            .doc("The origins whose pages may open WebSockets with the session cookie, besides the issuer's own.")
            .example("https://app.example.com")
            .list_with(origin);
        let nats = nats(reader);
        let life_max = life_max(reader);
        let reaper_lag_max = reader
            .value("reaper.lag_max")
            .doc("How far the reaper may lag before session tokens are checked with the API on each request.")
            .default("1m")
            .duration_within("1s", "1d");
        let activity_interval = reader
            .value("activity.interval")
            .doc("How often the API is told which sessions are used: a process that dies may lose as much, and a session ends for being idle as much later.")
            .default("1s")
            .duration_within("10ms", "1m");
        let checks_max = checks_max(reader);
        let grpc_failures = grpc_failures(reader);
        let policies = PolicySettings::read(reader);
        let log = LogConfig::read(reader);
        let shutdown = Timing::read(reader);
        for shared in ["reaper", "session", "token"] {
            reader.leave_alone(shared);
        }
        reader.leave_others_alone();
        let (issuer, mut origins, policies) = (issuer?, origins?, policies?);
        if !origins.contains(&issuer) {
            origins.push(issuer.clone());
        }
        let config = Config {
            client: ClientConfig {
                reaper_lag_max: reaper_lag_max?,
                activity_interval: activity_interval?,
                checks_max: checks_max?,
                ..ClientConfig::new(&issuer)
            },
            policies: policies.resolve(&issuer, &origins),
            grpc_failures: grpc_failures?,
        };
        Ok(Self {
            listen: public?,
            grpc: grpc?,
            private: private?,
            nats: nats?,
            issuer,
            origins,
            policies,
            life_max: life_max?,
            config,
            log: log?,
            shutdown: shutdown?,
        })
    }
}

/// How many checks with the API may be under way.
///
/// # Errors
/// The mistake has been noted.
pub fn checks_max(reader: &mut Reader) -> Result<usize, Mistaken> {
    reader
        .value("validator.checks")
        .doc("How many sessions may wait to be checked with the API, as all do while there is no lease; further ones are refused at once, to be tried again.")
        .default("512")
        .within(1, 65_536)
}

/// How gateways are told over gRPC that something can't be known.
///
/// # Errors
/// The mistake has been noted.
pub fn grpc_failures(reader: &mut Reader) -> Result<Failures, Mistaken> {
    reader
        .value("grpc.failures")
        .doc("How a gateway is told over gRPC that something can't be known right now: `denied`, which all understand, or `error` (`error_response`), which Envoy counts apart and lets through where `failure_mode_allow` says so; gateways that don't know it may let everything through.")
        .default("denied")
        .one_of(&[("denied", Failures::AsDenials), ("error", Failures::AsErrors)])
}

fn nats(reader: &mut Reader) -> Result<NatsConfig, Mistaken> {
    let nats = NatsLink::read(reader, "_INBOX_validator")?;
    Ok(NatsConfig {
        prefix: nats.prefix,
        inbox: nats.inbox,
        credentials_file: nats.credentials_file,
        nkey_file: nats.nkey_file,
        ca_file: nats.ca_file,
        require_tls: nats.require_tls,
        ..NatsConfig::new(nats.servers, "validator")
    })
}

/// The bounds the API issues tokens within: whatever claims to live longer isn't one of its.
fn life_max(reader: &mut Reader) -> Result<LifeMax, Mistaken> {
    let access = reader
        .value("token.access_lifetime")
        .doc("How long an access token lives at most; no less than what the API is told.")
        .default("10m")
        .duration_within("10s", "1h");
    let session = reader
        .value("session.absolute_lifetime")
        .doc("How long a session lives at most; no less than what the API is told.")
        .default("30d")
        .duration_within("1s", "365d");
    Ok(LifeMax {
        access: access?,
        session: session?,
    })
}

#[cfg(test)]
mod tests {
    use session_runtime::config::{Layers, load};

    use super::*;

    const REQUIRED: [(&str, &str); 2] = [
        ("SESSION_ISSUER", "https://s.example"),
        ("SESSION_NATS__URL", "nats://validator:s3cret@n.example"),
    ];

    #[test]
    fn an_issuer_and_a_server_are_enough_and_other_processes_settings_are_left_alone() {
        let layers = Layers::default().environment(REQUIRED.into_iter().chain([
            ("SESSION_LEASE", "7s"),
            ("SESSION_TOKEN__REFRESH_GRACE", "3s"),
            ("SESSION_API__LISTEN", "127.0.0.1:1"),
        ]));
        let loaded = load(layers, Settings::read).unwrap();
        let Config {
            client, policies, ..
        } = &loaded.value.config;
        assert_eq!(client.cookie_name, "__Host-session");
        let policy = policies.get("default").unwrap();
        assert_eq!(policy.audience, "https://s.example");
        assert_eq!(policy.websocket_origins, ["https://s.example"]);
        let shown = session_runtime::config::print_config(&loaded.fields);
        assert!(!shown.contains("s3cret") && !format!("{:?}", loaded.value).contains("s3cret"));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let layers = Layers::default().environment([
            ("SESSION_ISSUER", "sessions.example"),
            ("SESSION_NATS__PREFIX", "a.*"),
            ("SESSION_NATS__URLS", "nats://n.example"),
            ("SESSION_VALIDATOR__LISTEN", "8081"),
        ]);
        let mistakes = load(layers, Settings::read).unwrap_err();
        let mut fields: Vec<_> = mistakes.0.iter().map(|one| one.field.as_str()).collect();
        fields.sort_unstable();
        let expected = [
            "SESSION_NATS__URLS",
            "issuer",
            "nats.prefix",
            "nats.url",
            "validator.listen",
        ];
        assert_eq!(fields, expected, "{mistakes}");
    }
}
