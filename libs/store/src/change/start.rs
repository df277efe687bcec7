use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectionTrait, EntityTrait};
use session_domain::ids::SessionId;
use session_domain::port::{
    Eviction, Idempotency, Outcome, PortError, SessionLimit, Start, StartOutcome,
};
use session_domain::session::{EndReason, Session};
use session_domain::time::Timestamp;

use super::effects::{Applied, Effects};
use crate::closing::{Closed, Place};
use crate::dialect::{self, failed, next_serial};
use crate::entity::idempotency_key::{ActiveModel, Entity};
use crate::{devices, sessions};

/// Starts a session, making room for it first.
pub(super) async fn start<C: ConnectionTrait>(db: &C, change: Start) -> Result<Applied, PortError> {
    let done = |outcome| Ok(Applied::done(Outcome::Start(outcome)));
    let draft = change.session.draft();
    dialect::lock_names(db, lock_names(&change)).await?;
    // Before the limit: a repeated request that filled the last place is answered, not refused.
    if let Some(idempotency) = &change.idempotency
        && let Some(outcome) = repeated(db, idempotency).await?
    {
        return done(outcome);
    }
    let Some(evicting) = make_room(db, draft, change.limit).await? else {
        return done(StartOutcome::LimitReached);
    };
    let mut effects = Effects::default();
    let evicted = evict(&mut effects, evicting, &change)?;
    devices::sign_in(db, draft).await?;
    effects.tally.start(draft);
    let serial = next_serial(db).await?;
    let started = change.session.start(serial, change.actor.clone());
    sessions::insert(db, &started.session, &change.session).await?;
    effects.events.push(started.event);
    if let Some(idempotency) = &change.idempotency {
        let row = remembered(idempotency, started.session.id, started.session.created_at);
        let done = Entity::insert(row).exec_without_returning(db).await;
        done.map_err(failed("remember an idempotency key"))?;
    }
    effects
        .settle(db, |closed| {
            Outcome::Start(tell(started.session, evicted, closed))
        })
        .await
}

/// What a start decides alone, by name: its request, and whether its user may have one more.
pub(crate) fn lock_names(change: &Start) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(Idempotency { caller, key, .. }) = &change.idempotency {
        names.push(format!("request {} {key}", caller.0));
    }
    if change.limit.is_some() {
        let draft = change.session.draft();
        names.push(format!("user {} {}", draft.tenant, draft.user));
    }
    names
}

/// Ends the sessions that give way.
pub(crate) fn evict(
    effects: &mut Effects,
    evicting: Vec<Session>,
    change: &Start,
) -> Result<Vec<(Session, Place)>, PortError> {
    let (reason, at) = (EndReason::Evicted, change.session.draft().created_at);
    let evicting = evicting.into_iter();
    evicting
        .map(|session| effects.end(session, reason, at, &change.actor, None))
        .collect()
}

/// What came of a start.
pub(crate) fn tell(
    session: Session,
    evicted: Vec<(Session, Place)>,
    closed: &Closed,
) -> StartOutcome {
    let fresh = if evicted.is_empty() {
        None
    } else {
        closed.fresh()
    };
    StartOutcome::Started {
        session: Box::new(session),
        evicted: evicted
            .into_iter()
            .map(|one| closed.numbered(one))
            .collect(),
        fresh,
    }
}

/// What came of the same request before, if it was made before.
async fn repeated<C: ConnectionTrait>(
    db: &C,
    idempotency: &Idempotency,
) -> Result<Option<StartOutcome>, PortError> {
    const WHAT: &str = "look up an idempotency key";
    let key = (idempotency.caller.0, idempotency.key.clone());
    let Some(row) = Entity::find_by_id(key)
        .one(db)
        .await
        .map_err(failed(WHAT))?
    else {
        return Ok(None);
    };
    if row.digest != idempotency.digest {
        return Ok(Some(StartOutcome::KeyReused));
    }
    let found = sessions::find_anywhere(db, SessionId(row.session_id)).await?;
    let found =
        found.ok_or_else(|| PortError::fatal(WHAT, "the session is gone, but not its key"))?;
    Ok(Some(StartOutcome::Replayed(Box::new(found))))
}

/// The sessions that must give way to one more, locked; `None` where it must not start.
async fn make_room<C: ConnectionTrait>(
    db: &C,
    draft: &Session,
    limit: Option<SessionLimit>,
) -> Result<Option<Vec<Session>>, PortError> {
    let Some(SessionLimit { max, eviction }) = limit else {
        return Ok(Some(Vec::new()));
    };
    let (tenant, user) = (&draft.tenant, &draft.user);
    let active = sessions::count_active(db, tenant, user).await?;
    // More than one where the limit was lowered.
    let excess = (active + 1).saturating_sub(u64::from(max.max(1)));
    if excess == 0 {
        return Ok(Some(Vec::new()));
    }
    let by_use = match eviction {
        Eviction::Reject => return Ok(None),
        Eviction::Oldest => false,
        Eviction::LeastRecent => true,
    };
    Ok(Some(
        sessions::lock_least(db, tenant, user, by_use, excess).await?,
    ))
}

/// The row of a request that was carried out.
pub(crate) fn remembered(
    idempotency: &Idempotency,
    session: SessionId,
    at: Timestamp,
) -> ActiveModel {
    ActiveModel {
        caller: Set(idempotency.caller.0),
        idempotency_key: Set(idempotency.key.clone()),
        digest: Set(idempotency.digest.to_vec()),
        session_id: Set(session.0),
        created_at: Set(at.0),
    }
}
