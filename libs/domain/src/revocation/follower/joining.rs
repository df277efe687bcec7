//! How a follower finds its start: a snapshot, its lists, and what was published meanwhile.

use std::collections::BTreeSet;

use super::{Follower, FollowerAction, Phase};
use crate::ids::Seq;
use crate::revocation::{Guards, Head, ListBits, Snapshot};
use crate::time::BootInstant;

impl<G: Guards> Follower<G> {
    /// Where to start, or the next part of it.
    pub fn on_snapshot(&mut self, now: BootInstant, part: &Snapshot) {
        let Phase::Joining {
            snapshot,
            more,
            lists,
            ..
        } = &mut self.phase
        else {
            return;
        };
        match *snapshot {
            // The rest of a snapshot of before, which nobody asked for this time.
            None if part.after.is_some() => return,
            None => {
                *snapshot = Some(part.head);
                more.clone_from(&part.more);
                lists.clone_from(&part.lists);
                // In another history they may be in service.
                if self.retired.0 != Some(part.head.epoch) {
                    self.retired = (Some(part.head.epoch), BTreeSet::new());
                }
                self.state.adopt(part, &self.retired.1);
            }
            Some(head) if head.epoch != part.head.epoch => return self.rejoin(now),
            // An answer to what was asked before, or one that comes twice.
            Some(head)
                if more.is_none() || *more != part.after || !is_no_older(part.head, head) =>
            {
                return;
            }
            Some(_) => {
                more.clone_from(&part.more);
                let newest = lists.last().copied();
                lists.extend(part.lists.iter().filter(|&&list| newest < Some(list)));
                self.state.adopt_floors(part);
            }
        }
        self.join_at = now;
        self.finish_joining(now);
    }

    /// The bits of one of the snapshot's lists.
    pub fn on_list(&mut self, now: BootInstant, bits: &ListBits) {
        let Phase::Joining {
            snapshot: Some(snapshot),
            lists,
            ..
        } = &mut self.phase
        else {
            return;
        };
        if !lists.contains(&bits.list) {
            return;
        }
        // An answer to what was asked before the last time of joining may lack what the snapshot
        // of this time says is there.
        if G::LISTS_NO_OLDER_THAN_SNAPSHOT && !is_no_older(bits.head, *snapshot) {
            // Nobody can say which of two histories is over, so it begins with neither.
            if bits.head.epoch != snapshot.epoch {
                self.rejoin(now);
            }
            return;
        }
        lists.retain(|&list| list != bits.list);
        self.state.merge_list(bits.list, &bits.bits);
        self.join_at = now;
        self.finish_joining(now);
    }

    pub(super) fn rejoin(&mut self, now: BootInstant) {
        self.give_up();
        self.phase = Phase::start();
        self.ahead.clear();
        self.known_head = Seq(0);
        self.fetch_at = None;
        self.join_at = now;
        self.renew_at = now;
    }

    pub(super) fn continue_joining(&mut self, now: BootInstant) -> Option<FollowerAction> {
        let Phase::Joining {
            snapshot,
            more,
            lists,
            ..
        } = &self.phase
        else {
            return None;
        };
        self.join_at = now.plus(self.config.request_patience);
        match (snapshot, more, lists.first()) {
            (None, ..) => Some(FollowerAction::FetchSnapshot(None)),
            (Some(_), Some(mark), _) => Some(FollowerAction::FetchSnapshot(Some(mark.clone()))),
            (Some(_), None, Some(&list)) => Some(FollowerAction::FetchList(list)),
            (Some(_), None, None) => None,
        }
    }

    fn finish_joining(&mut self, now: BootInstant) {
        let Phase::Joining {
            snapshot: Some(head),
            more: None,
            lists,
            early,
        } = &mut self.phase
        else {
            return;
        };
        if !lists.is_empty() {
            return;
        }
        let (head, early) = (*head, std::mem::take(early));
        self.state.set_applied(head.seq);
        self.phase = Phase::Following { epoch: head.epoch };
        self.known_head = head.seq;
        let promised = self
            .candidates
            .iter()
            .filter(|c| c.head.epoch == head.epoch)
            .map(|c| c.head.seq)
            .max();
        self.note_head(now, promised.unwrap_or_default());
        for publication in early {
            self.on_publication(now, publication);
        }
        self.ack_due = true;
        self.enforce_candidates();
    }
}

fn is_no_older(stamp: Head, than: Head) -> bool {
    stamp.epoch == than.epoch && stamp.seq >= than.seq
}
