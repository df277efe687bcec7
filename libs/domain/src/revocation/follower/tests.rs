use super::*;
use crate::contract::sample::tenant;
use crate::ids::Serial;
use crate::revocation::{ListBits, PublicKey, SerialRange, Snapshot, SnapshotMark, Standing};
use crate::time::Timestamp;
use uuid::Uuid;

const EPOCH: LogEpoch = LogEpoch(7);
const L: Duration = Duration::from_secs(5);

struct World {
    follower: Follower,
    state: Arc<RevocationState>,
    now: BootInstant,
}

fn head(seq: u64) -> Head {
    Head {
        epoch: EPOCH,
        seq: Seq(seq),
    }
}

fn ended(after: u64, serials: &[u64]) -> Publication {
    let entries = serials
        .iter()
        .map(|&s| LogEntry::Ended(vec![Serial(s)]))
        .collect();
    Publication {
        epoch: EPOCH,
        after: Seq(after),
        entries,
    }
}

impl World {
    fn new() -> Self {
        let state = Arc::new(RevocationState::new());
        let instance = InstanceId(Uuid::from_u128(1));
        let follower = Follower::new(instance, Arc::clone(&state), FollowerConfig::default());
        Self {
            follower,
            state,
            now: BootInstant(1_000_000_000_000),
        }
    }

    /// A follower that has joined at `seq` with no lists, and holds a lease.
    fn joined(seq: u64) -> Self {
        let mut world = Self::new();
        let asked = world.asks();
        world.granted(asked, seq);
        world.snapshot(seq, &[]);
        world.follower.poll(world.now);
        world
    }

    fn after(&mut self, span: Duration) -> Vec<FollowerAction> {
        self.now = self.now.plus(span);
        self.follower.poll(self.now)
    }

    fn asks(&mut self) -> u64 {
        let actions = self.follower.poll(self.now);
        let request = actions.iter().find_map(|action| match action {
            FollowerAction::RequestGrant(request) => Some(request.counter),
            _ => None,
        });
        request.expect("a follower without a lease asks for one")
    }

    fn granted(&mut self, counter: u64, seq: u64) {
        let grant = Grant {
            counter,
            head: head(seq),
            lease: L,
            server_time: Timestamp::from_unix_seconds(1),
            reaped_through: Timestamp::from_unix_seconds(1),
            secret: Secret256([3; 32]),
        };
        self.follower
            .on_grant_reply(self.now, GrantReply::Granted(grant));
    }

    fn snapshot(&mut self, seq: u64, lists: &[u64]) {
        let snapshot = Snapshot {
            head: head(seq),
            keys: vec![],
            skipped: vec![],
            floors: vec![],
            lists: lists.to_vec(),
            after: None,
            more: None,
        };
        self.follower.on_snapshot(self.now, &snapshot);
    }

    fn holds_lease(&self) -> bool {
        self.now < self.state.deadline()
    }

    fn is_ended(&self, serial: u64) -> bool {
        self.state.standing(&tenant("a"), Serial(serial)) == Standing::Ended
    }

    fn acknowledged(actions: &[FollowerAction]) -> Option<u64> {
        actions.iter().find_map(|action| match action {
            FollowerAction::Acknowledge(ack) => Some(ack.applied.seq.0),
            _ => None,
        })
    }
}

#[test]
fn a_grant_counts_only_once_everything_before_it_is_applied() {
    let mut world = World::new();
    let asked = world.asks();
    world.granted(asked, 9);
    assert!(!world.holds_lease(), "not before the snapshot");
    world.snapshot(7, &[]);
    assert!(!world.holds_lease(), "not before entries 8 and 9");
    world
        .follower
        .on_publication(world.now, ended(7, &[70, 71]));
    assert!(world.holds_lease());
}

#[test]
fn a_lease_is_reckoned_from_when_it_was_asked_for_less_the_clock_error() {
    let mut world = World::new();
    let asked_at = world.now;
    let asked = world.asks();
    world.after(Duration::from_millis(900));
    world.granted(asked, 0);
    world.snapshot(0, &[]);
    assert_eq!(world.state.deadline(), asked_at.plus(L / 1000 * 999));
}

#[test]
fn a_reply_to_nothing_asked_is_nothing() {
    let mut world = World::new();
    world.asks();
    world.granted(99, 0);
    world.snapshot(0, &[]);
    assert!(!world.holds_lease());
}

#[test]
fn joining_takes_what_was_published_meanwhile_and_the_lists() {
    let mut world = World::new();
    let asked = world.asks();
    world.granted(asked, 4);
    world.follower.on_publication(world.now, ended(4, &[50]));
    world.snapshot(4, &[2]);
    assert!(!world.holds_lease());
    assert!(
        world
            .follower
            .poll(world.now)
            .contains(&FollowerAction::FetchList(2))
    );
    let older = ListBits {
        head: head(3),
        list: 2,
        bits: vec![],
    };
    world.follower.on_list(world.now, &older);
    assert!(!world.holds_lease(), "a list older than the snapshot");
    let bits = ListBits {
        head: head(4),
        list: 2,
        bits: vec![0b10],
    };
    world.follower.on_list(world.now, &bits);
    assert!(world.holds_lease());
    assert_eq!(world.state.applied(), Seq(5));
    assert!(world.is_ended(50) && world.is_ended(2 * (1 << 20) + 1));
}

#[test]
fn a_gap_holds_back_what_is_after_it_and_is_fetched_in_time() {
    let mut world = World::joined(3);
    world.follower.on_publication(world.now, ended(4, &[51]));
    assert_eq!(world.state.applied(), Seq(3));
    assert!(!world.is_ended(51), "applied is a gapless prefix");
    assert!(world.holds_lease(), "a gap never stops a held lease");
    let actions = world.after(FollowerConfig::default().gap_patience);
    assert!(actions.contains(&FollowerAction::FetchEntries {
        epoch: EPOCH,
        after: Seq(3)
    }));
    world.follower.on_publication(world.now, ended(3, &[50]));
    assert_eq!(world.state.applied(), Seq(5));
    assert!(world.is_ended(50) && world.is_ended(51));
    assert_eq!(
        World::acknowledged(&world.follower.poll(world.now)),
        Some(5)
    );
}

#[test]
fn a_lost_tail_is_learnt_from_the_next_grant() {
    let mut world = World::joined(3);
    world.after(L / 4);
    let counter = world.follower.counter();
    world.granted(counter, 5);
    let actions = world.after(FollowerConfig::default().gap_patience);
    assert!(actions.contains(&FollowerAction::FetchEntries {
        epoch: EPOCH,
        after: Seq(3)
    }));
}

#[test]
fn what_is_sent_again_is_acknowledged_again() {
    let mut world = World::joined(3);
    world.follower.on_publication(world.now, ended(3, &[50]));
    assert_eq!(
        World::acknowledged(&world.follower.poll(world.now)),
        Some(4)
    );
    assert_eq!(World::acknowledged(&world.follower.poll(world.now)), None);
    world.follower.on_publication(world.now, ended(3, &[50]));
    assert_eq!(
        World::acknowledged(&world.follower.poll(world.now)),
        Some(4)
    );
}

#[test]
fn another_history_means_no_lease_and_joining_anew() {
    let mut world = World::joined(3);
    world.follower.on_publication(
        world.now,
        Publication {
            epoch: LogEpoch(8),
            ..ended(3, &[50])
        },
    );
    assert!(!world.is_ended(50));
    world.after(L / 4);
    let counter = world.follower.counter();
    world
        .follower
        .on_grant_reply(world.now, GrantReply::Rejoin { counter });
    assert!(!world.holds_lease());
    let actions = world.follower.poll(world.now);
    assert!(actions.contains(&FollowerAction::FetchSnapshot(None)));
    assert!(
        actions
            .iter()
            .any(|a| matches!(a, FollowerAction::RequestGrant(r) if r.applied.is_none()))
    );
}

#[test]
fn it_renews_in_time_and_asks_again_when_nobody_answers() {
    let mut world = World::joined(3);
    assert_eq!(world.follower.wake_at(), world.now.plus(L / 4));
    let first = world.after(L / 4);
    assert!(
        first
            .iter()
            .any(|a| matches!(a, FollowerAction::RequestGrant(r) if r.applied == Some(head(3))))
    );
    let counter = world.follower.counter();
    world.after(FollowerConfig::default().request_patience);
    assert_eq!(world.follower.counter(), counter + 1);
}

#[test]
fn a_lease_given_up_is_over_at_once_and_a_late_grant_does_not_revive_it() {
    let mut world = World::joined(3);
    world.after(L / 4);
    let counter = world.follower.counter();
    world.follower.give_up();
    assert!(!world.holds_lease());
    world.granted(counter, 3);
    assert!(!world.holds_lease());
}

#[test]
fn an_ended_serial_never_lives_again_in_any_history() {
    let mut world = World::joined(3);
    world.follower.on_publication(world.now, ended(3, &[50]));
    world.after(L / 4);
    let counter = world.follower.counter();
    world
        .follower
        .on_grant_reply(world.now, GrantReply::Rejoin { counter });
    world.snapshot(0, &[]);
    assert!(world.is_ended(50));
}

#[test]
fn a_failed_request_is_made_again_soon_while_there_is_no_lease() {
    let mut world = World::new();
    let asked = world.asks();
    world.follower.on_request_failed(world.now);
    world.after(FollowerConfig::default().retry_after);
    assert_eq!(world.follower.counter(), asked + 1);

    let mut world = World::joined(3);
    let renewal = world.follower.wake_at();
    world.follower.on_request_failed(world.now);
    assert_eq!(
        world.follower.wake_at(),
        renewal,
        "a lease in force is renewed in its own time"
    );
}

#[test]
fn a_gap_too_long_for_one_answer_is_fetched_without_a_pause() {
    let mut world = World::joined(3);
    world.after(L / 4);
    let counter = world.follower.counter();
    world.granted(counter, 9);
    world.after(FollowerConfig::default().gap_patience);
    world.follower.on_entries(world.now, ended(3, &[50, 51]));
    let next = FollowerAction::FetchEntries {
        epoch: EPOCH,
        after: Seq(5),
    };
    assert!(world.follower.poll(world.now).contains(&next));
    // An answer that says nothing new is no reason to ask at once.
    world.follower.on_entries(world.now, ended(5, &[]));
    assert!(!world.follower.poll(world.now).contains(&next));
}

#[test]
fn entries_that_are_gone_mean_joining_anew() {
    let mut world = World::joined(3);
    world.follower.on_entries_gone(world.now, LogEpoch(8));
    assert!(world.holds_lease(), "said of what it doesn't follow");
    world.follower.on_entries_gone(world.now, EPOCH);
    assert!(!world.holds_lease());
    let actions = world.follower.poll(world.now);
    assert!(actions.contains(&FollowerAction::FetchSnapshot(None)));
}

#[test]
fn a_snapshot_is_complete_with_its_last_part_only() {
    let mut world = World::new();
    let asked = world.asks();
    world.granted(asked, 4);
    let mark = |list| SnapshotMark {
        floor: None,
        list: Some(list),
    };
    let part = |after: Option<SnapshotMark>, lists: &[u64], more| Snapshot {
        head: head(4),
        keys: vec![],
        skipped: vec![],
        floors: vec![],
        lists: lists.to_vec(),
        after,
        more,
    };
    // The rest of what was asked for by another time of joining.
    let late = part(Some(mark(9)), &[], None);
    world.follower.on_snapshot(world.now, &late);
    let first = part(None, &[], Some(mark(1)));
    world.follower.on_snapshot(world.now, &first);
    let actions = world.follower.poll(world.now);
    assert!(actions.contains(&FollowerAction::FetchSnapshot(Some(mark(1)))));
    world.follower.on_snapshot(world.now, &late);
    assert!(!world.holds_lease(), "not the part that was asked for");
    let last = part(Some(mark(1)), &[], None);
    world.follower.on_snapshot(world.now, &last);
    assert!(world.holds_lease());
}

#[test]
fn skipped_serials_are_dead_and_their_bits_set() {
    let mut world = World::new();
    let asked = world.asks();
    world.granted(asked, 0);
    let range = |first, last| SerialRange {
        first: Serial(first),
        last: Serial(last),
    };
    let snapshot = Snapshot {
        head: head(0),
        keys: vec![],
        skipped: vec![range(10, 20), range(21, 1 << 32)],
        floors: vec![],
        lists: vec![],
        after: None,
        more: None,
    };
    world.follower.on_snapshot(world.now, &snapshot);
    for dead in [10, 15, 20, 21, 1 << 32] {
        assert!(world.is_ended(dead), "{dead}");
    }
    assert!(!world.is_ended(9) && !world.is_ended((1 << 32) + 1));
    let bits = world.state.list_bits(0).unwrap();
    assert_eq!((bits[1], bits[0]), (0b1111_1100, 0));
    assert_eq!(world.state.list_bits(1 << 30), None);
}

#[test]
fn news_of_another_history_is_reason_to_ask_at_once_but_only_once() {
    let mut world = World::joined(3);
    let news = Publication {
        epoch: LogEpoch(8),
        ..ended(3, &[50])
    };
    let counter = world.follower.counter();
    world.follower.on_publication(world.now, news.clone());
    world.follower.poll(world.now);
    assert_eq!(world.follower.counter(), counter + 1);
    world.granted(counter + 1, 3);
    world.follower.on_publication(world.now, news);
    world.follower.poll(world.now);
    assert_eq!(world.follower.counter(), counter + 1);
}

#[test]
fn a_retired_key_does_not_come_back_with_a_snapshot_of_before() {
    let key = |kid: &str| PublicKey {
        kid: kid.parse().unwrap(),
        alg: "EdDSA".into(),
        jwk: std::collections::BTreeMap::new(),
    };
    let snapshot = |epoch| Snapshot {
        head: Head { epoch, seq: Seq(1) },
        keys: vec![key("old"), key("new")],
        skipped: vec![],
        floors: vec![],
        lists: vec![],
        after: None,
        more: None,
    };
    let mut world = World::new();
    let asked = world.asks();
    world.granted(asked, 1);
    world.follower.on_snapshot(world.now, &snapshot(EPOCH));
    let knows = |world: &World, kid: &str| world.state.knows_key(&kid.parse().unwrap());
    assert!(knows(&world, "old") && world.holds_lease());
    let retired = Publication {
        epoch: EPOCH,
        after: Seq(1),
        entries: vec![LogEntry::KeyRetired("old".parse().unwrap())],
    };
    world.follower.on_publication(world.now, retired);
    assert!(!knows(&world, "old"));
    // The answer to what was asked when it joined the last time, while a thread that was held up
    // still has the deadline of then.
    world.follower.on_entries_gone(world.now, EPOCH);
    world.follower.on_snapshot(world.now, &snapshot(EPOCH));
    assert!(!knows(&world, "old") && knows(&world, "new"));
    // In another history it was perhaps never retired.
    world.follower.on_entries_gone(world.now, EPOCH);
    world
        .follower
        .on_snapshot(world.now, &snapshot(LogEpoch(8)));
    assert!(knows(&world, "old") && knows(&world, "new"));
}
