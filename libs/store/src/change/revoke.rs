use sea_orm::ConnectionTrait;
use session_domain::bulk::Revocation;
use session_domain::event::{Event, Fact};
use session_domain::port::{
    BeginRevocation, BegunRevocation, ContinueRevocation, ContinuedRevocation, MatchPosition,
    Outcome, PortError,
};
use session_domain::revocation::LogEntry;
use session_domain::session::Session;
use session_domain::time::Timestamp;

use super::effects::{Applied, Effects};
use crate::closing::Place;
use crate::dialect::{self, next_serial};
use crate::revocations::{self, Underway};
use crate::sessions::{self, Walk};
use crate::{counters, events, floors, log};

/// For each session that may end in a step, so many are looked at.
const LOOKED_AT_PER_END: u32 = 4;

/// Begins a revocation of many sessions, and carries it out for everybody where it is a floor.
///
/// Whoever draws a serial keeps a hold on the floors until its transaction ends; this one waits for
/// all of them, and they for this. So what has a serial up to the one drawn here is there to be
/// found, and everything later was drawn later.
pub(super) async fn begin<C: ConnectionTrait>(
    db: &C,
    change: BeginRevocation,
) -> Result<Outcome, PortError> {
    dialect::lock_floors(db).await?;
    let is_floor = change.filter.is_floor();
    let tenant = change.filter.tenant.clone();
    let expected = if is_floor {
        Some(counters::floor(db, tenant.as_ref(), change.reason).await?)
    } else {
        None
    };
    // The head's lock from here on; nothing below waits for anybody.
    let before = if is_floor {
        log::reserve(db, 1).await?
    } else {
        log::head(db).await?
    };
    let through = next_serial(db).await?;
    let revocation = Revocation {
        id: change.id,
        filter: change.filter,
        through,
        reason: change.reason,
        note: change.note,
        actor: change.actor,
        created_at: change.at,
        expected,
        ended: 0,
        finished_at: None,
        seq: if is_floor {
            before.seq.next()
        } else {
            before.seq
        },
    };
    revocations::insert(db, &revocation).await?;
    let mut fresh = None;
    if is_floor {
        floors::raise(db, tenant.as_ref(), through).await?;
        events::append(db, &[raised(&revocation)]).await?;
        let entries = vec![LogEntry::Floor { tenant, through }];
        fresh = Some(log::append(db, before, entries).await?);
    }
    Ok(Outcome::BeginRevocation(BegunRevocation {
        revocation,
        fresh,
    }))
}

/// A floor is one event, whatever it ends.
fn raised(revocation: &Revocation) -> Event {
    Event {
        at: revocation.created_at,
        tenant: revocation.filter.tenant.clone(),
        session: None,
        user: None,
        actor: revocation.actor.clone(),
        fact: Fact::FloorRaised {
            revocation: revocation.id,
            reason: revocation.reason,
            note: revocation.note.clone(),
        },
    }
}

/// Ends the next sessions of a revocation, or finishes it.
pub(super) async fn carry_on<C: ConnectionTrait>(
    db: &C,
    change: ContinueRevocation,
) -> Result<Applied, PortError> {
    let Some(underway) = revocations::lock_unfinished(db, change.id).await? else {
        return Ok(Applied::done(Outcome::ContinueRevocation(None)));
    };
    let batch = change.batch.max(1);
    match look(db, &underway, batch).await? {
        Some((seen, meant)) => end(db, underway.revocation, &seen, meant, change.at).await,
        None => finish(db, underway.revocation, &change).await,
    }
}

/// The next of the sessions in use that are meant, and up to where that is; `None` where there are
/// no more to look at.
async fn look<C: ConnectionTrait>(
    db: &C,
    underway: &Underway,
    batch: u32,
) -> Result<Option<(MatchPosition, Vec<Session>)>, PortError> {
    let revocation = &underway.revocation;
    let is_floor = revocation.filter.is_floor();
    let looked_at = if is_floor { 1 } else { LOOKED_AT_PER_END };
    let walk = Walk {
        filter: &revocation.filter,
        through: Some(revocation.through),
        // What an earlier floor ended is that one's to write.
        floor: is_floor.then_some(revocation.seq),
        after: underway.seen.as_ref(),
        limit: batch.saturating_mul(looked_at),
    };
    let mut seen = None;
    let mut meant = Vec::new();
    for session in sessions::walk(db, walk).await? {
        seen = Some(MatchPosition::of(&session));
        if revocation.dooms(&session) {
            meant.push(session);
        }
        if meant.len() >= batch as usize {
            break;
        }
    }
    Ok(seen.map(|seen| (seen, meant)))
}

async fn end<C: ConnectionTrait>(
    db: &C,
    revocation: Revocation,
    seen: &MatchPosition,
    meant: Vec<Session>,
    at: Timestamp,
) -> Result<Applied, PortError> {
    let mut ids: Vec<_> = meant.into_iter().map(|session| session.id).collect();
    ids.sort_unstable();
    // One that has ended meanwhile is as good; one that is meant gets no other serial.
    let locked = sessions::lock_rows(db, &ids).await?;
    // What a floor ended has ended when it was raised, whenever that is written down.
    let is_floor = revocation.filter.is_floor();
    let at = if is_floor { revocation.created_at } else { at };
    let mut effects = Effects::default();
    let mut ended: Vec<(Session, Place)> = Vec::with_capacity(locked.len());
    let (actor, note) = (&revocation.actor, revocation.note.as_deref());
    for session in locked {
        if is_floor {
            effects.tally.materialise(&session, revocation.reason);
        }
        ended.push(effects.end(session, revocation.reason, at, actor, note)?);
    }
    let count = ended.len() as u64;
    revocations::advance(db, revocation.id, seen, count).await?;
    let revocation = Revocation {
        ended: revocation.ended + count,
        ..revocation
    };
    effects
        .settle(db, move |closed| {
            let through = ended
                .last()
                .map_or(revocation.seq, |(_, place)| closed.seq(*place));
            let ended: Vec<_> = ended.into_iter().map(|one| closed.numbered(one)).collect();
            let fresh = closed.fresh().filter(|_| !ended.is_empty());
            Outcome::ContinueRevocation(Some(Box::new(ContinuedRevocation {
                revocation,
                ended,
                through,
                fresh,
            })))
        })
        .await
}

/// Nothing was found to be left.
async fn finish<C: ConnectionTrait>(
    db: &C,
    revocation: Revocation,
    change: &ContinueRevocation,
) -> Result<Applied, PortError> {
    let is_floor = revocation.filter.is_floor();
    // Read after looking: what the look passed over, because others had ended it, is covered. A
    // floor was true for everybody with its own number.
    let seq = if is_floor {
        dialect::lock_floors(db).await?;
        revocation.seq
    } else {
        log::head(db).await?.seq
    };
    revocations::finish(db, revocation.id, change.at, seq).await?;
    if is_floor {
        counters::settle_floors(db).await?;
    }
    let revocation = Revocation {
        finished_at: Some(change.at),
        seq,
        ..revocation
    };
    Ok(Applied::done(Outcome::ContinueRevocation(Some(Box::new(
        ContinuedRevocation {
            revocation,
            ended: Vec::new(),
            through: seq,
            fresh: None,
        },
    )))))
}
