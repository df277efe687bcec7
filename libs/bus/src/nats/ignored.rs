//! What arrives and can't be used is counted and passed over: a bus is a hint, and whoever sends
//! nonsense must not get more than a number for it.

use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

/// Why a message is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// It is longer than any message of ours.
    #[error("the message is too long")]
    Oversized,
    /// It was written by a release that this one doesn't understand.
    #[error("the message has an unknown version")]
    UnknownVersion,
    /// It isn't what belongs there.
    #[error("the message is malformed")]
    Malformed,
}

impl Unusable {
    const fn label(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::UnknownVersion => "unknown_version",
            Self::Malformed => "malformed",
        }
    }
}

/// Counts messages that were passed over, by reason.
#[derive(Clone)]
pub(super) struct Ignored(Counter<u64>);

impl Ignored {
    /// The counter `session.bus.ignored` of `meter`.
    pub(super) fn new(meter: &Meter) -> Self {
        let counter = meter.u64_counter("session.bus.ignored");
        Self(
            counter
                .with_description("Messages passed over, by reason")
                .build(),
        )
    }

    /// What was read, if it could be; else it is counted.
    pub(super) fn or_count<T>(&self, read: Result<T, Unusable>) -> Option<T> {
        read.inspect_err(|reason| self.count(*reason)).ok()
    }

    pub(super) fn count(&self, reason: Unusable) {
        self.0.add(1, &[KeyValue::new("reason", reason.label())]);
    }
}

impl fmt::Debug for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ignored")
    }
}
