//! What a change writes once it holds the log's head: as little as can be, and at the very end, so
//! that nobody waits for the head longer than for a commit. Decided before, numbered then.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use session_domain::ids::{Seq, Serial, SessionId};
use session_domain::port::{Heard, PortError};
use session_domain::revocation::{Head, LogEntry, PUBLICATION_SERIALS_MAX, Publication};
use session_domain::session::{EndReason, Ending, Session, Status};
use session_domain::time::Timestamp;

use crate::{leases, log, serials, sessions};

/// The number of what has none yet.
pub(crate) const UNNUMBERED: Seq = Seq(0);

/// What is to be written under the log's head, of one change or of many.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// The serials that die, in the order of their places.
    serials: Vec<Serial>,
    ended: Vec<Ended>,
    superseded: Vec<Superseded>,
    heard: Option<Heard>,
}

/// Where among the dying serials one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Place {
    /// Which of the entries it is in, counted from 0.
    pub(crate) const fn entry(self) -> usize {
        self.0 / PUBLICATION_SERIALS_MAX
    }
}

/// A session that ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) id: SessionId,
    pub(crate) at: Timestamp,
    pub(crate) reason: EndReason,
    pub(crate) place: Place,
}

/// A serial that a session leaves behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Superseded {
    pub(crate) serial: Serial,
    pub(crate) session: SessionId,
    /// See [`serials::insert_superseded`].
    pub(crate) purge_after: Timestamp,
    pub(crate) place: Place,
}

impl Closing {
    /// Takes in that `session` ended: as the domain's rule left it, but [`UNNUMBERED`].
    pub(crate) fn end(&mut self, session: &Session, at: Timestamp, reason: EndReason) -> Place {
        let place = self.place(session.serial);
        self.ended.push(Ended {
            id: session.id,
            at,
            reason,
            place,
        });
        place
    }

    /// Takes in that `session` has left `serial` behind.
    pub(crate) fn supersede(&mut self, serial: Serial, session: &Session) -> Place {
        let place = self.place(serial);
        self.superseded.push(Superseded {
            serial,
            session: session.id,
            purge_after: session.absolute_expires_at,
            place,
        });
        place
    }

    /// Takes in up to when a holder has told of every use.
    pub(crate) const fn hear(&mut self, heard: Option<Heard>) {
        self.heard = heard;
    }

    /// Takes in the serial of a session that ended before it had one.
    pub(crate) fn draw(&mut self, Place(place): Place, serial: Serial) {
        if let Some(undrawn) = self.serials.get_mut(place) {
            *undrawn = serial;
        }
    }

    fn place(&mut self, serial: Serial) -> Place {
        self.serials.push(serial);
        Place(self.serials.len() - 1)
    }

    /// The log entries, in their order.
    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        let entries = self.serials.chunks(PUBLICATION_SERIALS_MAX);
        entries
            .map(|serials| LogEntry::Ended(serials.to_vec()))
            .collect()
    }

    /// The sessions that end.
    pub(crate) fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// The serials that are left behind.
    pub(crate) fn superseded(&self) -> &[Superseded] {
        &self.superseded
    }

    /// Up to when a holder has told of every use.
    pub(crate) const fn heard(&self) -> Option<Heard> {
        self.heard
    }

    /// Writes it, a statement each: for an engine whose writers don't wait for each other's calls.
    pub(crate) async fn write<C: ConnectionTrait>(&self, db: &C) -> Result<Closed, PortError> {
        let entries = self.entries();
        let mut closed = Closed::default();
        if !entries.is_empty() {
            let before = log::reserve(db, entries.len()).await?;
            closed = Closed {
                fresh: Some(log::append(db, before, entries).await?),
            };
            for (ending, ids) in by_ending(&self.ended, &closed) {
                sessions::store_ending(db, &ids, ending).await?;
            }
            for left in &self.superseded {
                serials::insert_superseded(db, left, closed.seq(left.place)).await?;
            }
        }
        if let Some(heard) = self.heard {
            leases::hear(db, heard).await?;
        }
        Ok(closed)
    }
}

/// Groups sessions that end in exactly the same way, to be written by one statement.
fn by_ending(ended: &[Ended], closed: &Closed) -> Vec<(Ending, Vec<SessionId>)> {
    let mut groups: BTreeMap<_, (Ending, Vec<SessionId>)> = BTreeMap::new();
    for one in ended {
        let ending = Ending {
            at: one.at,
            reason: one.reason,
            seq: closed.seq(one.place),
        };
        let key = (ending.seq, one.at, one.reason.as_str());
        let group = groups.entry(key).or_insert((ending, Vec::new()));
        group.1.push(one.id);
    }
    groups.into_values().collect()
}

/// What was written under the log's head.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    fresh: Option<Publication>,
}

impl Closed {
    /// `entries` are what came after `before`.
    pub(crate) fn new(before: Head, entries: Vec<LogEntry>) -> Self {
        let fresh = (!entries.is_empty()).then_some(Publication {
            epoch: before.epoch,
            after: before.seq,
            entries,
        });
        Self { fresh }
    }

    /// The entries. Of a group, each of its changes is told all of them.
    pub(crate) fn fresh(&self) -> Option<Publication> {
        self.fresh.clone()
    }

    /// The number of the entry a serial is in.
    pub(crate) fn seq(&self, place: Place) -> Seq {
        let after = self.fresh.as_ref().map_or(0, |fresh| fresh.after.0);
        Seq(after + 1 + place.entry() as u64)
    }

    /// A session that ended, with its number.
    pub(crate) fn numbered(&self, (mut session, place): (Session, Place)) -> Session {
        if let Status::Ended(ending) = &mut session.status {
            ending.seq = self.seq(place);
        }
        session
    }
}
