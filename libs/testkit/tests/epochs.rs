//! Guards that matter only when the log's numbers begin anew, which neither the simulator nor the
//! explorer does: each is shown to be what keeps one small story from going wrong.

use std::sync::Arc;
use std::time::Duration;

use session_domain::contract::sample::tenant;
use session_domain::ids::{InstanceId, LogEpoch, Seq, Serial};
use session_domain::revocation::{
    Acknowledgement, AllGuards, Fences, Follower, FollowerAction, FollowerConfig, Grant,
    GrantReply, Guards, Head, Holders, Lease, ListBits, RevocationState, Snapshot, Standing,
};
use session_domain::secret::Secret256;
use session_domain::time::{BootInstant, Timestamp};
use session_testkit::sim::mutants::{AnyEpoch, OlderLists};
use uuid::Uuid;

const HOLDER: InstanceId = InstanceId(Uuid::from_u128(1));
const SECRET: Secret256 = Secret256([3; 32]);
const L: Duration = Duration::from_secs(5);
const NOW: BootInstant = BootInstant(1_000_000_000_000);

const fn head(epoch: u64, seq: u64) -> Head {
    Head {
        epoch: LogEpoch(epoch),
        seq: Seq(seq),
    }
}

/// A holder's acknowledgement of the old history's ninth entry arrives late, while the new
/// history's third is waited for. Gives whether the fence opens.
fn a_late_acknowledgement_opens<G: Guards>() -> bool {
    let mut fences = Fences::<G>::default();
    let lease = Lease {
        instance: HOLDER,
        counter: 7,
        applied: Seq(2),
        duration: L,
        secret: SECRET,
    };
    let holders = Holders {
        head: head(2, 3),
        settled: true,
        longest: L,
        leases: vec![lease],
    };
    let fence = fences
        .begin(NOW, head(2, 3), holders)
        .expect("of the epoch in force");
    fences.on_acknowledgement(&Acknowledgement::new(HOLDER, head(1, 9), &SECRET));
    fences.take_if_open(NOW, fence)
}

#[test]
fn an_acknowledgement_counts_for_its_epoch_only() {
    assert!(!a_late_acknowledgement_opens::<AllGuards>());
    assert!(
        a_late_acknowledgement_opens::<AnyEpoch>(),
        "nobody noticed that a guard is missing"
    );
}

/// A follower asks for a list twice, gets it once, learns that there is another history, joins
/// that one, and then gets the other answer, which lacks what has ended since. Gives whether it
/// then answers from memory that what has ended is live.
fn an_old_list_revives<G: Guards>() -> bool {
    let state = Arc::new(RevocationState::new());
    let config = FollowerConfig::default();
    let mut follower = Follower::<G>::with_guards(HOLDER, Arc::clone(&state), config);
    let list = |head, bits: &[u8]| ListBits {
        head,
        list: 0,
        bits: bits.to_vec(),
    };
    let old = list(head(1, 3), &[0b0000_0010]);
    join(&mut follower, NOW, head(1, 3));
    follower.on_list(NOW, &old);

    let later = NOW.plus(L / 2);
    let counter = ask(&mut follower, later);
    follower.on_grant_reply(later, GrantReply::Rejoin { counter });
    join(&mut follower, later, head(2, 5));
    follower.on_list(later, &old);
    let leased = later < state.deadline();
    leased && state.standing(&tenant("a"), Serial(2)) == Standing::Live
}

fn ask<G: Guards>(follower: &mut Follower<G>, now: BootInstant) -> u64 {
    let actions = follower.poll(now);
    let counter = actions.iter().find_map(|action| match action {
        FollowerAction::RequestGrant(request) => Some(request.counter),
        _ => None,
    });
    counter.expect("a follower that is due asks")
}

fn join<G: Guards>(follower: &mut Follower<G>, now: BootInstant, head: Head) {
    let counter = ask(follower, now);
    let grant = Grant {
        counter,
        head,
        lease: L,
        server_time: Timestamp::from_unix_seconds(1),
        reaped_through: Timestamp::from_unix_seconds(1),
        secret: SECRET,
    };
    follower.on_grant_reply(now, GrantReply::Granted(grant));
    let snapshot = Snapshot {
        head,
        keys: vec![],
        skipped: vec![],
        floors: vec![],
        lists: vec![0],
        after: None,
        more: None,
    };
    follower.on_snapshot(now, &snapshot);
}

#[test]
fn a_list_is_no_older_than_its_snapshot() {
    assert!(!an_old_list_revives::<AllGuards>());
    assert!(
        an_old_list_revives::<OlderLists>(),
        "nobody noticed that a guard is missing"
    );
}
