use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectionTrait, EntityTrait};
use session_domain::ids::SessionId;
use session_domain::port::{Eviction, Idempotency, PortError, SessionLimit, Start, StartOutcome};
use session_domain::session::{EndReason, Session};
use session_domain::time::Timestamp;

use super::end::end_all;
use crate::counters::Tally;
use crate::dialect::{self, failed, next_serial};
use crate::entity::idempotency_key::{ActiveModel, Entity};
use crate::{devices, events, sessions};

/// Starts a session, making room for it first.
pub(super) async fn start<C: ConnectionTrait>(
    db: &C,
    change: Start,
) -> Result<StartOutcome, PortError> {
    let draft = change.session.draft();
    // Before the limit: a repeated request that filled the last place is answered, not refused.
    if let Some(idempotency) = &change.idempotency {
        dialect::lock_request(db, idempotency.caller.0, &idempotency.key).await?;
    }
    if let Some(idempotency) = &change.idempotency
        && let Some(outcome) = repeated(db, idempotency).await?
    {
        return Ok(outcome);
    }
    let Some(evicting) = make_room(db, draft, change.limit).await? else {
        return Ok(StartOutcome::LimitReached);
    };
    let evicting = evicting
        .into_iter()
        .map(|session| (session, EndReason::Evicted))
        .collect();
    devices::sign_in(db, draft).await?;
    let mut tally = Tally::default();
    tally.start(draft);
    let at = draft.created_at;
    let (evicted, fresh) = end_all(db, evicting, at, &change.actor, None, tally).await?;
    let started = change.session.start(next_serial(db).await?, change.actor);
    sessions::insert(db, &started.session, &change.session).await?;
    events::append(db, &[started.event]).await?;
    if let Some(idempotency) = change.idempotency {
        remember(
            db,
            idempotency,
            started.session.id,
            started.session.created_at,
        )
        .await?;
    }
    Ok(StartOutcome::Started {
        session: Box::new(started.session),
        evicted,
        fresh,
    })
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
    dialect::lock_user(db, tenant, user).await?;
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

async fn remember<C: ConnectionTrait>(
    db: &C,
    idempotency: Idempotency,
    session: SessionId,
    at: Timestamp,
) -> Result<(), PortError> {
    let row = ActiveModel {
        caller: Set(idempotency.caller.0),
        idempotency_key: Set(idempotency.key),
        digest: Set(idempotency.digest.to_vec()),
        session_id: Set(session.0),
        created_at: Set(at.0),
    };
    let done = Entity::insert(row).exec_without_returning(db).await;
    done.map_err(failed("remember an idempotency key"))?;
    Ok(())
}
