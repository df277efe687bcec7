//! A session is in use.

use crate::session::Session;
use crate::time::Timestamp;

impl Session {
    /// The session after its user used it from `first` to `last`: `None` where that is no news.
    /// Only forward: reports arrive late and out of order. Use of what was over by then doesn't
    /// bring it back. Not a change anybody is told of, so the version stays and no event is
    /// written.
    ///
    /// A report that was held up names the first use too: without it, a session used all along
    /// would look as if it had been idle until the last.
    pub fn seen(&self, first: Timestamp, last: Timestamp) -> Option<Self> {
        let once = self.used(first);
        let twice = once.as_ref().unwrap_or(self).used(last);
        twice.or(once)
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
    use crate::contract::sample;
    use std::time::Duration;

    #[test]
    fn use_moves_forward_only_and_revives_nothing() {
        let mut session = sample::session();
        session.idle_timeout = Some(Duration::from_mins(10));
        let after = |minutes| sample::START.plus(Duration::from_mins(minutes));
        let used = session.seen(after(9), after(9)).unwrap();
        assert_eq!((used.last_seen_at, used.due_at()), (after(9), after(19)));
        assert_eq!(used.version, session.version);
        assert_eq!(used.seen(after(8), after(8)), None);
        assert_eq!(used.seen(after(9), after(9)), None);
        assert_eq!(session.seen(after(10), after(10)), None, "idle by then");
        let held_up = session.seen(after(5), after(14)).unwrap();
        assert_eq!(held_up.last_seen_at, after(14), "never idle in between");
        let partly = session.seen(after(5), after(16)).unwrap();
        assert_eq!(partly.last_seen_at, after(5), "idle before the last");
    }
}
