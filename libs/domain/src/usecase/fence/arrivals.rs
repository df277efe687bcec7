//! Those who begin to wait at about the same time. One reading of the leases serves all who came
//! before it began, and news that several of them bring is published once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::channel::oneshot;

use super::{FenceKeeper, Shared};
use crate::ids::Seq;
use crate::port::PortError;
use crate::revocation::{FenceId, Head, Holders, Publication};
use crate::time::BootInstant;

/// Everybody who has come and hasn't gone on yet, in the order of their coming.
#[derive(Default)]
pub(super) struct Arrivals {
    next: u64,
    here: BTreeMap<u64, Arrival>,
}

struct Arrival {
    through: Seq,
    fresh: Option<Publication>,
    begun: oneshot::Sender<Result<Begun, PortError>>,
}

/// A wait that has begun.
pub(super) struct Begun {
    pub(super) id: FenceId,
    /// `None` where nobody has to be waited for.
    pub(super) opened: Option<oneshot::Receiver<()>>,
    /// What this one is to publish: only now, as an acknowledgement that came before a wait began
    /// would be missed by it.
    pub(super) news: Option<Publication>,
}

/// Hears how a wait has begun.
type Hearing = oneshot::Receiver<Result<Begun, PortError>>;

impl Shared {
    fn arrive(&mut self, through: Seq, fresh: Option<Publication>) -> (u64, Hearing) {
        let (begun, hearing) = oneshot::channel();
        let place = self.arrivals.next;
        self.arrivals.next += 1;
        let arrival = Arrival {
            through,
            fresh,
            begun,
        };
        self.arrivals.here.insert(place, arrival);
        (place, hearing)
    }

    /// Everybody who comes from here on is not served by a reading that begins now.
    pub(super) const fn arrivals_end(&self) -> u64 {
        self.arrivals.next
    }

    /// Lets everybody begin to wait who came before `end`, with what was read since.
    pub(super) fn begin_all(
        &mut self,
        end: u64,
        now: BootInstant,
        read: Result<Holders, PortError>,
    ) {
        let read = read.map_err(Arc::new);
        let mut published = BTreeSet::new();
        let later = self.arrivals.here.split_off(&end);
        for arrival in std::mem::replace(&mut self.arrivals.here, later).into_values() {
            let begun = match &read {
                Ok(holders) => {
                    let news = arrival.fresh;
                    let epoch = news.as_ref().map_or(holders.head.epoch, |news| news.epoch);
                    let seq = arrival.through;
                    let begun = self.begin(now, Head { epoch, seq }, holders.clone());
                    let news = news.filter(|news| published.insert((news.epoch.0, news.after)));
                    begun.map(|(id, opened)| Begun { id, opened, news })
                }
                Err(error) => Err(PortError::retry("fence", Arc::clone(error))),
            };
            // Gone where its ticket is; it gave up its place, so this can't be.
            let _ = arrival.begun.send(begun);
        }
    }

    fn begin(
        &mut self,
        now: BootInstant,
        through: Head,
        holders: Holders,
    ) -> Result<(FenceId, Option<oneshot::Receiver<()>>), PortError> {
        let begun = self.fences.begin(now, through, holders);
        let id = begun.ok_or_else(|| PortError::retry("fence", "the log's epoch has changed"))?;
        if self.fences.take_if_open(now, id) {
            return Ok((id, None));
        }
        let (sender, receiver) = oneshot::channel();
        self.waiters.insert(id, sender);
        Ok((id, Some(receiver)))
    }
}

/// Somebody's place among those who came. Given up when its holder goes away.
pub(super) struct Ticket<'a> {
    keeper: &'a FenceKeeper,
    place: u64,
    /// How the wait has begun.
    pub(super) begun: Hearing,
}

impl<'a> Ticket<'a> {
    pub(super) fn new(keeper: &'a FenceKeeper, through: Seq, fresh: Option<Publication>) -> Self {
        let (place, begun) = keeper.lock().arrive(through, fresh);
        Self {
            keeper,
            place,
            begun,
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut shared = self.keeper.lock();
        shared.arrivals.here.remove(&self.place);
        // Told, but gone before hearing it.
        if let Ok(Some(Ok(begun))) = self.begun.try_recv() {
            shared.fences.cancel(begun.id);
            shared.waiters.remove(&begun.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::LogEpoch;
    use crate::revocation::LogEntry;

    fn holders() -> Holders {
        Holders {
            head: Head {
                epoch: LogEpoch(1),
                seq: Seq(9),
            },
            settled: true,
            longest: Duration::ZERO,
            leases: Vec::new(),
        }
    }

    fn news(after: u64) -> Publication {
        Publication {
            epoch: LogEpoch(1),
            after: Seq(after),
            entries: vec![LogEntry::Ended(Vec::new())],
        }
    }

    fn told(mut hearing: Hearing) -> Option<Begun> {
        hearing.try_recv().unwrap().map(Result::unwrap)
    }

    #[test]
    fn a_reading_serves_only_those_who_came_before_it_began() {
        let mut shared = Shared::default();
        let (_, before) = shared.arrive(Seq(1), None);
        let end = shared.arrivals_end();
        let (_, meanwhile) = shared.arrive(Seq(2), None);
        shared.begin_all(end, BootInstant(1), Ok(holders()));
        assert!(told(before).is_some());
        assert_eq!(shared.arrivals.here.len(), 1);
        assert!(
            told(meanwhile).is_none(),
            "the leases may have been read before its commit"
        );
    }

    #[test]
    fn news_that_several_bring_is_published_once_and_by_each_reading_anew() {
        let mut shared = Shared::default();
        let mut published = Vec::new();
        for after in [[1, 1, 2], [2, 2, 2]] {
            let came = after.map(|after| shared.arrive(Seq(after + 1), Some(news(after))).1);
            let end = shared.arrivals_end();
            shared.begin_all(end, BootInstant(1), Ok(holders()));
            let told = came.map(|hearing| told(hearing).unwrap().news);
            published.extend(told.map(|news| news.map(|news| news.after.0)));
        }
        // By the second reading again: what was acknowledged before it began would be missed.
        assert_eq!(published, [Some(1), None, Some(2), Some(2), None, None]);
    }
}
