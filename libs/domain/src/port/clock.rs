use async_trait::async_trait;

use crate::time::{BootInstant, Timestamp};

/// The time. Nothing in the domain reads a clock of its own.
pub trait Clock: Send + Sync {
    /// The wall clock of the authority: what tokens and rows are stamped with. May step.
    fn wall(&self) -> Timestamp;

    /// The boot clock: MUST NOT step, MUST run while the machine sleeps, and MUST NOT differ from
    /// true elapsed time by more than one part in a thousand.
    fn boot(&self) -> BootInstant;
}

/// Waiting, for the drivers of the protocol machines. A hint only: every decision reads
/// [`Clock::boot`] again, so waking late costs speed and never correctness.
#[async_trait]
pub trait Timer: Send + Sync {
    /// Returns at or soon after `at` on the boot clock.
    async fn sleep_until(&self, at: BootInstant);
}
