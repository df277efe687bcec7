use futures::future::join_all;

use super::{Pair, changed, end, later, sample, start};
use crate::device::DeviceKind;
use crate::event::Actor;
use crate::ids::{Generation, SessionId, TenantId};
use crate::port::{End, Eviction, Rotate, SessionLimit, SessionStore, Targets, Why};
use crate::session::{EndReason, Session, Status};
use crate::stats::{Counter, SessionStats};

/// Numbers that look random and are the same each time (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const TENANTS: [&str; 3] = ["default", "acme", "other"];

/// After random starts, evictions, ends of every kind and rotations, many at once, the counters
/// say what counting every session says.
pub async fn counters_equal_a_recount((store, _): Pair) {
    let mut dice = Dice(2026);
    let mut started: u128 = 0;
    for round in 0..40 {
        let mut starts = Vec::new();
        for _ in 0..dice.roll(8) {
            started += 1;
            starts.push(a_start(&mut dice, started));
        }
        let starts = starts.into_iter().map(|change| store.apply(change));
        for outcome in join_all(starts).await {
            outcome.unwrap();
        }
        let ends = (0..dice.roll(4)).map(|_| an_end(&mut dice, started, round));
        let ends: Vec<End> = ends.collect();
        for outcome in join_all(ends.into_iter().map(|change| store.apply(change))).await {
            outcome.unwrap();
        }
        if started > 0 {
            let number = dice.roll(u64::try_from(started).unwrap()) + 1;
            // Used, and a moment later used again: theft, in whichever tenant it is.
            for (tenant, at) in TENANTS
                .iter()
                .flat_map(|tenant| [(tenant, 60), (tenant, 61)])
            {
                store.apply(a_use(number.into(), tenant, at)).await.unwrap();
            }
        }
    }
    assert!(started > 100);
    for tenant in [None, Some("default"), Some("acme"), Some("nobody")] {
        let tenant = tenant.map(sample::tenant);
        let counted = store.stats(tenant.as_ref()).await.unwrap();
        assert_eq!(counted, recount(&*store, started, tenant.as_ref()).await);
    }
    let all = store.stats(None).await.unwrap();
    assert!(
        all.active > 0 && all.ended.len() == 4,
        "too little happened: {all:?}"
    );
}

fn a_start(dice: &mut Dice, number: u128) -> crate::port::Start {
    let tenant = TENANTS[usize::try_from(dice.roll(3)).unwrap()];
    let country = [None, Some("SE"), Some("DE")][usize::try_from(dice.roll(3)).unwrap()];
    let kind = DeviceKind::ALL[usize::try_from(dice.roll(7)).unwrap()];
    let lasts = later(300 + dice.roll(900));
    let new = changed(number, &format!("u{}", dice.roll(4)), |session| {
        session.tenant = sample::tenant(tenant);
        session.network.place.country = country.map(ToOwned::to_owned);
        session.device.agent.kind = kind;
        session.expires_at = lasts;
    });
    let eviction = [Eviction::Oldest, Eviction::Reject][usize::try_from(dice.roll(2)).unwrap()];
    let limit = (dice.roll(3) == 0).then_some(SessionLimit { max: 3, eviction });
    start(new, limit)
}

fn an_end(dice: &mut Dice, started: u128, round: u64) -> End {
    let tenant = sample::tenant(TENANTS[usize::try_from(dice.roll(3)).unwrap()]);
    let targets = match dice.roll(4) {
        0 => Targets::Overdue,
        1 => Targets::User {
            tenant,
            user: sample::user(&format!("u{}", dice.roll(4))),
            except: None,
        },
        _ => Targets::One {
            tenant,
            id: some_session(dice, started),
        },
    };
    let overdue = End {
        why: Why::Overdue,
        at: later(round * 20),
        ..end(targets, 5)
    };
    match overdue.targets {
        Targets::Overdue => overdue,
        targets => end(targets, 5),
    }
}

fn some_session(dice: &mut Dice, started: u128) -> SessionId {
    let started = u64::try_from(started).unwrap();
    sample::session_id(u128::from(dice.roll(started.max(1)) + 1))
}

/// Presents a session's first refresh token, where there is such a session.
fn a_use(number: u128, tenant: &str, seconds: u64) -> Rotate {
    Rotate {
        tenant: sample::tenant(tenant),
        id: sample::session_id(number),
        presented: Generation(0),
        seed: sample::new_session(number, "x").seed().clone(),
        at: later(seconds),
        grace: std::time::Duration::ZERO,
        actor: Actor::System,
    }
}

async fn recount(store: &dyn SessionStore, started: u128, only: Option<&TenantId>) -> SessionStats {
    let mut stats = SessionStats::default();
    for number in 1..=started {
        for tenant in TENANTS.map(sample::tenant) {
            let id = sample::session_id(number);
            let Some(session) = store.find(&tenant, id).await.unwrap() else {
                continue;
            };
            if only.is_none_or(|only| *only == tenant) {
                count(&mut stats, &session);
            }
        }
    }
    stats
}

fn count(stats: &mut SessionStats, session: &Session) {
    for counter in Counter::of_start(session) {
        stats.add(&session.tenant, counter, 1);
    }
    if let Status::Ended(ending) = session.status {
        for (counter, by) in Counter::of_end(session, ending.reason) {
            stats.add(&session.tenant, counter, by);
        }
    }
}

/// A start that fails counts nothing, nor does what it would have evicted.
pub async fn what_did_not_happen_is_not_counted((store, _): Pair) {
    store
        .apply(start(sample::new_session(1, "alice"), None))
        .await
        .unwrap();
    let before = store.stats(None).await.unwrap();
    let limit = Some(SessionLimit {
        max: 1,
        eviction: Eviction::Oldest,
    });
    // An id that exists.
    let doomed = store
        .apply(start(sample::new_session(1, "alice"), limit))
        .await;
    assert!(doomed.is_err());
    let reject = Some(SessionLimit {
        max: 1,
        eviction: Eviction::Reject,
    });
    store
        .apply(start(sample::new_session(2, "alice"), reject))
        .await
        .unwrap();
    assert_eq!(store.stats(None).await.unwrap(), before);
    let expected = std::collections::HashMap::<EndReason, i64>::new();
    assert_eq!(
        (before.created, before.active, before.ended),
        (1, 1, expected)
    );
}
