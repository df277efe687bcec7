//! What an API measures. Labels come from small fixed sets; a process that holds a lease is one of
//! a few, and is shown for as long as it is known.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use poem::http::{Method, StatusCode};
use session_domain::ids::Seq;
use session_domain::port::{Clock, Fence, PortError};
use session_domain::revocation::{Holders, Publication, RevocationState};
use session_domain::time::{BootInstant, Timestamp};

/// The methods that are told apart.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// How long requests take: `http.server.request.duration` of OpenTelemetry's semantic conventions.
#[derive(Debug, Clone)]
pub struct RequestDuration(Histogram<f64>);

impl RequestDuration {
    /// The histogram of `meter`.
    pub fn new(meter: &Meter) -> Self {
        let histogram = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("How long requests took, by method, route and status");
        Self(histogram.build())
    }

    /// Notes one. `route` is the operation's path as the API document has it; `None` where there
    /// is no such operation.
    pub fn record(
        &self,
        method: &Method,
        route: Option<Arc<str>>,
        status: StatusCode,
        took: Duration,
    ) {
        let known = METHODS.iter().find(|known| **known == method.as_str());
        let method = KeyValue::new("http.request.method", known.copied().unwrap_or("_OTHER"));
        let status = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
        let took = took.as_secs_f64();
        match route {
            Some(route) => {
                let route = KeyValue::new("http.route", route);
                self.0.record(took, &[method, status, route]);
            }
            None => self.0.record(took, &[method, status]),
        }
    }
}

/// A fence that is timed: `session.fence.duration`, what callers wait for between "committed" and
/// "nobody accepts it any more".
pub(crate) struct TimedFence {
    inner: Arc<dyn Fence>,
    clock: Arc<dyn Clock>,
    duration: Histogram<f64>,
}

impl TimedFence {
    pub(crate) fn new(inner: Arc<dyn Fence>, clock: Arc<dyn Clock>, meter: &Meter) -> Self {
        let histogram = meter
            .f64_histogram("session.fence.duration")
            .with_unit("s")
            .with_description(
                "How long ends waited until no validator accepted the session, by outcome",
            );
        Self {
            inner,
            clock,
            duration: histogram.build(),
        }
    }
}

#[async_trait]
impl Fence for TimedFence {
    async fn wait(&self, through: Seq, fresh: Option<Publication>) -> Result<(), PortError> {
        let begun = self.clock.boot();
        let result = self.inner.wait(through, fresh).await;
        let outcome = if result.is_ok() {
            "confirmed"
        } else {
            "unconfirmed"
        };
        let took = self.clock.boot().since(begun);
        self.duration
            .record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
        result
    }

    async fn announce(&self, fresh: Publication) {
        self.inner.announce(fresh).await;
    }
}

/// The leases as they were last read, for whoever looks at the metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenLeases(Arc<ArcSwapOption<Holders>>);

impl SeenLeases {
    /// Shows them as instruments of `meter`: `session.log.head`, `session.leases` and, for each
    /// holder, `session.lease.lag`.
    pub(crate) fn show(&self, meter: &Meter) {
        let seen = Arc::clone(&self.0);
        meter
            .u64_observable_gauge("session.log.head")
            .with_description("The number of the newest entry of the revocation log")
            .with_callback(move |observer| {
                if let Some(holders) = &*seen.load() {
                    observer.observe(holders.head.seq.0, &[]);
                }
            })
            .build();
        let seen = Arc::clone(&self.0);
        meter
            .u64_observable_gauge("session.leases")
            .with_description("How many processes may answer from memory, as the log knows")
            .with_callback(move |observer| {
                if let Some(holders) = &*seen.load() {
                    observer.observe(holders.leases.len().try_into().unwrap_or(u64::MAX), &[]);
                }
            })
            .build();
        let seen = Arc::clone(&self.0);
        meter
            .u64_observable_gauge("session.lease.lag")
            .with_description(
                "How many entries the log was ahead of what a holder had applied at its last renewal",
            )
            .with_callback(move |observer| {
                let seen = seen.load();
                for lease in seen.iter().flat_map(|holders| &holders.leases) {
                    let head = seen.as_ref().map_or(0, |holders| holders.head.seq.0);
                    let instance = KeyValue::new("instance", lease.instance.to_string());
                    observer.observe(head.saturating_sub(lease.applied.0), &[instance]);
                }
            })
            .build();
    }

    /// These are the newest.
    pub(crate) fn see(&self, holders: Holders) {
        self.0.store(Some(Arc::new(holders)));
    }
}

/// Shows how far the reaper lags, as this process was told with its lease: `session.reaper.lag`.
pub(crate) fn show_reaping(state: &Arc<RevocationState>, clock: &Arc<dyn Clock>, meter: &Meter) {
    let (state, clock) = (Arc::clone(state), Arc::clone(clock));
    meter
        .f64_observable_gauge("session.reaper.lag")
        .with_unit("s")
        .with_description("How long ago the earliest session was due that has not been ended")
        .with_callback(move |observer| {
            // Before the first lease nothing has been told.
            if state.deadline() != BootInstant::default() {
                let now: Timestamp = state.server_time(clock.boot());
                observer.observe(now.since(state.reaped_through()).as_secs_f64(), &[]);
            }
        })
        .build();
}
