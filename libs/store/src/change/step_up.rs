use sea_orm::ConnectionTrait;
use session_domain::port::{Outcome, PortError, StepUp, SteppedUp};
use session_domain::session::{Ending, Moved, Over, Session};

use super::effects::{Applied, Effects};
use crate::dialect::next_serial;
use crate::{moves, revocations, sessions};

/// Gives a session a new serial and seed, and ends the old serial through the log.
pub(super) async fn step_up<C: ConnectionTrait>(
    db: &C,
    change: StepUp,
) -> Result<Applied, PortError> {
    let Some(found) = sessions::lock(db, &change.tenant, change.id).await? else {
        return Ok(Applied::done(Outcome::StepUp(None)));
    };
    let session = found.session;
    // Asked first, so that a refusal draws no serial.
    if let Err(over) = session.alive_at(change.at) {
        return Ok(Applied::done(Outcome::StepUp(Some(Err(over)))));
    }
    let superseded = session.serial;
    let serial = next_serial(db).await?;
    // From here on none begins, so the session doesn't slip away under a serial that was drawn
    // after one which is to end it.
    if let Some(over) = doomed(db, &session).await? {
        return Ok(Applied::done(Outcome::StepUp(Some(Err(over)))));
    }
    let moved = session.step_up(change.authentication, serial, change.at, change.actor);
    let Moved { session, event } =
        moved.map_err(|_| PortError::fatal("step up", "judged as alive, but over"))?;
    moves::store_step_up(db, &session, &change.seed).await?;
    let mut effects = Effects::default();
    effects.events.push(event);
    effects.closing.supersede(superseded, &session);
    effects
        .settle(db, |closed| {
            let fresh = closed.fresh().expect("the old serial is in the log");
            Outcome::StepUp(Some(Ok(Box::new(SteppedUp { session, fresh }))))
        })
        .await
}

/// Whether a revocation that isn't finished ends `session`.
async fn doomed<C: ConnectionTrait>(db: &C, session: &Session) -> Result<Option<Over>, PortError> {
    let unfinished = revocations::unfinished(db).await?;
    let dooming = unfinished.iter().filter(|one| one.dooms(session));
    let first = dooming.min_by_key(|one| one.through);
    Ok(first.map(|one| {
        Over::Ended(Ending {
            at: one.created_at,
            reason: one.reason,
            seq: one.seq,
        })
    }))
}
