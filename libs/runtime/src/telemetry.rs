//! Logs go to standard error, metrics to whoever asks for them. Nobody has to listen: no collector
//! is ever required, and nothing here waits for one. No credential may reach either.

use std::io::{self, IsTerminal};
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream,
};
use prometheus::{Registry, TextEncoder};
use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt as log, registry};

use crate::config::{Mistaken, Reader};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// [`LogFormat::Text`] on a terminal, [`LogFormat::Json`] otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged, in the syntax of tracing-subscriber's `EnvFilter`.
    pub level: String,
}

impl LogConfig {
    /// Reads `log.format` and `log.level`.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let format = reader
            .value("log.format")
            .doc("How log lines look: text for people, json for machines, auto decides by whether standard error is a terminal.")
            .default("auto")
            .one_of(&[
                ("auto", LogFormat::Auto),
                ("text", LogFormat::Text),
                ("json", LogFormat::Json),
            ]);
        let level = reader
            .value("log.level")
            .doc("What is logged: error, warn, info, debug or trace, or per module.")
            .default("info")
            .example("info,session_store=debug")
            .parse_with(|text| EnvFilter::try_new(text).map(|_| text.to_owned()));
        Ok(Self {
            format: format?,
            level: level?,
        })
    }
}

/// Sends this process's logs to standard error from now on.
///
/// # Errors
/// It was done before; or `config.level` isn't a filter, which [`LogConfig::read`] rules out.
pub fn init_logs(config: &LogConfig) -> Result<(), InitLogsError> {
    let filter = EnvFilter::try_new(&config.level)?;
    registry()
        .with(filter)
        .with(lines(config.format, io::stderr().is_terminal(), io::stderr))
        .try_init()?;
    Ok(())
}

/// Why logging couldn't be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitLogsError {
    /// The level isn't a filter.
    #[error("the log level isn't a filter")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody else set it up before.
    #[error("logging was set up before")]
    Again(#[from] TryInitError),
}

fn lines<S, W>(format: LogFormat, terminal: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = log::layer().with_writer(writer);
    match (format, terminal) {
        (LogFormat::Text, _) | (LogFormat::Auto, true) => layer.with_ansi(terminal).boxed(),
        (LogFormat::Json, _) | (LogFormat::Auto, false) => layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    }
}

/// The upper bounds of histograms in seconds. From 10 µs, a decision from memory, to the 10 s
/// after which nobody waits any more.
const SECONDS: [f64; 19] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// This process's metrics. Clones are the same metrics.
///
/// Instruments are named and measured as OpenTelemetry's semantic conventions say; a histogram
/// with the unit `s` gets bounds that suit seconds. Labels must come from small fixed sets: never
/// a path, a user or an address.
#[derive(Debug, Clone)]
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Metrics {
    /// The media type of [`Metrics::render`].
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// No instruments yet. `service` and `version` are what the numbers are filed under.
    ///
    /// # Errors
    /// The exporter can't be built; not met in practice.
    pub fn new(service: &'static str, version: &'static str) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| MetricsError(error.into()))?;
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", version))
            .build();
        let provider = SdkMeterProvider::builder()
            .with_reader(reader)
            .with_resource(resource)
            .with_view(bounds_in_seconds)
            .build();
        Ok(Self { provider, registry })
    }

    /// Where a part of the process makes its instruments; `scope` is its crate's name.
    pub fn meter(&self, scope: &'static str) -> Meter {
        let scope = InstrumentationScope::builder(scope).build();
        self.provider.meter_with_scope(scope)
    }

    /// All numbers, in Prometheus's text format.
    ///
    /// # Errors
    /// A number that can't be written down; not met in practice.
    pub fn render(&self) -> Result<String, MetricsError> {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .map_err(|error| MetricsError(error.into()))
    }

    /// Says goodbye to whoever the numbers are pushed to, within `within`. The process ends
    /// anyway, so a failure is only logged.
    pub async fn close(self, within: Duration) {
        let provider = self.provider;
        let closing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(within));
        match tokio::time::timeout(within, closing).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "metrics not flushed"),
            Ok(Err(error)) => tracing::warn!(%error, "metrics not flushed"),
            Err(_) => tracing::warn!(?within, "metrics not flushed in time"),
        }
    }
}

/// A failure of the metrics machinery.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(Box<dyn std::error::Error + Send + Sync>);

fn bounds_in_seconds(instrument: &Instrument) -> Option<Stream> {
    let seconds = instrument.kind() == InstrumentKind::Histogram && instrument.unit() == "s";
    let bounds = || Aggregation::ExplicitBucketHistogram {
        boundaries: SECONDS.to_vec(),
        record_min_max: false,
    };
    // The default bounds, should these ever be refused; a test sees to it that they aren't.
    seconds
        .then(|| Stream::builder().with_aggregation(bounds()).build().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::{Layers, load};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, terminal: bool) -> String {
        let written = Lines::default();
        let writer = written.clone();
        let subscriber = registry().with(lines(format, terminal, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(seq = 7, "ended");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn machines_get_one_object_a_line() {
        for text in [
            logged(LogFormat::Json, true),
            logged(LogFormat::Auto, false),
        ] {
            let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
            assert_eq!(line["message"], "ended");
            assert_eq!(line["seq"], 7);
            assert_eq!(line["level"], "INFO");
        }
    }

    #[test]
    fn people_get_text_with_colour_only_on_a_terminal() {
        assert!(logged(LogFormat::Auto, true).contains('\u{1b}'));
        let plain = logged(LogFormat::Text, false);
        assert!(plain.contains("ended seq=7") && !plain.contains('\u{1b}'));
    }

    #[test]
    fn the_level_is_checked_when_it_is_read() {
        let config = load(Layers::default(), LogConfig::read).unwrap().value;
        assert_eq!(config.level, "info");
        let wrong = Layers::default().environment([
            ("SESSION_LOG__LEVEL", "session=loud"),
            ("SESSION_LOG__FORMAT", "yaml"),
        ]);
        assert_eq!(load(wrong, LogConfig::read).unwrap_err().0.len(), 2);
    }

    #[test]
    fn seconds_get_bounds_in_seconds_and_names_get_suffixes() {
        let metrics = Metrics::new("session-test", "1.2.3").unwrap();
        let meter = metrics.meter("test");
        let seconds = meter.f64_histogram("decision.duration").with_unit("s");
        seconds
            .build()
            .record(0.000_03, &[KeyValue::new("outcome", "alive")]);
        meter.u64_histogram("batch.size").build().record(3, &[]);
        meter.u64_counter("sessions.ended").build().add(2, &[]);
        let text = metrics.render().unwrap();
        for line in [
            r#"decision_duration_seconds_bucket{outcome="alive",le="0.000025"} 0"#,
            r#"decision_duration_seconds_bucket{outcome="alive",le="0.00005"} 1"#,
            r#"decision_duration_seconds_bucket{outcome="alive",le="10"} 1"#,
            r#"batch_size_bucket{le="7500"} 1"#,
            "sessions_ended_total 2",
            r#"service_name="session-test""#,
            r#"service_version="1.2.3""#,
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }

    #[tokio::test]
    async fn closing_is_quick() {
        let metrics = Metrics::new("session-test", "1.2.3").unwrap();
        metrics.close(Duration::from_secs(2)).await;
    }
}
