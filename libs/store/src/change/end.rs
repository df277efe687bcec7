use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use session_domain::event::Actor;
use session_domain::ids::{Seq, SessionId};
use session_domain::port::{End, EndOutcome, PortError, Targets, Why};
use session_domain::revocation::{LogEntry, PUBLICATION_SERIALS_MAX, Publication};
use session_domain::session::{EndReason, Ending, Session, Status};
use session_domain::time::Timestamp;

use crate::counters::{self, Tally};
use crate::sessions::Among;
use crate::{events, leases, log, sessions};

/// Ends sessions.
pub(super) async fn end<C: ConnectionTrait>(db: &C, change: End) -> Result<EndOutcome, PortError> {
    // A batch of none would never get anywhere.
    let batch = change.batch.max(1);
    let found = lock_targets(db, &change, batch).await?;
    end_locked(db, change, found).await
}

/// Ends those of the locked targets that are to end.
pub(super) async fn end_locked<C: ConnectionTrait>(
    db: &C,
    change: End,
    found: Vec<Session>,
) -> Result<EndOutcome, PortError> {
    if let (
        Targets::One { .. },
        [
            Session {
                status: Status::Ended(ending),
                ..
            },
        ],
    ) = (&change.targets, &found[..])
    {
        let through = ending.seq;
        let already = found.into_iter().next().map(Box::new);
        return Ok(EndOutcome {
            ended: Vec::new(),
            already,
            through,
            fresh: None,
            more: false,
        });
    }
    // All that a full batch found is ended: what isn't due was not looked for. So `more` is never
    // said of a set that can't shrink.
    let more = !matches!(change.targets, Targets::One { .. })
        && found.len() >= change.batch.max(1) as usize;
    let ending = found.into_iter().filter_map(|session| {
        let reason = reason(&change.why, &session, change.at)?;
        Some((session, reason))
    });
    let note = match change.why {
        Why::Because { ref note, .. } => note.clone(),
        Why::Overdue => None,
    };
    let (ended, fresh) = end_all(
        db,
        ending.collect(),
        change.at,
        &change.actor,
        note.as_deref(),
        Tally::default(),
    )
    .await?;
    let through = match &fresh {
        Some(fresh) => fresh.last(),
        // Whoever asked is told "nothing left to end": true everywhere once what was ended up to
        // now is. Read after looking, so that it covers what the look passed over.
        None => log::head(db).await?.seq,
    };
    Ok(EndOutcome {
        ended,
        already: None,
        through,
        fresh,
        more,
    })
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

/// The one place where sessions end, whatever asked for it: they are active and locked. Writes the
/// rows, the counters, the log entries and the events; gives the sessions as they are now.
///
/// `tally` is what the change counts besides: counters are moved once in a transaction, and before
/// the log's head is locked.
pub(super) async fn end_all<C: ConnectionTrait>(
    db: &C,
    ending: Vec<(Session, EndReason)>,
    at: Timestamp,
    actor: &Actor,
    note: Option<&str>,
    mut tally: Tally,
) -> Result<(Vec<Session>, Option<Publication>), PortError> {
    for (session, reason) in &ending {
        tally.end(session, *reason);
    }
    counters::apply(db, tally).await?;
    if ending.is_empty() {
        return Ok((Vec::new(), None));
    }
    let before = log::reserve(db, ending.len().div_ceil(PUBLICATION_SERIALS_MAX)).await?;
    let (mut ended, mut told) = (
        Vec::with_capacity(ending.len()),
        Vec::with_capacity(ending.len()),
    );
    for (place, (session, reason)) in ending.into_iter().enumerate() {
        let seq = Seq(before.seq.0 + 1 + (place / PUBLICATION_SERIALS_MAX) as u64);
        let moved = session
            .end(at, reason, note.map(ToOwned::to_owned), actor.clone(), seq)
            .map_err(|_| PortError::fatal("end sessions", "chosen as active, but ended"))?;
        ended.push(moved.session);
        told.push(moved.event);
    }
    for (ending, ids) in by_ending(&ended) {
        sessions::store_ending(db, &ids, ending).await?;
    }
    events::append(db, &told).await?;
    let entries = ended
        .chunks(PUBLICATION_SERIALS_MAX)
        .map(|ended| LogEntry::Ended(ended.iter().map(|session| session.serial).collect()));
    let fresh = log::append(db, before, entries.collect()).await?;
    Ok((ended, Some(fresh)))
}

/// Groups sessions that ended in exactly the same way, to be written by one statement.
fn by_ending(ended: &[Session]) -> Vec<(Ending, Vec<SessionId>)> {
    let mut groups: HashMap<(EndReason, Seq), (Ending, Vec<SessionId>)> = HashMap::new();
    for session in ended {
        if let Status::Ended(ending) = session.status {
            let group = groups
                .entry((ending.reason, ending.seq))
                .or_insert_with(|| (ending, Vec::new()));
            group.1.push(session.id);
        }
    }
    groups.into_values().collect()
}
