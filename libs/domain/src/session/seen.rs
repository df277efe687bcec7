//! A session is in use.

use std::time::Duration;

use crate::session::Session;
use crate::time::Timestamp;

/// However long a session may be idle, its use is written down at least this often.
const STEP_MAX: Duration = Duration::from_mins(1);

impl Session {
    /// By how much its last use must move for that to be written down: a tenth of what it may be
    /// idle, and a minute at most. So a session that is used all the time is written ten times in
    /// its idle allowance, not with every use.
    ///
    /// What isn't written down must not make it idle early: [`Self::due_at`] adds this. A session
    /// ends for being idle once its allowance has passed since its last use, and at most this much
    /// later.
    pub fn seen_step(&self) -> Duration {
        let tenth = self.idle_timeout.map(|idle| idle / 10);
        tenth.map_or(STEP_MAX, |tenth| tenth.min(STEP_MAX))
    }

    /// The session after its user used it from `first` to `last`, and never let it be for longer
    /// than `gap` in between: `None` where that is no news, or less than [`Self::seen_step`].
    /// Only forward: reports arrive late and out of order. Use of what was over by then doesn't
    /// bring it back. Not a change anybody is told of, so the version stays and no event is
    /// written.
    ///
    /// A report that was held up names the first use and the longest pause too: without them, a
    /// session used all along would look as if it had been idle until the last.
    pub fn seen(&self, first: Timestamp, last: Timestamp, gap: Duration) -> Option<Self> {
        let once = self.used(first);
        if once.is_none() && first > self.last_seen_at {
            // Over by then, and so by the last.
            return None;
        }
        let mut before_last = once.clone().unwrap_or_else(|| self.clone());
        if before_last.idle_timeout.is_some_and(|idle| gap < idle) {
            before_last.last_seen_at = before_last.last_seen_at.max(last.minus(gap));
        }
        let used = before_last.used(last).or(once);
        used.filter(|used| used.last_seen_at >= self.last_seen_at.plus(self.seen_step()))
    }

    fn used(&self, at: Timestamp) -> Option<Self> {
        let news = at > self.last_seen_at && self.alive_at(at).is_ok();
        news.then(|| Self {
            last_seen_at: at,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;

    #[test]
    fn use_moves_forward_only_and_revives_nothing() {
        let mut session = sample::session();
        session.idle_timeout = Some(Duration::from_mins(10));
        let at_once = Duration::ZERO;
        let after = |minutes| sample::START.plus(Duration::from_mins(minutes));
        let used = session.seen(after(9), after(9), at_once).unwrap();
        assert_eq!((used.last_seen_at, used.due_at()), (after(9), after(20)));
        assert_eq!(used.version, session.version);
        assert_eq!(used.seen(after(8), after(8), at_once), None);
        assert_eq!(used.seen(after(9), after(9), at_once), None);
        assert_eq!(
            session.seen(after(11), after(11), at_once),
            None,
            "idle by then"
        );
        let minutes = Duration::from_mins;
        let held_up = session.seen(after(5), after(14), minutes(9)).unwrap();
        assert_eq!(held_up.last_seen_at, after(14), "never idle in between");
        let partly = session.seen(after(5), after(16), minutes(11)).unwrap();
        assert_eq!(partly.last_seen_at, after(5), "idle before the last");
        let all_along = session.seen(after(5), after(50), minutes(9)).unwrap();
        assert_eq!(all_along.last_seen_at, after(50), "never idle for long");
        let paused = session.seen(after(5), after(50), minutes(10)).unwrap();
        assert_eq!(paused.last_seen_at, after(5), "idle once in between");
        assert_eq!(session.seen(after(11), after(50), minutes(1)), None);
        let over = session.expires_at;
        let to_the_end = session.seen(after(5), over, minutes(1)).unwrap();
        assert_eq!(to_the_end.last_seen_at, after(5), "its end is its end");
    }

    #[test]
    fn use_that_is_not_written_down_makes_nobody_idle_early() {
        let day = Duration::from_hours(24);
        for (idle, step) in [(1, 0.1), (60, 6.0), (600, 60.0), (36_000, 60.0)] {
            let (idle, step) = (Duration::from_secs(idle), Duration::from_secs_f64(step));
            let mut session = sample::session();
            (session.expires_at, session.idle_timeout) = (sample::START.plus(day), Some(idle));
            assert_eq!(session.seen_step(), step);
            let (mut at, mut written) = (sample::START, 0);
            for _ in 0..1_000 {
                // A little more than a third of what is written down.
                at = at.plus(step * 7 / 20);
                if let Some(used) = session.seen(at, at, Duration::ZERO) {
                    session = used;
                    written += 1;
                }
                let idle_since = session.due_at().since(at);
                assert!(
                    idle_since >= idle,
                    "early by {:?}",
                    idle.checked_sub(idle_since)
                );
                assert!(idle_since <= idle + step, "late");
            }
            assert_eq!(written, 333, "one of three");
        }
    }

    #[test]
    fn a_session_that_may_be_idle_for_ever_is_written_each_minute() {
        let session = sample::session();
        let after = |seconds| sample::START.plus(Duration::from_secs(seconds));
        assert_eq!(session.seen(after(59), after(59), Duration::ZERO), None);
        let used = session.seen(after(60), after(60), Duration::ZERO);
        assert_eq!(used.unwrap().last_seen_at, after(60));
    }
}
