//! A session is in use.

use crate::session::Session;
use crate::time::Timestamp;

impl Session {
    /// The session after its user used it at `at`: `None` where that is no news. Only forward:
    /// reports arrive late and out of order. Use of what was over by then doesn't bring it back.
    /// Not a change anybody is told of, so the version stays and no event is written.
    pub fn seen(&self, at: Timestamp) -> Option<Self> {
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
        let used = session.seen(after(9)).unwrap();
        assert_eq!((used.last_seen_at, used.due_at()), (after(9), after(19)));
        assert_eq!(used.version, session.version);
        assert_eq!(used.seen(after(8)), None);
        assert_eq!(used.seen(after(9)), None);
        assert_eq!(session.seen(after(10)), None, "idle by then");
    }
}
