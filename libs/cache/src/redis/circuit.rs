use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Whether the server is asked at all. Its epoch rises each time that changes: even ones ask, odd
/// ones don't. What a call that began in one epoch finds out says nothing about a later one.
#[derive(Debug)]
pub(super) struct Circuit {
    epoch: AtomicU64,
    opened: Notify,
}

/// One stretch of asking, or of not asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Epoch {
    /// Whether the server isn't asked.
    pub(super) const fn is_open(self) -> bool {
        self.0 % 2 == 1
    }
}

impl Circuit {
    /// One that doesn't ask yet.
    pub(super) fn open() -> Self {
        Self {
            epoch: AtomicU64::new(1),
            opened: Notify::new(),
        }
    }

    /// What holds now.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Stops asking, for what was found in `during`. Says whether that changed anything.
    pub(super) fn break_in(&self, during: Epoch) -> bool {
        let broken = !during.is_open() && self.leave(during);
        if broken {
            self.opened.notify_one();
        }
        broken
    }

    /// Asks again, for what was found in `during`. Says whether that changed anything.
    pub(super) fn mend_in(&self, during: Epoch) -> bool {
        during.is_open() && self.leave(during)
    }

    /// Returns as soon as the server isn't asked. For one waiter.
    pub(super) async fn broken(&self) -> Epoch {
        loop {
            let epoch = self.epoch();
            if epoch.is_open() {
                return epoch;
            }
            self.opened.notified().await;
        }
    }

    fn leave(&self, epoch: Epoch) -> bool {
        let Epoch(from) = epoch;
        self.epoch
            .compare_exchange(from, from + 1, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_breaks_once_and_mends_once() {
        let circuit = Circuit::open();
        let start = circuit.epoch();
        assert!(start.is_open());
        assert!(!circuit.break_in(start), "what is open doesn't break");
        assert!(circuit.mend_in(start) && !circuit.mend_in(start));
        let asking = circuit.epoch();
        assert!(!asking.is_open());
        assert!(!circuit.mend_in(asking), "what is closed needs no mending");
        assert!(circuit.break_in(asking) && !circuit.break_in(asking));
    }

    #[test]
    fn a_failure_from_before_doesn_t_break_what_was_mended_since() {
        let circuit = Circuit::open();
        circuit.mend_in(circuit.epoch());
        let before = circuit.epoch();
        assert!(circuit.break_in(before));
        assert!(circuit.mend_in(circuit.epoch()));
        assert!(!circuit.break_in(before));
        assert!(!circuit.epoch().is_open());
    }

    #[tokio::test]
    async fn whoever_waits_for_a_break_hears_of_one_from_before_too() {
        let circuit = Circuit::open();
        assert_eq!(circuit.broken().await, circuit.epoch());
        circuit.mend_in(circuit.epoch());
        circuit.break_in(circuit.epoch());
        assert_eq!(circuit.broken().await, circuit.epoch());
    }
}
