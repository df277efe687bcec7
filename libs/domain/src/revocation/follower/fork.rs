//! Copies of a follower, for whoever explores what might happen next from one moment on.

use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use super::Follower;
use crate::revocation::{Guards, RevocationState};

impl<G: Guards> Follower<G> {
    /// A follower in the same state that shares nothing with this one, and the state it keeps.
    pub fn fork(&self) -> (Self, Arc<RevocationState>) {
        let state = Arc::new(self.state.fork());
        let copy = Self {
            instance: self.instance,
            config: self.config,
            state: Arc::clone(&state),
            phase: self.phase.clone(),
            ahead: self.ahead.clone(),
            counter: self.counter,
            asked: self.asked.clone(),
            candidates: self.candidates.clone(),
            secret: self.secret.clone(),
            known_head: self.known_head,
            renew_at: self.renew_at,
            fetch_at: self.fetch_at,
            join_at: self.join_at,
            ack_due: self.ack_due,
            retired: self.retired.clone(),
            foreign: self.foreign,
            guards: PhantomData,
        };
        (copy, state)
    }
}

/// Two followers of one configuration with the same hash behave the same from now on.
impl<G: Guards> Hash for Follower<G> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.instance.hash(hasher);
        self.state.hash(hasher);
        self.phase.hash(hasher);
        self.ahead.hash(hasher);
        self.counter.hash(hasher);
        self.asked.hash(hasher);
        self.candidates.hash(hasher);
        self.secret.as_ref().map(|secret| secret.0).hash(hasher);
        self.known_head.hash(hasher);
        self.renew_at.hash(hasher);
        self.fetch_at.hash(hasher);
        self.join_at.hash(hasher);
        self.ack_due.hash(hasher);
        self.retired.hash(hasher);
        self.foreign.hash(hasher);
    }
}
