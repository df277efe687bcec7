//! What a validator counts. Labels are few and fixed: nothing a client sends becomes one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use session_client::{Decision, Denial, Validator};

/// How many threads count apart from each other; more share.
const STRIPES: usize = 16;

/// Counts decisions by result and reason: without a lock, and without threads taking each other's
/// memory with every request. Clones are the same counters.
#[derive(Debug, Clone)]
pub struct Decisions(Arc<[Stripe; STRIPES]>);

/// What one thread counts, apart from the others' in memory.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    allowed: AtomicU64,
    preflights: AtomicU64,
    /// In the order of [`Denial::REASONS`].
    denied: [AtomicU64; Denial::REASONS.len()],
}

impl Stripe {
    fn of_this_thread(stripes: &[Self; STRIPES]) -> &Self {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
        }
        &stripes[NUMBER.with(|number| *number)]
    }

    /// Every counter, with its result and reason.
    fn counters(&self) -> impl Iterator<Item = (&'static str, &'static str, &AtomicU64)> {
        let allowed = [
            ("allow", "none", &self.allowed),
            ("allow", "preflight", &self.preflights),
        ];
        let denied = Denial::REASONS.into_iter().zip(&self.denied);
        let denied = denied.map(|(reason, counter)| ("deny", reason, counter));
        allowed.into_iter().chain(denied)
    }
}

impl Decisions {
    /// The counter `session.validator.decisions` of `meter`.
    pub fn new(meter: &Meter) -> Self {
        let counted = Self(Arc::default());
        let told = counted.clone();
        meter
            .u64_observable_counter("session.validator.decisions")
            .with_description("Requests judged, by result and reason")
            .with_callback(move |observer| {
                for (result, reason, count) in told.totals() {
                    let labels = [
                        KeyValue::new("result", result),
                        KeyValue::new("reason", reason),
                    ];
                    observer.observe(count, &labels);
                }
            })
            .build();
        counted
    }

    /// Counts one. The reason is `none` for an allow, `preflight` for one of nobody, else the
    /// denial's.
    pub fn count(&self, decision: &Decision) {
        let stripe = Stripe::of_this_thread(&self.0);
        let counter = match decision {
            Decision::Allow(_) => Some(&stripe.allowed),
            Decision::Preflight => Some(&stripe.preflights),
            Decision::Deny(denial) => {
                let reason = denial.reason();
                let place = Denial::REASONS.iter().position(|one| *one == reason);
                place.map(|place| &stripe.denied[place])
            }
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What has been counted, where anything has: result, reason, how often.
    fn totals(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut totals: Vec<_> = self.0[0]
            .counters()
            .map(|(result, reason, _)| (result, reason, 0))
            .collect();
        for stripe in self.0.iter() {
            for (total, (_, _, count)) in totals.iter_mut().zip(stripe.counters()) {
                total.2 += count.load(Ordering::Relaxed);
            }
        }
        totals.retain(|(_, _, count)| *count > 0);
        totals
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_is_added_up_by_result_and_reason() {
        let counted = Decisions(Arc::default());
        let threads = 2 * STRIPES as u64;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    counted.count(&Decision::Preflight);
                    counted.count(&Decision::Deny(Denial::NoCredential));
                    counted.count(&Decision::Deny(Denial::UnknownPath));
                });
            }
        });
        assert_eq!(
            counted.totals(),
            [
                ("allow", "preflight", threads),
                ("deny", "no_credential", threads),
                ("deny", "not_found", threads),
            ]
        );
    }
}
