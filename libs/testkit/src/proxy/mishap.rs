//! What may become of a message on its way.

use std::time::Duration;

use super::Way;
use crate::sim::rng::Rng;

/// What happens to messages of some subjects that go one way. All at once is possible; what is
/// dropped neither comes twice nor late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mishap {
    /// Which way they go.
    pub way: Way,
    /// What their subjects begin with; all of them where it is empty.
    pub subject: String,
    /// How many in a thousand never arrive.
    pub dropped: u64,
    /// How many in a thousand arrive twice.
    pub doubled: u64,
    /// How many in a thousand arrive late, each by a time of its own, so that they overtake each
    /// other.
    pub late: u64,
    /// How late at most.
    pub late_at_most: Duration,
}

impl Mishap {
    /// Nothing happens to these yet.
    pub fn to(way: Way, subject: &str) -> Self {
        Self {
            way,
            subject: subject.to_owned(),
            dropped: 0,
            doubled: 0,
            late: 0,
            late_at_most: Duration::ZERO,
        }
    }

    /// So many in a thousand never arrive.
    #[must_use]
    pub fn dropped(self, dropped: u64) -> Self {
        Self { dropped, ..self }
    }

    /// So many in a thousand arrive twice.
    #[must_use]
    pub fn doubled(self, doubled: u64) -> Self {
        Self { doubled, ..self }
    }

    /// So many in a thousand arrive late, by at most so much.
    #[must_use]
    pub fn late(self, late: u64, late_at_most: Duration) -> Self {
        Self {
            late,
            late_at_most,
            ..self
        }
    }

    pub(super) fn concerns(&self, way: Way, subject: &str) -> bool {
        self.way == way && subject.starts_with(&self.subject)
    }

    /// By how much each copy of the next message is late: none of them where it is dropped.
    pub(super) fn copies(&self, rng: &mut Rng) -> Vec<Option<Duration>> {
        if rng.chance(self.dropped) {
            return Vec::new();
        }
        let copies = if rng.chance(self.doubled) { 2 } else { 1 };
        let most = u64::try_from(self.late_at_most.as_micros()).unwrap_or(u64::MAX);
        let late = |rng: &mut Rng| {
            let late = rng.chance(self.late);
            late.then(|| Duration::from_micros(rng.between(0, most)))
        };
        (0..copies).map(|_| late(rng)).collect()
    }
}

/// How many messages met with a mishap so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// Never arrived.
    pub dropped: u64,
    /// Arrived twice.
    pub doubled: u64,
    /// Arrived late; copies count each.
    pub late: u64,
}

impl Mishaps {
    pub(super) fn count(&mut self, copies: &[Option<Duration>]) {
        self.dropped += u64::from(copies.is_empty());
        self.doubled += u64::from(copies.len() > 1);
        self.late += copies
            .iter()
            .map(|copy| u64::from(copy.is_some()))
            .sum::<u64>();
    }
}

impl std::ops::AddAssign for Mishaps {
    fn add_assign(&mut self, more: Self) {
        self.dropped += more.dropped;
        self.doubled += more.doubled;
        self.late += more.late;
    }
}
