use sea_orm::ConnectionTrait;
use session_domain::event::Actor;
use session_domain::port::{PortError, Rotate, RotateOutcome};
use session_domain::session::{EndReason, RefreshVerdict, Session};

use super::end::end_all;
use crate::counters::Tally;
use crate::{events, moves, sessions};

/// Rotates a session's refresh token, or ends the session where the token was used before.
pub(super) async fn rotate<C: ConnectionTrait>(
    db: &C,
    change: Rotate,
) -> Result<RotateOutcome, PortError> {
    const NOBODYS: RotateOutcome = RotateOutcome {
        judged: None,
        fresh: None,
    };
    let Some(found) = sessions::lock(db, &change.tenant, change.id).await? else {
        return Ok(NOBODYS);
    };
    // The proof was checked against a seed read earlier. A step-up in between drew another.
    if found.seed != change.seed {
        return Ok(NOBODYS);
    }
    let session = found.session;
    let verdict = session.judge_refresh(change.presented, change.at, change.grace);
    let (session, fresh) = match verdict {
        RefreshVerdict::Rotate => (move_on(db, session, &change).await?, None),
        RefreshVerdict::Reused => {
            let stolen = vec![(session, EndReason::RefreshReuse)];
            let system = Actor::System;
            let (ended, fresh) =
                end_all(db, stolen, change.at, &system, None, Tally::default()).await?;
            let ended = ended
                .into_iter()
                .next()
                .expect("who ends one session is given one back");
            (ended, fresh)
        }
        RefreshVerdict::Repeat | RefreshVerdict::NeverIssued | RefreshVerdict::Ended(_) => {
            (session, None)
        }
    };
    Ok(RotateOutcome {
        judged: Some((verdict, Box::new(session))),
        fresh,
    })
}

async fn move_on<C: ConnectionTrait>(
    db: &C,
    session: Session,
    change: &Rotate,
) -> Result<Session, PortError> {
    let moved = session
        .rotate(change.at, change.actor.clone())
        .map_err(|_| PortError::fatal("rotate a refresh token", "judged as active, but ended"))?;
    moves::store_rotation(db, &moved.session).await?;
    events::append(db, &[moved.event]).await?;
    Ok(moved.session)
}
