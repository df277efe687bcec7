use sea_orm::ConnectionTrait;
use session_domain::port::{PortError, StepUp, StepUpOutcome, SteppedUp};
use session_domain::revocation::LogEntry;
use session_domain::session::Moved;

use crate::dialect::next_serial;
use crate::{events, log, moves, serials, sessions};

/// Gives a session a new serial and seed, and ends the old serial through the log.
pub(super) async fn step_up<C: ConnectionTrait>(
    db: &C,
    change: StepUp,
) -> Result<StepUpOutcome, PortError> {
    let Some(found) = sessions::lock(db, &change.tenant, change.id).await? else {
        return Ok(None);
    };
    let session = found.session;
    // Asked first, so that a refusal draws no serial.
    if let Err(over) = session.alive_at(change.at) {
        return Ok(Some(Err(over)));
    }
    let superseded = session.serial;
    let serial = next_serial(db).await?;
    let moved = session.step_up(change.authentication, serial, change.at, change.actor);
    let Moved { session, event } =
        moved.map_err(|_| PortError::fatal("step up", "judged as alive, but over"))?;
    moves::store_step_up(db, &session, &change.seed).await?;
    events::append(db, &[event]).await?;
    let before = log::reserve(db, 1).await?;
    serials::insert_superseded(db, superseded, &session, before.seq.next()).await?;
    let fresh = log::append(db, before, vec![LogEntry::Ended(vec![superseded])]).await?;
    Ok(Some(Ok(Box::new(SteppedUp { session, fresh }))))
}
