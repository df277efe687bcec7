use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, SessionId, TenantId};
use crate::time::Timestamp;

/// One session was used, perhaps more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Whose.
    pub tenant: TenantId,
    /// Which session.
    pub id: SessionId,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
    /// No two uses in between that follow each other are further apart.
    pub gap: Duration,
}

impl Seen {
    /// Takes in other uses of the same session.
    pub fn and(&mut self, first: Timestamp, last: Timestamp, gap: Duration) {
        let between = first.since(self.last).max(self.first.since(last));
        self.gap = self.gap.max(gap).max(between);
        self.first = first.min(self.first);
        self.last = last.max(self.last);
    }
}

/// A process that answers from memory says up to when it has told of every use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Who says so.
    pub from: InstanceId,
    /// Up to when, on the authority's clock.
    pub through: Timestamp,
}

/// Takes in that sessions were used: [`Session::seen`](crate::session::Session::seen) of each. The
/// one change that writes no events and leaves versions as they are: it happens too often to be
/// told, and nobody's optimistic lock must fail by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Which, and when. A session named twice was used at all of these times.
    pub seen: Vec<Seen>,
    /// Who has now told of every use, and up to when: noted with its lease, if it holds one. Until
    /// every holder has, no session ends for having been idle.
    pub heard: Option<Heard>,
}

/// What came of [`Touch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TouchOutcome {
    /// For how many it was news.
    pub moved: u64,
}
