//! What may be changed of a living session without changing its credentials.

use std::time::Duration;

use crate::event::{Actor, Fact};
use crate::ids::Version;
use crate::session::{EndReason, Ending, Moved, Session, Status};
use crate::time::Timestamp;

/// Why nothing can be changed of a session any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It has ended.
    Ended(Ending),
    /// Its time is over; its end just hasn't been written yet.
    Overdue(EndReason),
}

/// Why a session isn't extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtendRefusal {
    /// It is over.
    Over(Over),
    /// It ends at its absolute end already.
    AtAbsoluteEnd,
}

/// What shall be different about a session; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionUpdate {
    /// The version this update was made for. `None` for whichever there is.
    pub version: Option<Version>,
    /// What its user calls the device; `Some(None)` takes the name back.
    pub device_name: Option<Option<String>>,
    /// What to remember instead of what was remembered.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// When it ends unless extended.
    pub expires_at: Option<Timestamp>,
}

/// Why a session isn't updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateRefusal {
    /// It is over.
    Over(Over),
    /// Somebody else was faster; this is its version now.
    Version(Version),
    /// It can't end then: that is past, or after its absolute end.
    ExpiresAt,
}

impl SessionUpdate {
    /// The names of what it changes, as the API and the audit trail call them.
    pub fn fields(&self) -> Vec<&'static str> {
        let named = [
            ("device_name", self.device_name.is_some()),
            ("metadata", self.metadata.is_some()),
            ("expires_at", self.expires_at.is_some()),
        ];
        named
            .into_iter()
            .filter_map(|(name, given)| given.then_some(name))
            .collect()
    }
}

impl Session {
    /// Whether anything can be changed of it at `now`. One that is overdue can't come back, even
    /// where its end hasn't been written yet.
    ///
    /// # Errors
    /// Why not.
    pub fn alive_at(&self, now: Timestamp) -> Result<(), Over> {
        match self.status {
            Status::Ended(ending) => Err(Over::Ended(ending)),
            Status::Active => self
                .overdue(now)
                .map_or(Ok(()), |why| Err(Over::Overdue(why))),
        }
    }

    /// Moves its end `by` later, at most to its absolute end.
    ///
    /// # Errors
    /// See [`ExtendRefusal`].
    pub fn extend(self, by: Duration, at: Timestamp, actor: Actor) -> Result<Moved, ExtendRefusal> {
        self.alive_at(at).map_err(ExtendRefusal::Over)?;
        if self.expires_at >= self.absolute_expires_at {
            return Err(ExtendRefusal::AtAbsoluteEnd);
        }
        let expires_at = self.expires_at.plus(by).min(self.absolute_expires_at);
        let event = self.event(at, actor, Fact::SessionExtended { expires_at });
        let session = Self {
            expires_at,
            version: self.version.next(),
            ..self
        };
        Ok(Moved { session, event })
    }

    /// Changes what `update` names, if it was made for the version there is.
    ///
    /// # Errors
    /// See [`UpdateRefusal`].
    pub fn update(
        self,
        update: SessionUpdate,
        at: Timestamp,
        actor: Actor,
    ) -> Result<Moved, UpdateRefusal> {
        self.alive_at(at).map_err(UpdateRefusal::Over)?;
        if update
            .version
            .is_some_and(|version| version != self.version)
        {
            return Err(UpdateRefusal::Version(self.version));
        }
        let expires_at = update.expires_at.unwrap_or(self.expires_at);
        if update.expires_at.is_some()
            && (expires_at <= at || expires_at > self.absolute_expires_at)
        {
            return Err(UpdateRefusal::ExpiresAt);
        }
        let fields = update.fields().into_iter().map(ToOwned::to_owned).collect();
        let event = self.event(at, actor, Fact::SessionUpdated { fields });
        let mut session = Self {
            expires_at,
            version: self.version.next(),
            ..self
        };
        if let Some(name) = update.device_name {
            session.device.name = name;
        }
        if let Some(metadata) = update.metadata {
            session.metadata = metadata;
        }
        Ok(Moved { session, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;
    use crate::ids::Seq;

    const HOUR: Duration = Duration::from_hours(1);

    fn extended(session: Session, by: Duration) -> Result<Session, ExtendRefusal> {
        let moved = session.extend(by, sample::START, Actor::System);
        moved.map(|moved| moved.session)
    }

    #[test]
    fn an_extension_stops_at_the_absolute_end_and_then_is_refused() {
        let first = extended(sample::session(), HOUR).unwrap();
        assert_eq!(first.expires_at, sample::START.plus(2 * HOUR));
        assert_eq!(first.version, Version(2));
        let last = extended(first, 24 * HOUR).unwrap();
        assert_eq!(last.expires_at, last.absolute_expires_at);
        assert_eq!(extended(last, HOUR), Err(ExtendRefusal::AtAbsoluteEnd));
    }

    #[test]
    fn what_is_over_is_neither_extended_nor_updated() {
        let overdue = sample::session();
        let late = overdue.expires_at;
        let refusal = Over::Overdue(EndReason::Expired);
        assert_eq!(
            overdue.clone().extend(HOUR, late, Actor::System),
            Err(ExtendRefusal::Over(refusal))
        );
        let ended = overdue
            .end(
                sample::START,
                EndReason::Logout,
                None,
                Actor::System,
                Seq(4),
            )
            .unwrap()
            .session;
        let Status::Ended(ending) = ended.status else {
            panic!("not ended")
        };
        assert_eq!(
            ended.update(SessionUpdate::default(), sample::START, Actor::System),
            Err(UpdateRefusal::Over(Over::Ended(ending)))
        );
    }

    #[test]
    fn an_update_changes_what_it_names_for_the_version_it_was_made_for() {
        let session = sample::session();
        let named = SessionUpdate {
            version: Some(session.version),
            device_name: Some(Some("Work".into())),
            ..SessionUpdate::default()
        };
        let moved = session
            .clone()
            .update(named.clone(), sample::START, Actor::System)
            .unwrap();
        assert_eq!(moved.session.device.name.as_deref(), Some("Work"));
        assert_eq!(moved.session.metadata, session.metadata);
        let fields = vec!["device_name".to_owned()];
        assert_eq!(moved.event.fact, Fact::SessionUpdated { fields });
        assert_eq!(
            moved.session.update(named, sample::START, Actor::System),
            Err(UpdateRefusal::Version(Version(2)))
        );
    }

    #[test]
    fn an_end_is_neither_moved_into_the_past_nor_beyond_the_absolute_one() {
        let session = sample::session();
        let moved_to = |at: Timestamp| {
            let update = SessionUpdate {
                expires_at: Some(at),
                ..SessionUpdate::default()
            };
            session
                .clone()
                .update(update, sample::START, Actor::System)
                .map(|moved| moved.session.expires_at)
        };
        let tick = Duration::from_micros(1);
        let absolute = session.absolute_expires_at;
        assert_eq!(moved_to(absolute), Ok(absolute));
        assert_eq!(
            moved_to(sample::START.plus(tick)),
            Ok(sample::START.plus(tick))
        );
        for refused in [sample::START, absolute.plus(tick)] {
            assert_eq!(moved_to(refused), Err(UpdateRefusal::ExpiresAt));
        }
    }
}
