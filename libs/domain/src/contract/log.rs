//! What every [`RevocationLog`] does: leases, snapshots, status lists. How commits number its
//! entries is in [`store`](super::store).

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use uuid::Uuid;

use super::sample;
use super::store::Pair;
use crate::bulk::Filter;
use crate::event::Actor;
use crate::ids::{InstanceId, LogEpoch, RevocationId, Seq, Serial, SessionId, TenantId};
use crate::port::{
    BeginRevocation, End, Heard, RevocationLog, SessionStore, Start, StartOutcome, Targets, Touch,
    Why,
};
use crate::revocation::{
    Grant, GrantReply, GrantRequest, Head, Lease, LogEntry, LogRun, SNAPSHOT_FLOORS_MAX,
};
use crate::session::{EndReason, NewSession};
use crate::time::Timestamp;

suite!(($) Pair, log, revocation_log_contract:
    a_first_lease_is_granted_at_the_head,
    a_renewal_keeps_the_secret_and_moves_the_head,
    a_renewal_that_lags_is_refused,
    whoever_follows_another_history_must_join_anew,
    a_joiner_that_comes_back_is_granted,
    a_counter_must_rise,
    a_shorter_lease_does_not_shorten_what_is_waited_for,
    a_lease_is_forgotten_by_its_counter_only,
    a_lease_given_up_is_not_granted_by_a_late_request,
    whoever_is_ahead_of_the_log_begins_a_new_epoch,
    an_epoch_is_settled_by_its_name_only,
    entries_are_pruned_once_every_holder_has_them,
    a_snapshot_of_many_floors_comes_in_parts,
    a_grant_says_how_far_the_reaper_has_come,
    nobody_is_idle_before_every_holder_has_told,
    every_end_is_before_or_after_every_grant,
    a_snapshot_is_as_new_as_its_head_says,
    ended_serials_are_those_of_the_range,
);

const LEASE: Duration = Duration::from_secs(5);

fn instance(number: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(number))
}

fn ask(number: u128, counter: u64, applied: Option<Head>) -> GrantRequest {
    GrantRequest {
        instance: instance(number),
        counter,
        applied,
    }
}

async fn granted(log: &Arc<dyn RevocationLog>, request: GrantRequest) -> Grant {
    match log.grant(&request, LEASE).await.unwrap() {
        GrantReply::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}

async fn start(store: &Arc<dyn SessionStore>, session: NewSession) -> SessionId {
    let start = Start {
        session,
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    match store.apply(start).await.unwrap() {
        StartOutcome::Started { session, .. } => session.id,
        other => panic!("not started: {other:?}"),
    }
}

async fn end(store: &Arc<dyn SessionStore>, id: SessionId) -> Seq {
    let change = End {
        targets: Targets::One {
            tenant: TenantId::default(),
            id,
        },
        why: Why::Because {
            reason: EndReason::Logout,
            note: None,
        },
        at: Timestamp(1),
        actor: Actor::System,
        batch: 1,
    };
    store.apply(change).await.unwrap().through
}

/// Starts a session and ends it: one entry.
async fn entry(store: &Arc<dyn SessionStore>, number: u128) -> Seq {
    let id = start(store, sample::new_session(number, "alice")).await;
    end(store, id).await
}

/// The entries after `after`, at most `limit`, of the epoch in force.
pub async fn entries(log: &dyn RevocationLog, after: Seq, limit: u32) -> Vec<LogEntry> {
    let head = log.head().await.unwrap();
    let after = Head { seq: after, ..head };
    match log.entries(after, limit).await.unwrap() {
        LogRun::Entries(entries) => entries,
        other => panic!("no entries: {other:?}"),
    }
}

async fn leases(log: &Arc<dyn RevocationLog>) -> Vec<Lease> {
    log.holders().await.unwrap().leases
}

async fn only_lease(log: &Arc<dyn RevocationLog>) -> Lease {
    let mut leases = leases(log).await;
    assert_eq!(leases.len(), 1);
    leases.remove(0)
}

/// Whoever has nothing yet gets a lease that counts from the head on, and is waited for.
pub async fn a_first_lease_is_granted_at_the_head((store, log): Pair) {
    entry(&store, 1).await;
    let head = log.head().await.unwrap();
    let grant = granted(&log, ask(1, 3, None)).await;
    assert_eq!((grant.counter, grant.head, grant.lease), (3, head, LEASE));
    let lease = only_lease(&log).await;
    assert_eq!(
        lease,
        Lease {
            instance: instance(1),
            counter: 3,
            applied: Seq(0),
            duration: LEASE,
            secret: grant.secret.clone(),
        }
    );
    let other = granted(&log, ask(2, 1, Some(head))).await;
    assert_ne!(other.secret, grant.secret);
    assert_eq!(leases(&log).await.len(), 2);
}

/// One secret for the holder's life; the row follows what it says.
pub async fn a_renewal_keeps_the_secret_and_moves_the_head((store, log): Pair) {
    let first = granted(&log, ask(1, 1, None)).await;
    entry(&store, 1).await;
    let second = granted(&log, ask(1, 2, Some(first.head))).await;
    assert_eq!((second.head.seq, &second.secret), (Seq(1), &first.secret));
    let third = granted(&log, ask(1, 9, Some(second.head))).await;
    assert_eq!((third.counter, &third.secret), (9, &first.secret));
    let lease = only_lease(&log).await;
    assert_eq!((lease.counter, lease.applied), (9, Seq(1)));
}

/// Not before it has applied what its last grant counted from; the old lease stays as it was.
pub async fn a_renewal_that_lags_is_refused((store, log): Pair) {
    let start = log.head().await.unwrap();
    entry(&store, 1).await;
    let first = granted(&log, ask(1, 1, Some(start))).await;
    entry(&store, 2).await;
    let head = log.head().await.unwrap();
    let reply = log.grant(&ask(1, 2, Some(start)), LEASE).await.unwrap();
    assert_eq!(reply, GrantReply::Lagging { counter: 2, head });
    assert_eq!(only_lease(&log).await.counter, 1);
    let second = granted(&log, ask(1, 3, Some(first.head))).await;
    assert_eq!(second.head, head);
}

/// Another epoch, or numbers that don't exist: what it applied isn't this log.
pub async fn whoever_follows_another_history_must_join_anew((store, log): Pair) {
    entry(&store, 1).await;
    let head = log.head().await.unwrap();
    let elsewhere = Head {
        epoch: LogEpoch(!head.epoch.0),
        ..head
    };
    let ahead = Head {
        seq: head.seq.next(),
        ..head
    };
    for (counter, applied) in [(1, elsewhere), (2, ahead)] {
        let reply = log
            .grant(&ask(1, counter, Some(applied)), LEASE)
            .await
            .unwrap();
        assert_eq!(reply, GrantReply::Rejoin { counter });
    }
    assert_eq!(leases(&log).await, []);
}

/// A known holder that had to start over isn't refused for lagging.
pub async fn a_joiner_that_comes_back_is_granted((store, log): Pair) {
    entry(&store, 1).await;
    let first = granted(&log, ask(1, 1, None)).await;
    granted(&log, ask(1, 2, Some(first.head))).await;
    entry(&store, 2).await;
    let again = granted(&log, ask(1, 3, None)).await;
    assert_eq!((again.head.seq, again.secret), (Seq(2), first.secret));
    // It has nothing until it says otherwise.
    assert_eq!(only_lease(&log).await.applied, Seq(0));
}

/// A request that comes twice or late must not turn the lease back.
pub async fn a_counter_must_rise((_, log): Pair) {
    let grant = granted(&log, ask(1, 5, None)).await;
    for counter in [5, 4, 0] {
        let error = log.grant(&ask(1, counter, Some(grant.head)), LEASE).await;
        assert!(!error.unwrap_err().is_retry());
    }
    assert_eq!(only_lease(&log).await.counter, 5);
}

/// While leases are made shorter, a holder may still go by a longer one it was granted before.
pub async fn a_shorter_lease_does_not_shorten_what_is_waited_for((_, log): Pair) {
    let head = granted(&log, ask(1, 1, None)).await.head;
    let short = Duration::from_millis(500);
    let reply = log.grant(&ask(1, 2, Some(head)), short).await.unwrap();
    assert!(matches!(reply, GrantReply::Granted(grant) if grant.lease == short));
    assert_eq!(only_lease(&log).await.duration, LEASE);
    log.grant(&ask(1, 3, Some(head)), LEASE * 2).await.unwrap();
    assert_eq!(only_lease(&log).await.duration, LEASE * 2);
}

/// Somebody who saw an old counter stand still must not take away a renewed lease.
pub async fn a_lease_is_forgotten_by_its_counter_only((_, log): Pair) {
    let head = granted(&log, ask(1, 1, None)).await.head;
    granted(&log, ask(1, 2, Some(head))).await;
    log.forget(instance(1), 1).await.unwrap();
    log.forget(instance(2), 2).await.unwrap();
    assert_eq!(only_lease(&log).await.counter, 2);
    log.forget(instance(1), 2).await.unwrap();
    assert_eq!(leases(&log).await, []);
    // Twice is fine.
    log.forget(instance(1), 2).await.unwrap();
}

/// Its holder is gone: nobody waits for it, and what it asked for before comes too late.
pub async fn a_lease_given_up_is_not_granted_by_a_late_request((_, log): Pair) {
    let head = granted(&log, ask(1, 1, None)).await.head;
    log.release(instance(1), 3).await.unwrap();
    assert_eq!(leases(&log).await, [], "a release stands for all before it");
    for counter in [2, 3] {
        let late = log.grant(&ask(1, counter, Some(head)), LEASE).await;
        assert!(!late.unwrap_err().is_retry());
    }
    // The first request of all may be the one that is late.
    log.release(instance(2), 1).await.unwrap();
    assert!(log.grant(&ask(2, 1, None), LEASE).await.is_err());
    assert_eq!(leases(&log).await, []);
    assert_eq!(log.heard_through().await.unwrap(), None);
    // Not those of others.
    granted(&log, ask(3, 1, None)).await;
    assert_eq!(only_lease(&log).await.instance, instance(3));
    // Whoever asks for one all the same, beyond what it gave up, is waited for.
    granted(&log, ask(1, 4, Some(head))).await;
    let holders = leases(&log).await;
    assert!(holders.iter().any(|lease| lease.instance == instance(1)));
}

/// What it has applied is lost: its numbers, and the serials of the same time, are never given to
/// anything else.
pub async fn whoever_is_ahead_of_the_log_begins_a_new_epoch((store, log): Pair) {
    entry(&store, 1).await;
    let head = log.head().await.unwrap();
    assert!(log.holders().await.unwrap().settled);
    let ahead = Head {
        seq: Seq(head.seq.0 + 5),
        ..head
    };
    let reply = log.grant(&ask(1, 1, Some(ahead)), LEASE).await.unwrap();
    assert_eq!(reply, GrantReply::Rejoin { counter: 1 });
    let now = log.holders().await.unwrap();
    assert_ne!(now.head.epoch, head.epoch);
    assert_eq!((now.head.seq, now.settled), (head.seq, false));
    let gone = log
        .entries(
            Head {
                seq: Seq(0),
                ..head
            },
            9,
        )
        .await
        .unwrap();
    let current = now.head.epoch;
    assert_eq!(gone, LogRun::Foreign { current });
    let id = start(&store, sample::new_session(2, "alice")).await;
    let found = store.find(&TenantId::default(), id).await.unwrap().unwrap();
    let [skipped] = log.snapshot(None).await.unwrap().skipped[..] else {
        panic!("one range is skipped");
    };
    assert_eq!(
        (skipped.first, skipped.last.next()),
        (Serial(2), found.serial)
    );
    assert!(found.serial > Serial(1 << 32));
    // It goes on counting, and the one who asked may join.
    let next = end(&store, id).await;
    assert_eq!(next, head.seq.next());
    let joined = granted(&log, ask(1, 2, None)).await;
    assert_eq!((joined.head.epoch, joined.head.seq), (current, next));
    // A late word of before doesn't begin another.
    log.grant(&ask(2, 1, Some(ahead)), LEASE).await.unwrap();
    assert_eq!(log.head().await.unwrap().epoch, current);
}

/// Whoever has outlived what an earlier epoch may have granted says nothing of a later one.
pub async fn an_epoch_is_settled_by_its_name_only((store, log): Pair) {
    let first = log.head().await.unwrap();
    entry(&store, 1).await;
    let ahead = Head {
        seq: Seq(9),
        ..first
    };
    log.grant(&ask(1, 1, Some(ahead)), LEASE).await.unwrap();
    log.settle(first.epoch).await.unwrap();
    let holders = log.holders().await.unwrap();
    assert!(!holders.settled);
    log.settle(holders.head.epoch).await.unwrap();
    assert!(log.holders().await.unwrap().settled);
}

/// And not before they are as old as was asked.
pub async fn entries_are_pruned_once_every_holder_has_them((store, log): Pair) {
    let now = Duration::ZERO;
    let head = granted(&log, ask(1, 1, None)).await.head;
    for number in 1..=4 {
        entry(&store, number).await;
    }
    let at = |seq| Head {
        seq: Seq(seq),
        ..head
    };
    // From now on these four are told from those to come.
    assert_eq!(log.prune(now, 100).await.unwrap(), 0);
    assert_eq!(log.prune(now, 100).await.unwrap(), 0, "the holder has none");
    granted(&log, ask(1, 2, Some(at(3)))).await;
    assert_eq!(log.prune(Duration::from_hours(1), 100).await.unwrap(), 0);
    assert_eq!(log.prune(now, 2).await.unwrap(), 2);
    assert_eq!(log.prune(now, 100).await.unwrap(), 1);
    for gone in 0..3 {
        assert_eq!(log.entries(at(gone), 9).await.unwrap(), LogRun::Pruned);
    }
    let last = log.entries(at(3), 9).await.unwrap();
    assert!(matches!(last, LogRun::Entries(entries) if entries.len() == 1));
    assert_eq!(
        log.entries(at(4), 9).await.unwrap(),
        LogRun::Entries(Vec::new())
    );
}

/// No message is too long, however many tenants there are.
pub async fn a_snapshot_of_many_floors_comes_in_parts((store, log): Pair) {
    let floors = SNAPSHOT_FLOORS_MAX + 3;
    let raise = |number: usize| {
        let store = &store;
        async move {
            let change = BeginRevocation {
                id: RevocationId(Uuid::from_u128(number as u128)),
                filter: Filter {
                    tenant: (number > 0).then(|| sample::tenant(&format!("t{number}"))),
                    ..Filter::default()
                },
                reason: EndReason::RevokedByAdmin,
                note: None,
                at: Timestamp(1),
                actor: Actor::System,
            };
            store.apply(change).await.unwrap();
        }
    };
    join_all((0..floors).map(raise)).await;
    entry(&store, 1).await;
    let first = log.snapshot(None).await.unwrap();
    assert_eq!(first.floors.len(), SNAPSHOT_FLOORS_MAX);
    assert_eq!((first.after, &first.floors[0].0), (None, &None));
    let rest = log.snapshot(first.more.as_ref()).await.unwrap();
    assert_eq!((rest.floors.len(), &rest.more), (3, &None));
    assert_eq!((&rest.after, rest.lists.len()), (&first.more, 0));
    assert_eq!(first.lists, [0]);
    let all = first.floors.iter().chain(&rest.floors);
    let all: std::collections::BTreeSet<_> = all.map(|(tenant, _)| tenant).collect();
    assert_eq!(all.len(), floors, "each once");
}

/// The earliest due time of an active session, or now.
pub async fn a_grant_says_how_far_the_reaper_has_come((store, log): Pair) {
    let none = granted(&log, ask(1, 1, None)).await;
    assert_eq!(none.reaped_through, none.server_time);
    let due = |number, due_at| {
        let new = sample::new_session(number, "alice");
        let mut draft = new.draft().clone();
        draft.expires_at = due_at;
        draft.absolute_expires_at = Timestamp(i64::MAX);
        NewSession::new(draft, new.seed().clone())
    };
    start(&store, due(1, Timestamp(i64::MAX))).await;
    let future = granted(&log, ask(1, 2, None)).await;
    assert_eq!(future.reaped_through, future.server_time);
    start(&store, due(2, Timestamp(200))).await;
    let overdue = start(&store, due(3, Timestamp(100))).await;
    let behind = granted(&log, ask(1, 3, None)).await;
    assert_eq!(behind.reaped_through, Timestamp(100));
    end(&store, overdue).await;
    assert_eq!(
        granted(&log, ask(1, 4, None)).await.reaped_through,
        Timestamp(200)
    );
}

/// A session ends for having been idle only once every lease holder has told of every use up to
/// when it was due; for having expired, at once.
pub async fn nobody_is_idle_before_every_holder_has_told((store, log): Pair) {
    assert_eq!(log.heard_through().await.unwrap(), None);
    let told = granted(&log, ask(1, 1, None)).await.server_time;
    assert_eq!(log.heard_through().await.unwrap(), Some(told));
    let after = |seconds| told.plus(Duration::from_secs(seconds));
    let session = |number, idle: Option<u64>, expires| {
        let mut session = sample::new_session(number, "alice").draft().clone();
        session.last_seen_at = told;
        session.idle_timeout = idle.map(Duration::from_secs);
        session.expires_at = after(expires);
        session.absolute_expires_at = after(86_400);
        NewSession::new(session, sample::new_session(number, "alice").seed().clone())
    };
    start(&store, session(1, Some(60), 3_600)).await;
    start(&store, session(2, None, 30)).await;
    let reap = async || {
        let change = End {
            targets: Targets::Overdue,
            why: Why::Overdue,
            at: after(100),
            actor: Actor::System,
            batch: 10,
        };
        let ended = store.apply(change).await.unwrap().ended;
        ended.iter().map(|session| session.id).collect::<Vec<_>>()
    };
    let hear = async |number, seconds| {
        let heard = Heard {
            from: instance(number),
            through: after(seconds),
        };
        let touch = Touch {
            seen: Vec::new(),
            heard: Some(heard),
        };
        store.apply(touch).await.unwrap();
    };
    assert_eq!(reap().await, [sample::session_id(2)], "expired, not idle");
    hear(1, 59).await;
    hear(7, 100).await;
    assert_eq!(
        reap().await,
        [],
        "a use in the last second may not be told yet"
    );
    granted(&log, ask(2, 1, None)).await;
    hear(1, 100).await;
    assert_eq!(reap().await, [], "the other holder may know of a use");
    log.release(instance(2), 1).await.unwrap();
    hear(1, 80).await;
    assert_eq!(log.heard_through().await.unwrap(), Some(after(100)));
    assert_eq!(reap().await, [sample::session_id(1)]);
}

/// Grants and ends at once: whoever was granted a head below an end's number is among the leases
/// that can be read once that end has returned. Otherwise it would not be waited for.
pub async fn every_end_is_before_or_after_every_grant((store, log): Pair) {
    for number in 1..=40 {
        start(&store, sample::new_session(number, "alice")).await;
    }
    let (store, log) = (&store, &log);
    let grants = join_all((1..=40).map(|number| granted(log, ask(number, 1, None))));
    let ends = join_all((1..=40).map(|number| async move {
        let seq = end(store, sample::session_id(number)).await;
        (seq, leases(log).await)
    }));
    let (grants, ends) = futures::future::join(grants, ends).await;
    for (number, grant) in (1..).zip(grants) {
        for (seq, leases) in &ends {
            let held = leases
                .iter()
                .any(|lease| lease.instance == instance(number));
            assert!(held || grant.head.seq >= *seq, "missed by {seq}");
        }
    }
}

/// Everything up to the head is in the rest.
pub async fn a_snapshot_is_as_new_as_its_head_says((store, log): Pair) {
    let empty = log.snapshot(None).await.unwrap();
    assert_eq!((empty.head.seq, empty.lists.len()), (Seq(0), 0));
    assert_eq!((empty.keys.len(), empty.floors.len()), (0, 0));
    start(&store, sample::new_session(1, "alice")).await;
    entry(&store, 2).await;
    let snapshot = log.snapshot(None).await.unwrap();
    assert_eq!(snapshot.head, log.head().await.unwrap());
    assert_eq!(
        (snapshot.head.epoch, snapshot.head.seq),
        (empty.head.epoch, Seq(1))
    );
    assert_eq!(snapshot.lists, [0]);
}

/// From the first, before the last, and only what has ended.
pub async fn ended_serials_are_those_of_the_range((store, log): Pair) {
    for number in 1..=6 {
        start(&store, sample::new_session(number, "alice")).await;
    }
    for number in [2, 3, 5] {
        end(&store, sample::session_id(number)).await;
    }
    for (from, to, expected) in [
        (0, u64::MAX, vec![2, 3, 5]),
        (2, 5, vec![2, 3]),
        (3, 6, vec![3, 5]),
        (4, 5, vec![]),
        (5, 5, vec![]),
        (1 << 20, 2 << 20, vec![]),
    ] {
        let ended = log.ended_serials(Serial(from), Serial(to)).await.unwrap();
        assert_eq!(ended, expected.into_iter().map(Serial).collect::<Vec<_>>());
    }
}
