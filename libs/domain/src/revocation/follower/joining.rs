//! How a follower finds its start: a snapshot, its lists, and what was published meanwhile.

use super::{Follower, FollowerAction, Phase};
use crate::ids::Seq;
use crate::revocation::{Guards, Head, ListBits, Snapshot};
use crate::time::BootInstant;

impl<G: Guards> Follower<G> {
    /// Where to start.
    pub fn on_snapshot(&mut self, now: BootInstant, snapshot: &Snapshot) {
        if let Phase::Joining {
            snapshot: started @ None,
            lists,
            ..
        } = &mut self.phase
        {
            *started = Some(snapshot.head);
            lists.clone_from(&snapshot.lists);
            self.state.adopt(snapshot);
            self.join_at = now;
            self.finish_joining(now);
        }
    }

    /// The bits of one of the snapshot's lists.
    pub fn on_list(&mut self, now: BootInstant, bits: &ListBits) {
        if let Phase::Joining {
            snapshot: Some(snapshot),
            lists,
            ..
        } = &mut self.phase
            && lists.contains(&bits.list)
            // An answer to what was asked before the last time of joining may lack what the
            // snapshot of this time says is there.
            && (!G::LISTS_NO_OLDER_THAN_SNAPSHOT || is_no_older(bits.head, *snapshot))
        {
            lists.retain(|&list| list != bits.list);
            self.state.merge_list(bits.list, &bits.bits);
            self.join_at = now;
            self.finish_joining(now);
        }
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
            snapshot, lists, ..
        } = &self.phase
        else {
            return None;
        };
        self.join_at = now.plus(self.config.request_patience);
        match (snapshot, lists.first()) {
            (None, _) => Some(FollowerAction::FetchSnapshot),
            (Some(_), Some(&list)) => Some(FollowerAction::FetchList(list)),
            (Some(_), None) => None,
        }
    }

    fn finish_joining(&mut self, now: BootInstant) {
        let Phase::Joining {
            snapshot: Some(head),
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
