use sea_orm::ConnectionTrait;
use session_domain::event::Actor;
use session_domain::port::{Outcome, PortError, Rotate, RotateOutcome};
use session_domain::session::{EndReason, RefreshVerdict, Seeded, Session, Status};

use super::effects::{Applied, Effects};
use crate::closing::{Closed, Place};
use crate::{moves, sessions};

/// Rotates a session's refresh token, or ends the session where the token was used before.
pub(super) async fn rotate<C: ConnectionTrait>(
    db: &C,
    change: Rotate,
) -> Result<Applied, PortError> {
    let found = sessions::lock(db, &change.tenant, change.id).await?;
    let mut effects = Effects::default();
    let rotated = judge(&mut effects, found, None, &change)?;
    if let Rotated::Moved(session) = &rotated {
        moves::store_rotation(db, session).await?;
    }
    effects
        .settle(db, |closed| Outcome::Rotate(rotated.tell(closed)))
        .await
}

/// What became of the session, but for its number.
pub(crate) enum Rotated {
    /// There is none with that seed.
    Nobodys,
    /// It moved on.
    Moved(Session),
    /// It ends: the token was used before.
    Stolen(Session, Place),
    /// It stays as it is. With a place where a change of the same group has just ended it.
    Same(RefreshVerdict, Session, Option<Place>),
}

impl Rotated {
    pub(crate) fn tell(self, closed: &Closed) -> RotateOutcome {
        let judged = |verdict, session| RotateOutcome {
            judged: Some((verdict, Box::new(session))),
            fresh: None,
        };
        match self {
            Self::Nobodys => RotateOutcome {
                judged: None,
                fresh: None,
            },
            Self::Moved(session) => judged(RefreshVerdict::Rotate, session),
            Self::Stolen(session, place) => RotateOutcome {
                fresh: closed.fresh(),
                ..judged(RefreshVerdict::Reused, closed.numbered((session, place)))
            },
            Self::Same(verdict, session, None) => judged(verdict, session),
            Self::Same(verdict, session, Some(place)) => {
                let session = closed.numbered((session, place));
                let verdict = match session.status {
                    Status::Ended(ending) => RefreshVerdict::Ended(ending),
                    Status::Active => verdict,
                };
                judged(verdict, session)
            }
        }
    }
}

/// Lets the domain's rule decide on the locked session, which a change of the same group may just
/// have `ended`.
pub(crate) fn judge(
    effects: &mut Effects,
    found: Option<Seeded>,
    ended: Option<Place>,
    change: &Rotate,
) -> Result<Rotated, PortError> {
    let found = found.filter(|found| found.session.tenant == change.tenant);
    // The proof was checked against a seed read earlier. A step-up in between drew another.
    let Some(Seeded { session, .. }) = found.filter(|found| found.seed == change.seed) else {
        return Ok(Rotated::Nobodys);
    };
    let verdict = session.judge_refresh(change.presented, change.at, change.grace);
    match verdict {
        RefreshVerdict::Rotate => {
            let moved = session.rotate(change.at, change.actor.clone());
            let moved = moved.map_err(|_| {
                PortError::fatal("rotate a refresh token", "judged as active, but ended")
            })?;
            effects.events.push(moved.event);
            Ok(Rotated::Moved(moved.session))
        }
        RefreshVerdict::Reused => {
            let (reason, system) = (EndReason::RefreshReuse, Actor::System);
            let (session, place) = effects.end(session, reason, change.at, &system, None)?;
            Ok(Rotated::Stolen(session, place))
        }
        RefreshVerdict::Repeat | RefreshVerdict::NeverIssued | RefreshVerdict::Ended(_) => {
            Ok(Rotated::Same(verdict, session, ended))
        }
    }
}
