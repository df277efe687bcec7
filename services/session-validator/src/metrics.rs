//! What a validator counts. Labels are few and fixed: nothing a client sends becomes one.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

/// Counts decisions by result and reason.
#[derive(Debug, Clone)]
pub struct Decisions(Counter<u64>);

impl Decisions {
    /// The counter `session.validator.decisions` of `meter`.
    pub fn new(meter: &Meter) -> Self {
        let counter = meter.u64_counter("session.validator.decisions");
        Self(
            counter
                .with_description("Requests judged, by result and reason")
                .build(),
        )
    }

    /// Counts one. `reason` is `none` for an allow, else the denial's code or the refusal's label.
    pub fn count(&self, result: &'static str, reason: &'static str) {
        self.0.add(
            1,
            &[
                KeyValue::new("result", result),
                KeyValue::new("reason", reason),
            ],
        );
    }
}
