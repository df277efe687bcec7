//! What becomes of the log when the database changes hands, and when it grows old.

use std::collections::BTreeSet;

use session_domain::ids::{LogEpoch, Seq, Serial};
use session_domain::revocation::{Guards, Head, LogRun, SerialRange};
use session_domain::session::Status;

use super::{Database, SessionNumber, Work, place};

/// How many serials are skipped when an epoch begins: more than any schedule draws.
const SERIALS_SKIPPED: u64 = 1_000;

/// What a failover lost.
#[derive(Debug, Default)]
pub struct Loss {
    /// The number of the last entry that is left.
    pub through: Seq,
    /// How many entries are gone.
    pub entries: u64,
    /// How many leases have no row any more, or that of an earlier grant.
    pub leases: u64,
    /// Sessions whose start is gone.
    pub sessions: Vec<SessionNumber>,
    /// Sessions that are no longer what somebody may have been told of them.
    pub doubtful: Vec<SessionNumber>,
}

impl Database {
    /// The state as another server may have it: nothing is under way there.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut copy = self.clone();
        copy.locked = false;
        copy.queue.clear();
        copy
    }

    /// From now on another server is the database. It has everything this one has committed, or,
    /// where it is `behind`, what that copy has.
    pub fn fail_over(&mut self, behind: Option<Self>) -> Loss {
        let mut next = behind.unwrap_or_else(|| self.copy());
        next.timeline = self.timeline + 1;
        // What isn't the database's: settings, what processes know, and chance.
        next.lease = self.lease;
        next.longest = self.longest;
        next.secrets = self.secrets;
        next.epochs = self.epochs;
        let kept = next.sessions.len();
        let mut loss = Loss {
            through: next.head().seq,
            entries: (self.entries.len() - next.entries.len()) as u64,
            sessions: (kept..self.sessions.len()).collect(),
            ..Loss::default()
        };
        let older = |(instance, row): &(&_, &super::Row)| {
            let known = next.leases.get(instance);
            known.is_none_or(|known| known.counter() < row.counter())
        };
        loss.leases = self.leases.iter().filter(older).count() as u64;
        for number in 0..kept {
            let (was, is) = (&self.sessions[number], &next.sessions[number]);
            let active = is.status == Status::Active;
            let changed = was.status != is.status || was.serial != is.serial;
            let floored =
                self.covered(&was.tenant, is.serial) && !next.covered(&is.tenant, is.serial);
            if active && (changed || floored) {
                loss.doubtful.push(number);
            }
        }
        // They keep their places, so that nobody else is taken for them.
        next.sessions.extend(self.sessions.drain(kept..));
        next.lost.extend(self.lost.iter().copied());
        next.lost.extend(&loss.sessions);
        *self = next;
        loss
    }

    /// Whether that work is of a server that is no longer the database.
    pub fn is_over(&self, work: &Work) -> bool {
        work.timeline != self.timeline
    }

    /// Before anything is asked of it: on another server it is another history.
    pub(super) fn compare_history<G: Guards>(&mut self) {
        if G::NEW_HISTORY_NEW_EPOCH && self.timeline != self.epoch_timeline {
            self.begin_epoch::<G>();
        }
    }

    /// From now on numbers are of another epoch, and serials beyond all that were drawn.
    pub(super) fn begin_epoch<G: Guards>(&mut self) {
        self.epochs += 1;
        self.epoch = LogEpoch(self.epochs);
        self.epoch_timeline = self.timeline;
        self.settled = false;
        self.pruned = self.entries.len();
        if G::SERIALS_SKIPPED {
            // Serials aren't drawn in the order of commits, so those of lost sessions may be among
            // the smaller ones.
            let here = |&(number, _): &(usize, _)| !self.lost.contains(&number);
            let sessions = self.sessions.iter().enumerate().filter(here);
            let known: BTreeSet<_> = sessions.map(|(_, session)| session.serial).collect();
            let nobodys = (1..=self.last_serial).map(Serial);
            let nobodys =
                nobodys.filter(|serial| !known.contains(serial) && !self.is_skipped(*serial));
            let nobodys: Vec<_> = nobodys.collect();
            self.ended.extend(nobodys);
            let first = Serial(self.last_serial + 1);
            // As the real one goes by the time: histories that are lost one after the other must
            // not go on from the same place.
            self.last_serial = first.0.max(self.epochs * SERIALS_SKIPPED);
            let last = Serial(self.last_serial);
            self.skipped.push(SerialRange { first, last });
        }
    }

    fn is_skipped(&self, serial: Serial) -> bool {
        self.skipped.iter().any(|range| range.contains(serial))
    }

    /// A serial that was drawn when something started: it is drawn again if that was before an
    /// epoch began, as the real one doesn't let that happen in between.
    pub(super) fn drawn(&mut self, serial: Serial) -> Serial {
        if self.is_skipped(serial) || self.ended.contains(&serial) {
            self.draw()
        } else {
            serial
        }
    }

    /// The entries after `after`, as many as are handed out at once.
    pub(super) fn run<G: Guards>(&self, after: Head, limit: usize) -> LogRun {
        if after.epoch != self.epoch && G::EPOCH_COMPARED {
            return LogRun::Foreign {
                current: self.epoch,
            };
        }
        let from = place(after.seq);
        if from < self.pruned && G::PRUNED_TOLD {
            return LogRun::Pruned;
        }
        let kept = self.entries.iter().skip(from.max(self.pruned));
        LogRun::Entries(kept.take(limit).cloned().collect())
    }

    /// Forgets what every holder has applied and what was there when this was done before.
    pub(super) fn prune(&mut self) {
        let applied = self.leases.values().map(|row| place(row.applied()));
        let through = applied.fold(self.prune_mark, usize::min);
        self.pruned = self.pruned.max(through);
        self.prune_mark = self.entries.len();
    }

    /// Whether the epoch in force has begun on the server in force.
    pub fn has_begun_epoch(&self) -> bool {
        self.epoch_timeline == self.timeline
    }

    /// How many epochs there have been.
    pub fn epochs(&self) -> u64 {
        self.epochs
    }

    /// How many entries are no longer kept.
    pub fn pruned(&self) -> usize {
        self.pruned
    }
}
