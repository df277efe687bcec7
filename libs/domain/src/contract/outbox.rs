//! What every [`EventOutbox`] does, over the trail that a [`SessionStore`]'s commits write.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use uuid::Uuid;

use super::sample;
use crate::event::{Actor, Event, Fact};
use crate::ids::{EventId, Generation, InstanceId, SessionId, TenantId};
use crate::port::{
    End, EventOutbox, Purge, Purgeable, Rotate, SessionStore, Start, StoredEvent, Targets, Why,
};
use crate::session::EndReason;
use crate::time::Timestamp;

/// A store, and what is told of its changes.
pub type Trail = (Arc<dyn SessionStore>, Arc<dyn EventOutbox>);

suite!(($) Trail, outbox, event_outbox_contract:
    nothing_happened_and_nothing_waits,
    every_change_waits_once_as_it_was,
    what_is_marked_does_not_wait_any_more,
    a_mark_is_never_taken_back,
    changes_of_many_sessions_come_in_each_ones_order,
    one_leads_at_a_time,
    only_the_leader_marks,
    the_oldest_that_waits_is_known,
    events_are_purged_by_age_and_only_once_told,
);

const LEASE: Duration = Duration::from_secs(600);

fn holder(number: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(number))
}

fn at(seconds: u64) -> Timestamp {
    // Long ago, also for stores with a clock of their own.
    let start = sample::START.minus(Duration::from_hours(24 * 365 * 12));
    start.plus(Duration::from_secs(seconds))
}

async fn start(store: &Arc<dyn SessionStore>, number: u128) {
    let sample = sample::new_session(number, "alice");
    let mut draft = sample.draft().clone();
    draft.created_at = at(0);
    let change = Start {
        session: crate::session::NewSession::new(draft, sample.seed().clone()),
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    store.apply(change).await.unwrap();
}

async fn rotate(store: &Arc<dyn SessionStore>, number: u128, presented: u32) {
    let change = Rotate {
        tenant: TenantId::default(),
        id: sample::session_id(number),
        presented: Generation(presented),
        seed: sample::new_session(number, "alice").seed().clone(),
        at: at(u64::from(presented) + 1),
        grace: Duration::from_secs(10),
        actor: Actor::System,
    };
    store.apply(change).await.unwrap();
}

async fn end(store: &Arc<dyn SessionStore>, number: u128) {
    let change = End {
        targets: Targets::One {
            tenant: TenantId::default(),
            id: sample::session_id(number),
        },
        why: Why::Because {
            reason: EndReason::Logout,
            note: Some("bye".into()),
        },
        at: at(100),
        actor: Actor::System,
        batch: 1,
    };
    store.apply(change).await.unwrap();
}

async fn waiting(outbox: &Arc<dyn EventOutbox>) -> Vec<StoredEvent> {
    outbox.unrelayed(u32::MAX).await.unwrap()
}

fn event(number: u128, at: Timestamp, fact: Fact) -> Event {
    Event {
        at,
        tenant: Some(TenantId::default()),
        session: Some(sample::session_id(number)),
        user: Some(sample::user("alice")),
        actor: Actor::System,
        fact,
    }
}

/// An empty trail is empty.
pub async fn nothing_happened_and_nothing_waits((_, outbox): Trail) {
    assert_eq!(waiting(&outbox).await, []);
    assert_eq!(outbox.oldest_unrelayed().await.unwrap(), None);
}

/// Each change is there as soon as it was answered, as it was, in its place.
pub async fn every_change_waits_once_as_it_was((store, outbox): Trail) {
    start(&store, 1).await;
    rotate(&store, 1, 0).await;
    end(&store, 1).await;
    // Told before, so nothing happens.
    end(&store, 1).await;
    let stored = waiting(&outbox).await;
    let ended = Fact::SessionEnded {
        reason: EndReason::Logout,
        note: Some("bye".into()),
    };
    let expected = [
        event(1, at(0), Fact::SessionStarted),
        event(1, at(1), Fact::SessionRefreshed { generation: 1 }),
        event(1, at(100), ended),
    ];
    let events: Vec<_> = stored.iter().map(|stored| stored.event.clone()).collect();
    assert_eq!(events, expected);
    assert!(stored.is_sorted_by(|one, other| one.id < other.id));
    assert_eq!(waiting(&outbox).await, stored, "reading marks nothing");
    assert_eq!(outbox.unrelayed(2).await.unwrap(), stored[..2]);
}

/// What was told is done with.
pub async fn what_is_marked_does_not_wait_any_more((store, outbox): Trail) {
    for number in 1..=5 {
        start(&store, number).await;
    }
    let all = waiting(&outbox).await;
    assert!(outbox.lead(holder(1), LEASE).await.unwrap());
    assert!(outbox.relayed(holder(1), all[2].id).await.unwrap());
    assert_eq!(waiting(&outbox).await, all[3..]);
    assert!(outbox.relayed(holder(1), all[4].id).await.unwrap());
    assert_eq!(waiting(&outbox).await, []);
    start(&store, 6).await;
    assert_eq!(waiting(&outbox).await.len(), 1);
}

/// A leader that is late with an earlier mark changes nothing.
pub async fn a_mark_is_never_taken_back((store, outbox): Trail) {
    for number in 1..=3 {
        start(&store, number).await;
    }
    let all = waiting(&outbox).await;
    assert!(outbox.lead(holder(1), LEASE).await.unwrap());
    for mark in [&all[1], &all[0]] {
        assert!(outbox.relayed(holder(1), mark.id).await.unwrap());
        assert_eq!(waiting(&outbox).await, all[2..]);
    }
}

/// Many at once, read and marked meanwhile in small pieces: each once, each session's in order.
pub async fn changes_of_many_sessions_come_in_each_ones_order((store, outbox): Trail) {
    const SESSIONS: u128 = 20;
    let lives = join_all((1..=SESSIONS).map(|number| {
        let store = &store;
        async move {
            start(store, number).await;
            for presented in 0..5 {
                rotate(store, number, presented).await;
            }
            end(store, number).await;
        }
    }));
    let reading = async {
        assert!(outbox.lead(holder(1), LEASE).await.unwrap());
        let mut seen: Vec<StoredEvent> = Vec::new();
        while seen.len() < 7 * 20 {
            let batch = outbox.unrelayed(9).await.unwrap();
            let Some(last) = batch.last() else { continue };
            assert!(outbox.relayed(holder(1), last.id).await.unwrap());
            seen.extend(batch);
        }
        seen
    };
    let (_, seen) = futures::future::join(lives, reading).await;
    assert!(seen.is_sorted_by(|one, other| one.id < other.id));
    for number in 1..=SESSIONS {
        let id: SessionId = sample::session_id(number);
        let of_it = seen.iter().filter(|one| one.event.session == Some(id));
        let facts: Vec<_> = of_it.map(|one| one.event.fact.type_name()).collect();
        let rotated = ["session_refreshed"; 5];
        assert_eq!(facts[0], "session_started");
        assert_eq!(facts[1..6], rotated);
        assert_eq!(facts[6..], ["session_ended"]);
    }
    assert_eq!(waiting(&outbox).await, []);
}

/// The lead is one's until given up or over, and is kept by asking again.
pub async fn one_leads_at_a_time((_, outbox): Trail) {
    assert!(outbox.lead(holder(1), LEASE).await.unwrap());
    assert!(!outbox.lead(holder(2), LEASE).await.unwrap());
    assert!(outbox.lead(holder(1), LEASE).await.unwrap(), "kept");
    outbox.resign(holder(2)).await.unwrap();
    assert!(!outbox.lead(holder(2), LEASE).await.unwrap(), "not theirs");
    outbox.resign(holder(1)).await.unwrap();
    assert!(outbox.lead(holder(2), Duration::ZERO).await.unwrap());
    assert!(outbox.lead(holder(3), LEASE).await.unwrap(), "it was over");
    let asked = join_all((4..40).map(|number| outbox.lead(holder(number), LEASE))).await;
    assert!(asked.into_iter().all(|leads| !leads.unwrap()));
    outbox.resign(holder(3)).await.unwrap();
    let asked = join_all((4..40).map(|number| outbox.lead(holder(number), LEASE))).await;
    let leaders = asked.into_iter().filter(|leads| *leads.as_ref().unwrap());
    assert_eq!(leaders.count(), 1);
}

/// Whoever has lost the lead is told so, and marks nothing.
pub async fn only_the_leader_marks((store, outbox): Trail) {
    start(&store, 1).await;
    let all = waiting(&outbox).await;
    assert!(!outbox.relayed(holder(1), all[0].id).await.unwrap());
    assert!(outbox.lead(holder(1), Duration::ZERO).await.unwrap());
    assert!(outbox.lead(holder(2), LEASE).await.unwrap());
    assert!(!outbox.relayed(holder(1), all[0].id).await.unwrap());
    assert_eq!(waiting(&outbox).await, all);
    assert!(outbox.relayed(holder(2), all[0].id).await.unwrap());
    assert_eq!(waiting(&outbox).await, []);
}

/// How far behind the relay is can be told without reading what waits.
pub async fn the_oldest_that_waits_is_known((store, outbox): Trail) {
    start(&store, 1).await;
    rotate(&store, 1, 0).await;
    assert_eq!(outbox.oldest_unrelayed().await.unwrap(), Some(at(0)));
    assert!(outbox.lead(holder(1), LEASE).await.unwrap());
    let first: EventId = waiting(&outbox).await[0].id;
    assert!(outbox.relayed(holder(1), first).await.unwrap());
    assert_eq!(outbox.oldest_unrelayed().await.unwrap(), Some(at(1)));
}

/// What nobody was told stays, where others are to be told; a number is never given again.
pub async fn events_are_purged_by_age_and_only_once_told((store, outbox): Trail) {
    for number in 1..=5 {
        start(&store, number).await;
    }
    end(&store, 1).await;
    let all = waiting(&outbox).await;
    let purge = async |relayed_only, seconds| {
        let change = Purge {
            rows: Purgeable::Events { relayed_only },
            keep: Duration::from_secs(50),
            at: at(seconds),
            batch: 2,
        };
        let outcome = store.apply(change).await.unwrap();
        (outcome.purged, outcome.next.is_some())
    };
    assert_eq!(purge(true, 1_000).await, (0, false), "nobody was told");
    assert!(outbox.lead(holder(1), LEASE).await.unwrap());
    assert!(outbox.relayed(holder(1), all[2].id).await.unwrap());
    assert_eq!(purge(true, 49).await, (0, false), "too young");
    assert_eq!(purge(true, 50).await, (2, true));
    assert_eq!(purge(true, 50).await, (1, false));
    assert_eq!(waiting(&outbox).await, all[3..]);
    // Where nobody is to be told, age alone counts.
    assert_eq!(purge(false, 50).await, (2, true));
    assert_eq!(purge(false, 50).await, (0, false), "the end is younger");
    assert_eq!(purge(false, 150).await, (1, false));
    assert_eq!(waiting(&outbox).await, []);
    start(&store, 6).await;
    let next = waiting(&outbox).await;
    assert!(next[0].id > all[5].id);
}
