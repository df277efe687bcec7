//! What a validator counts. Labels are few and fixed: nothing a client sends becomes one.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use session_client::{Decision, Validator};

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

    /// Counts one. The reason is `none` for an allow, `preflight` for one of nobody, else the
    /// denial's.
    pub fn count(&self, decision: &Decision) {
        let (result, reason) = match decision {
            Decision::Allow(_) => ("allow", "none"),
            Decision::Preflight => ("allow", "preflight"),
            Decision::Deny(denial) => ("deny", denial.reason()),
        };
        self.0.add(
            1,
            &[
                KeyValue::new("result", result),
                KeyValue::new("reason", reason),
            ],
        );
    }
}

/// Shows what `validator` answers by: `session.validator.lease_left` and
/// `session.validator.applied`.
pub fn show_lease(validator: &Validator, meter: &Meter) {
    let holder = validator.clone();
    meter
        .f64_observable_gauge("session.validator.lease_left")
        .with_unit("s")
        .with_description(
            "For how long this process may still answer from memory; 0 without a lease",
        )
        .with_callback(move |observer| observer.observe(holder.lease_left().as_secs_f64(), &[]))
        .build();
    let holder = validator.clone();
    meter
        .u64_observable_gauge("session.validator.applied")
        .with_description("The number of the last revocation log entry this process has applied")
        .with_callback(move |observer| observer.observe(holder.applied().0, &[]))
        .build();
}

/// Counts how often policies were read anew.
#[derive(Debug, Clone)]
pub struct Reloads(Counter<u64>);

impl Reloads {
    /// The counter `session.validator.policy_reloads` of `meter`.
    pub fn new(meter: &Meter) -> Self {
        let counter = meter.u64_counter("session.validator.policy_reloads");
        Self(
            counter
                .with_description("Times policies were read anew, by result")
                .build(),
        )
    }

    /// Counts one, as `taken` or `refused`.
    pub fn count(&self, result: &'static str) {
        self.0.add(1, &[KeyValue::new("result", result)]);
    }
}
