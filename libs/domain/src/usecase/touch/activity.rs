//! The uses that wait to be told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ids::{SessionId, TenantId};
use crate::port::Seen;
use crate::time::Timestamp;

/// A use so soon after one that was noted isn't noted, so that processors don't take a busy
/// session's memory from each other with every request. A session may seem idle for as much longer.
const STEP: Duration = Duration::from_millis(10);

/// What stands for "not yet": before all times.
const NEVER: i64 = i64::MIN;

type Name = (TenantId, SessionId);

/// The uses that wait to be told. A session used a thousand times waits once, with its first and
/// its last, and the longest pause in between. What a process that dies hadn't told yet is lost,
/// which can only make a session seem idle for as much longer as it is told apart.
///
/// Whoever answers for a session often keeps its [`Use`], and notes further uses without a lock
/// and without memory of its own; [`Self::note`] is for whoever meets a session once.
#[derive(Debug)]
pub struct Activity {
    waiting: Mutex<HashMap<Name, Seen>>,
    kept: Mutex<HashMap<Name, Kept>>,
    /// Up to when all was taken: no use is noted before it afterwards.
    through: AtomicI64,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            kept: Mutex::default(),
            through: AtomicI64::new(NEVER),
        }
    }
}

/// When one session was used, to be noted without a lock. Times in microseconds, `NEVER` where
/// there is none.
#[derive(Debug)]
pub struct Use {
    /// The first since what was taken.
    first: AtomicI64,
    /// The last of all.
    last: AtomicI64,
    /// The longest pause since the first.
    gap: AtomicI64,
}

#[derive(Debug)]
struct Kept {
    shared: Arc<Use>,
    /// The last use that was taken.
    taken: i64,
}

impl Activity {
    /// Notes that a session is used, at what `now` says. The clock is read under the lock, so that
    /// no use is older than a telling that has left it out.
    pub fn note(&self, tenant: &TenantId, id: SessionId, now: impl FnOnce() -> Timestamp) {
        let mut waiting = lock(&self.waiting);
        let at = now();
        wait(&mut waiting, &seen(tenant, id, at, at, Duration::ZERO));
    }

    /// Where uses of a session are noted, for as long as whoever asked keeps it.
    pub fn keep(&self, tenant: &TenantId, id: SessionId) -> Arc<Use> {
        let mut kept = lock(&self.kept);
        let fresh = || Kept {
            shared: Arc::new(Use {
                first: AtomicI64::new(NEVER),
                last: AtomicI64::new(NEVER),
                gap: AtomicI64::new(0),
            }),
            taken: NEVER,
        };
        let kept = kept.entry((tenant.clone(), id)).or_insert_with(fresh);
        Arc::clone(&kept.shared)
    }

    /// Notes that a session is used, at `now`: waits for nobody.
    ///
    /// The use is written first, and only then is it looked whether all up to `now` has been taken
    /// meanwhile; taking does it the other way round. So one of both sees the other, and a
    /// thread held up in between makes its session seem used later, never unused.
    pub fn note_kept(&self, shared: &Use, now: Timestamp) {
        let before = shared.last.load(Ordering::Relaxed);
        if before != NEVER && now.since(Timestamp(before)) < STEP {
            return;
        }
        let mut at = now.0;
        let first = &shared.first;
        let is_first = first.load(Ordering::SeqCst) == NEVER
            && first
                .compare_exchange(NEVER, at, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
        if !is_first {
            // Before the use itself, so that who sees that sees the pause before it, too.
            let pause = at.saturating_sub(before).max(0);
            shared.gap.fetch_max(pause, Ordering::SeqCst);
        }
        loop {
            shared.last.fetch_max(at, Ordering::SeqCst);
            let through = self.through.load(Ordering::SeqCst);
            if at > through {
                return;
            }
            at = through.saturating_add(1);
        }
    }

    /// Takes all that waits; with it, every use up to what `now` says has been taken.
    pub(super) fn take(&self, now: impl FnOnce() -> Timestamp) -> (Vec<Seen>, Timestamp) {
        let mut waiting = lock(&self.waiting);
        let through = now();
        self.through.fetch_max(through.0, Ordering::SeqCst);
        let mut uses = std::mem::take(&mut *waiting);
        drop(waiting);
        lock(&self.kept).retain(|(tenant, id), kept| {
            // Whoever else has it may note a use at any time; nobody gets it but through here. Asked
            // before the uses are taken: who lets go later may have noted one after that.
            let shared = kept.is_shared();
            if let Some((first, last, gap)) = kept.take() {
                wait(&mut uses, &seen(tenant, *id, first, last, gap));
            }
            shared
        });
        (uses.into_values().collect(), through)
    }

    /// Lets uses wait again.
    pub(super) fn put_back(&self, seen: &[Seen]) {
        let mut waiting = lock(&self.waiting);
        for seen in seen {
            wait(&mut waiting, seen);
        }
    }
}

impl Kept {
    /// Whether anybody else may note a use. Where nobody can, all that were noted are seen.
    fn is_shared(&mut self) -> bool {
        // Unlike a look at the count, this synchronises with those who let go.
        Arc::get_mut(&mut self.shared).is_none()
    }

    /// First, last and longest pause since this was last asked, if there was a use.
    fn take(&mut self) -> Option<(Timestamp, Timestamp, Duration)> {
        let last = self.shared.last.load(Ordering::SeqCst);
        if last <= self.taken {
            return None;
        }
        self.taken = last;
        let first = self.shared.first.swap(NEVER, Ordering::SeqCst);
        let gap = self.shared.gap.swap(0, Ordering::SeqCst);
        // None where a thread had found one that was then taken: its use is the first now.
        let first = if first == NEVER {
            last
        } else {
            first.min(last)
        };
        let gap = Duration::from_micros(u64::try_from(gap).unwrap_or(0));
        Some((Timestamp(first), Timestamp(last), gap))
    }
}

fn seen(
    tenant: &TenantId,
    id: SessionId,
    first: Timestamp,
    last: Timestamp,
    gap: Duration,
) -> Seen {
    Seen {
        tenant: tenant.clone(),
        id,
        first,
        last,
        gap,
    }
}

fn wait(waiting: &mut HashMap<Name, Seen>, seen: &Seen) {
    waiting
        .entry((seen.tenant.clone(), seen.id))
        .and_modify(|other| other.and(seen.first, seen.last, seen.gap))
        .or_insert_with(|| seen.clone());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that panics holds it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;
    use std::sync::atomic::AtomicBool;

    const fn at(millis: i64) -> Timestamp {
        Timestamp(millis * 1_000)
    }

    fn kept(activity: &Activity, session: u128) -> Arc<Use> {
        activity.keep(&TenantId::default(), sample::session_id(session))
    }

    /// First, last and pause of each, in milliseconds.
    fn taken(activity: &Activity, now: i64) -> Vec<(i64, i64, u128)> {
        let (seen, _) = activity.take(|| at(now));
        let of = |seen: &Seen| {
            let (first, last) = (seen.first.0 / 1_000, seen.last.0 / 1_000);
            (first, last, seen.gap.as_millis())
        };
        seen.iter().map(of).collect()
    }

    #[test]
    fn kept_uses_are_taken_once_with_first_last_and_longest_pause() {
        let activity = Activity::default();
        let session = kept(&activity, 1);
        for millis in [1_000, 1_020, 1_420, 1_500] {
            activity.note_kept(&session, at(millis));
        }
        assert_eq!(taken(&activity, 2_000), [(1_000, 1_500, 400)]);
        assert_eq!(taken(&activity, 3_000), []);
        activity.note_kept(&session, at(9_000));
        assert_eq!(
            taken(&activity, 9_500),
            [(9_000, 9_000, 0)],
            "the pause before it is for whoever knows the last"
        );
    }

    #[test]
    fn two_who_keep_one_session_and_one_who_meets_it_are_one_use() {
        let activity = Activity::default();
        let (one, other) = (kept(&activity, 1), kept(&activity, 1));
        assert!(Arc::ptr_eq(&one, &other));
        activity.note_kept(&one, at(1_000));
        let id = sample::session_id(1);
        activity.note(&TenantId::default(), id, || at(1_300));
        assert_eq!(taken(&activity, 2_000), [(1_000, 1_300, 300)]);
    }

    #[test]
    fn what_nobody_keeps_is_taken_one_last_time_and_forgotten() {
        let activity = Activity::default();
        let session = kept(&activity, 1);
        activity.note_kept(&session, at(1_000));
        drop(session);
        assert_eq!(taken(&activity, 2_000).len(), 1);
        assert!(lock(&activity.kept).is_empty());
    }

    #[test]
    fn a_use_too_soon_after_another_is_left_out() {
        let activity = Activity::default();
        let session = kept(&activity, 1);
        activity.note_kept(&session, at(1_000));
        activity.note_kept(&session, at(1_009));
        assert_eq!(taken(&activity, 2_000), [(1_000, 1_000, 0)]);
    }

    #[test]
    fn a_thread_held_up_since_it_read_the_clock_is_not_left_out() {
        let activity = Activity::default();
        let session = kept(&activity, 1);
        assert_eq!(taken(&activity, 5_000), []);
        // Read before the telling, written after it.
        activity.note_kept(&session, at(4_000));
        let (seen, _) = activity.take(|| at(6_000));
        assert_eq!(seen[0].last, Timestamp(5_000_001));
    }

    /// What [`crate::port::Heard`] promises: a use that was noted before a taking began is in it, or
    /// in one before it.
    #[test]
    fn whatever_threads_do_no_use_is_left_out() {
        race(true);
    }

    #[test]
    fn no_use_is_left_out_of_whoever_lets_go_right_after_it() {
        race(false);
    }

    fn race(holds: bool) {
        let activity = Activity::default();
        let clock = AtomicI64::new(1);
        let tick = || Timestamp(clock.fetch_add(20_000, Ordering::SeqCst));
        let held = holds.then(|| kept(&activity, 1));
        let (noted, over) = (AtomicI64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..100_000 {
                    let at = tick();
                    let session = kept(&activity, 1);
                    activity.note_kept(&session, at);
                    drop(session);
                    noted.store(at.0, Ordering::SeqCst);
                }
                over.store(true, Ordering::SeqCst);
            });
            let mut told = 0;
            loop {
                let (done, before) = (over.load(Ordering::SeqCst), noted.load(Ordering::SeqCst));
                let (seen, _) = activity.take(tick);
                for seen in seen {
                    assert!(seen.first <= seen.last, "{seen:?}");
                    told = told.max(seen.last.0);
                }
                assert!(told >= before, "{told} {before}");
                if done {
                    break;
                }
            }
        });
        drop(held);
    }
}
