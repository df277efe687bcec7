use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;

use super::super::log::entries;
use super::{Pair, changed, end, end_one, later, listed, sample, started};
use crate::ids::{Seq, Serial, SessionId, TenantId};
use crate::port::{End, EndOutcome, ListQuery, Targets, Why};
use crate::revocation::{LogEntry, PUBLICATION_SERIALS_MAX};
use crate::session::{EndReason, Ending, Session, ShownStatus, Status};

fn ending(session: &Session) -> Ending {
    match session.status {
        Status::Ended(ending) => ending,
        Status::Active => panic!("still active"),
    }
}

fn of_alice(except: Option<SessionId>) -> Targets {
    Targets::User {
        tenant: TenantId::default(),
        user: sample::user("alice"),
        except,
    }
}

/// The row, the entry and what the caller is told agree.
pub async fn an_ended_session_is_ended_with_its_number((store, log): Pair) {
    let session = started(&store, sample::new_session(1, "alice")).await;
    let outcome = end_one(&store, "default", session.id).await;
    let [ended] = &outcome.ended[..] else {
        panic!("not ended")
    };
    assert_eq!(
        ending(ended),
        Ending {
            at: later(60),
            reason: EndReason::RevokedByService,
            seq: Seq(1)
        }
    );
    assert_eq!(ended.version, session.version.next());
    assert_eq!(
        (outcome.through, outcome.already, outcome.more),
        (Seq(1), None, false)
    );
    let fresh = outcome.fresh.unwrap();
    let entry = LogEntry::Ended(vec![session.serial]);
    assert_eq!(
        (fresh.epoch, fresh.after, &fresh.entries[..]),
        (
            log.head().await.unwrap().epoch,
            Seq(0),
            &[entry.clone()][..]
        )
    );
    assert_eq!(entries(&*log, Seq(0), 10).await, [entry]);
    assert_eq!(
        store
            .find(&session.tenant, session.id)
            .await
            .unwrap()
            .as_ref(),
        Some(ended)
    );
}

/// The second ending changes nothing and waits for the first one's number, not for the head.
pub async fn ending_twice_gives_the_first_ending((store, log): Pair) {
    let first = started(&store, sample::new_session(1, "alice")).await;
    let second = started(&store, sample::new_session(2, "alice")).await;
    let ended = end_one(&store, "default", first.id).await.ended.remove(0);
    end_one(&store, "default", second.id).await;
    let again = end_one(&store, "default", first.id).await;
    assert_eq!(
        again,
        EndOutcome {
            ended: vec![],
            already: Some(Box::new(ended)),
            through: Seq(1),
            fresh: None,
            more: false
        }
    );
    assert_eq!(log.head().await.unwrap().seq, Seq(2));
}

/// Neither found, nor listed, nor ended from outside its tenant.
pub async fn another_tenant_finds_nothing((store, log): Pair) {
    let session = started(&store, sample::new_session(1, "alice")).await;
    let ended = started(&store, sample::new_session(2, "alice")).await;
    end_one(&store, "default", ended.id).await;
    let other = sample::tenant("other");
    assert_eq!(store.find(&other, session.id).await.unwrap(), None);
    let query = ListQuery {
        tenant: other.clone(),
        user: sample::user("alice"),
        status: Some(ShownStatus::Active),
        after: None,
        limit: 10,
    };
    assert_eq!(store.list(&query).await.unwrap(), []);
    let nothing = EndOutcome {
        ended: vec![],
        already: None,
        through: Seq(1),
        fresh: None,
        more: false,
    };
    for id in [session.id, ended.id] {
        assert_eq!(end_one(&store, "other", id).await, nothing);
    }
    let all = Targets::User {
        tenant: other,
        user: sample::user("alice"),
        except: None,
    };
    assert_eq!(store.apply(end(all, 10)).await.unwrap(), nothing);
    assert_eq!(
        store.find(&session.tenant, session.id).await.unwrap(),
        Some(session)
    );
    assert_eq!(log.head().await.unwrap().seq, Seq(1));
}

/// 200 ends at once: numbers 1 to 200, each once, each entry where its session says.
pub async fn many_parallel_ends_are_numbered_without_gaps((store, log): Pair) {
    for number in 1..=200 {
        started(
            &store,
            sample::new_session(number, &format!("u{}", number % 7)),
        )
        .await;
    }
    let ends = (1..=200).map(|number| end_one(&store, "default", sample::session_id(number)));
    let outcomes = join_all(ends).await;
    // Ends that are written together may share an entry.
    let head = log.head().await.unwrap().seq;
    let written = entries(&*log, Seq(0), 1_000).await;
    assert_eq!(written.len() as u64, head.0);
    let mut numbers = HashSet::new();
    for outcome in outcomes {
        let [ended] = &outcome.ended[..] else {
            panic!("not ended")
        };
        assert_eq!(ending(ended).seq, outcome.through);
        let LogEntry::Ended(serials) = &written[usize::try_from(outcome.through.0).unwrap() - 1]
        else {
            panic!("another kind of entry")
        };
        assert!(serials.contains(&ended.serial));
        let fresh = outcome.fresh.unwrap();
        let told = fresh.numbered().find(|(seq, _)| *seq == outcome.through);
        assert_eq!(
            told,
            Some((outcome.through, &LogEntry::Ended(serials.clone())))
        );
        numbers.insert(outcome.through);
    }
    assert_eq!(numbers.len() as u64, head.0, "no entry tells of nothing");
    let said = written.iter().flat_map(|entry| match entry {
        LogEntry::Ended(serials) => serials.clone(),
        other => panic!("{other:?}"),
    });
    let said: Vec<_> = said.collect();
    assert_eq!(said.len(), 200, "each once");
    assert_eq!(said.iter().collect::<HashSet<_>>().len(), 200);
    let last = Seq(head.0 - 1);
    assert_eq!(entries(&*log, last, 2).await, written[written.len() - 1..]);
}

/// All of the user's sessions end in one entry, but the excepted one; nobody else's.
pub async fn ending_a_users_sessions_spares_the_excepted((store, _): Pair) {
    for number in 1..=4 {
        started(&store, sample::new_session(number, "alice")).await;
    }
    let bob = started(&store, sample::new_session(5, "bob")).await;
    end_one(&store, "default", sample::session_id(4)).await;
    let kept = sample::session_id(2);
    let outcome = store.apply(end(of_alice(Some(kept)), 100)).await.unwrap();
    let ids: Vec<SessionId> = outcome.ended.iter().map(|session| session.id).collect();
    assert_eq!(ids, [sample::session_id(1), sample::session_id(3)]);
    assert_eq!((outcome.through, outcome.more), (Seq(2), false));
    assert_eq!(
        outcome.fresh.unwrap().entries,
        [LogEntry::Ended(vec![Serial(1), Serial(3)])]
    );
    let left = listed(&store, "alice", ShownStatus::Active).await;
    assert_eq!(
        left.iter().map(|session| session.id).collect::<Vec<_>>(),
        [kept]
    );
    assert_eq!(store.find(&bob.tenant, bob.id).await.unwrap(), Some(bob));
    // Nothing is left: told with the head, for whatever ended them to be true everywhere.
    let again = store.apply(end(of_alice(Some(kept)), 100)).await.unwrap();
    assert_eq!(
        (again.ended.len(), again.through, again.fresh),
        (0, Seq(2), None)
    );
}

/// A full batch says that more may be left; the last one doesn't; none is ended twice.
pub async fn ending_in_batches_says_when_more_is_left((store, _): Pair) {
    for number in 1..=7 {
        started(&store, sample::new_session(number, "alice")).await;
    }
    let mut ended = Vec::new();
    for more in [true, true, false] {
        let outcome = store.apply(end(of_alice(None), 3)).await.unwrap();
        assert_eq!(outcome.more, more);
        ended.extend(outcome.ended.into_iter().map(|session| session.id));
    }
    assert_eq!(ended, (1..=7).map(sample::session_id).collect::<Vec<_>>());
}

/// No entry is longer than a message may be; each session names the entry it is in.
pub async fn a_large_batch_is_split_into_entries((store, log): Pair) {
    let count = PUBLICATION_SERIALS_MAX + 5;
    let numbers: Vec<u128> = (1..=count as u128).collect();
    for numbers in numbers.chunks(500) {
        join_all(
            numbers
                .iter()
                .map(|&number| started(&store, sample::new_session(number, "alice"))),
        )
        .await;
    }
    let outcome = store.apply(end(of_alice(None), 10_000)).await.unwrap();
    assert_eq!(
        (outcome.ended.len(), outcome.through, outcome.more),
        (count, Seq(2), false)
    );
    let entries = entries(&*log, Seq(0), 10).await;
    assert_eq!(entries, outcome.fresh.unwrap().entries);
    for session in &outcome.ended {
        let seq = ending(session).seq;
        let LogEntry::Ended(serials) = &entries[usize::try_from(seq.0).unwrap() - 1] else {
            panic!("another kind of entry");
        };
        assert!(serials.len() <= PUBLICATION_SERIALS_MAX && serials.contains(&session.serial));
    }
    let sample = &outcome.ended[count - 1];
    assert_eq!(
        store
            .find(&sample.tenant, sample.id)
            .await
            .unwrap()
            .as_ref(),
        Some(sample)
    );
}

/// Of any tenant, those whose time is over: the idle as idle, the expired as expired.
pub async fn only_the_overdue_are_ended_and_for_their_reason((store, log): Pair) {
    let minute = Some(Duration::from_mins(1));
    started(&store, sample::new_session(1, "alive")).await;
    started(
        &store,
        changed(2, "idle", |session| session.idle_timeout = minute),
    )
    .await;
    let expired = changed(3, "expired", |session| {
        session.tenant = sample::tenant("other");
        session.expires_at = later(90);
    });
    started(&store, expired).await;
    let absolute = changed(4, "absolute", |session| {
        session.absolute_expires_at = later(120);
    });
    started(&store, absolute).await;
    started(
        &store,
        changed(5, "not-yet", |session| session.expires_at = later(121)),
    )
    .await;
    let overdue = End {
        targets: Targets::Overdue,
        why: Why::Overdue,
        at: later(120),
        ..end(of_alice(None), 10)
    };
    let outcome = store.apply(overdue.clone()).await.unwrap();
    let ended: Vec<_> = outcome
        .ended
        .iter()
        .map(|session| (session.id, ending(session).reason, session.status.shown()))
        .collect();
    let (idle, expired) = (EndReason::Idle, EndReason::Expired);
    assert_eq!(
        ended,
        [
            (sample::session_id(2), idle, ShownStatus::Expired),
            (sample::session_id(3), expired, ShownStatus::Expired),
            (sample::session_id(4), expired, ShownStatus::Expired),
        ]
    );
    assert_eq!(log.head().await.unwrap().seq, Seq(1));
    assert_eq!(
        listed(&store, "idle", ShownStatus::Expired).await,
        outcome.ended[..1]
    );
    let again = store.apply(overdue).await.unwrap();
    assert_eq!(
        (again.ended.len(), again.through, again.more),
        (0, Seq(1), false)
    );
}
