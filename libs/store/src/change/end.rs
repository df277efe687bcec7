use sea_orm::ConnectionTrait;
use session_domain::ids::Seq;
use session_domain::port::{End, EndOutcome, Outcome, PortError, Targets, Why};
use session_domain::session::{EndReason, Session, Status};
use session_domain::time::Timestamp;

use super::effects::{Applied, Effects};
use crate::closing::{Closed, Place};
use crate::sessions::Among;
use crate::{leases, log, sessions};

/// Ends sessions.
pub(super) async fn end<C: ConnectionTrait>(db: &C, change: End) -> Result<Applied, PortError> {
    // A batch of none would never get anywhere.
    let found = lock_targets(db, &change, change.batch.max(1)).await?;
    let mut effects = Effects::default();
    let ending = end_locked(db, &mut effects, &change, found).await?;
    effects
        .settle(db, |closed| Outcome::End(ending.tell(closed)))
        .await
}

/// What became of the targets, but for the numbers.
pub(crate) enum Ending {
    /// The one target had ended before; perhaps just now, by a change of the same group.
    Already(Box<Session>, Option<Place>),
    /// These end now.
    Now {
        ended: Vec<(Session, Place)>,
        more: bool,
    },
    /// None was to end: true everywhere once what was ended up to this number is.
    Nothing { through: Seq, more: bool },
}

impl Ending {
    pub(crate) fn tell(self, closed: &Closed) -> EndOutcome {
        let outcome = |through| EndOutcome {
            ended: Vec::new(),
            already: None,
            through,
            fresh: None,
            more: false,
        };
        match self {
            Self::Already(session, place) => {
                let session = match place {
                    Some(place) => closed.numbered((*session, place)),
                    None => *session,
                };
                let through = match session.status {
                    Status::Ended(ending) => ending.seq,
                    Status::Active => Seq(0),
                };
                EndOutcome {
                    already: Some(Box::new(session)),
                    ..outcome(through)
                }
            }
            Self::Now { ended, more } => {
                let last = ended.last().map_or(Seq(0), |(_, place)| closed.seq(*place));
                EndOutcome {
                    ended: ended.into_iter().map(|one| closed.numbered(one)).collect(),
                    fresh: closed.fresh(),
                    more,
                    ..outcome(last)
                }
            }
            Self::Nothing { through, more } => EndOutcome {
                more,
                ..outcome(through)
            },
        }
    }
}

/// Ends those of the locked targets that are to end.
pub(super) async fn end_locked<C: ConnectionTrait>(
    db: &C,
    effects: &mut Effects,
    change: &End,
    found: Vec<Session>,
) -> Result<Ending, PortError> {
    let one = matches!(change.targets, Targets::One { .. });
    if let (true, [session]) = (one, &found[..])
        && matches!(session.status, Status::Ended(_))
    {
        return Ok(Ending::Already(Box::new(session.clone()), None));
    }
    // All that a full batch found is ended: what isn't due was not looked for. So `more` is never
    // said of a set that can't shrink.
    let more = !one && found.len() >= change.batch.max(1) as usize;
    let mut ended = Vec::with_capacity(found.len());
    for session in found {
        ended.extend(end_active(effects, change, session)?);
    }
    if !ended.is_empty() {
        return Ok(Ending::Now { ended, more });
    }
    // Read after looking, so that it covers what the look passed over.
    let through = log::head(db).await?.seq;
    Ok(Ending::Nothing { through, more })
}

/// Ends a session that is active and locked, where the change has a reason to.
pub(crate) fn end_active(
    effects: &mut Effects,
    change: &End,
    session: Session,
) -> Result<Option<(Session, Place)>, PortError> {
    let note = match &change.why {
        Why::Because { note, .. } => note.as_deref(),
        Why::Overdue => None,
    };
    let Some(reason) = reason(&change.why, &session, change.at) else {
        return Ok(None);
    };
    let ended = effects.end(session, reason, change.at, &change.actor, note)?;
    Ok(Some(ended))
}

/// The sessions a change may end, locked.
pub(super) async fn lock_targets<C: ConnectionTrait>(
    db: &C,
    change: &End,
    batch: u32,
) -> Result<Vec<Session>, PortError> {
    match &change.targets {
        Targets::One { tenant, id } => {
            let found = sessions::lock(db, tenant, *id).await?;
            Ok(found.map(|found| found.session).into_iter().collect())
        }
        Targets::User {
            tenant,
            user,
            except,
        } => {
            let due = matches!(change.why, Why::Overdue).then_some(change.at);
            let among = Among {
                except: *except,
                due,
                device: None,
            };
            sessions::lock_of_user(db, tenant, user, among, batch).await
        }
        Targets::Device {
            tenant,
            user,
            device,
        } => {
            let among = Among {
                device: Some(*device),
                ..Among::default()
            };
            sessions::lock_of_user(db, tenant, user, among, batch).await
        }
        Targets::Overdue => {
            let heard = leases::heard_through(db).await?;
            let heard = heard.unwrap_or(change.at);
            sessions::lock_overdue(db, change.at, heard, batch).await
        }
    }
}

fn reason(why: &Why, session: &Session, at: Timestamp) -> Option<EndReason> {
    match why {
        Why::Because { reason, .. } => Some(*reason),
        Why::Overdue => session.overdue(at),
    }
}
