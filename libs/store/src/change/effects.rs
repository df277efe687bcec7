use sea_orm::ConnectionTrait;
use session_domain::event::{Actor, Event};
use session_domain::port::{Outcome, PortError};
use session_domain::session::{EndReason, Session};
use session_domain::time::Timestamp;

use crate::closing::{Closed, Closing, Place, UNNUMBERED};
use crate::counters::{self, Tally};
use crate::events;

/// Says what came of a change, once what it wrote last has its numbers.
pub(crate) type Tell = Box<dyn FnOnce(&Closed) -> Outcome + Send>;

/// A change that is carried out but for what is written under the log's head.
pub(crate) struct Applied {
    /// What is left to write.
    pub(crate) closing: Closing,
    /// Says what came of it.
    pub(crate) tell: Tell,
}

impl Applied {
    /// A change that is complete.
    pub(super) fn done(outcome: Outcome) -> Self {
        Self {
            closing: Closing::default(),
            tell: Box::new(|_| outcome),
        }
    }
}

/// What changes write besides rows of their own, gathered while they are decided: of one change or
/// of a group.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) tally: Tally,
    pub(crate) events: Vec<Event>,
    pub(crate) closing: Closing,
}

impl Effects {
    /// The one place where a session ends, whatever asked for it: it is active and locked. Gives
    /// it as it will be once [`Closed::numbered`].
    pub(crate) fn end(
        &mut self,
        session: Session,
        reason: EndReason,
        at: Timestamp,
        actor: &Actor,
        note: Option<&str>,
    ) -> Result<(Session, Place), PortError> {
        let note = note.map(ToOwned::to_owned);
        self.tally.end(&session, reason);
        let moved = session
            .end(at, reason, note, actor.clone(), UNNUMBERED)
            .map_err(|_| PortError::fatal("end sessions", "chosen as active, but ended"))?;
        self.events.push(moved.event);
        let place = self.closing.end(&moved.session, at, reason);
        Ok((moved.session, place))
    }

    /// Writes all but the closing. Other transactions may have to be waited for at the counters,
    /// so this comes before the log's head.
    pub(crate) async fn settle<C: ConnectionTrait>(
        self,
        db: &C,
        tell: impl FnOnce(&Closed) -> Outcome + Send + 'static,
    ) -> Result<Applied, PortError> {
        counters::apply(db, self.tally).await?;
        events::append(db, &self.events).await?;
        Ok(Applied {
            closing: self.closing,
            tell: Box::new(tell),
        })
    }
}
