use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use session_domain::ids::{SessionId, TenantId};
use session_domain::port::{
    Extend, ExtendOutcome, Judged, Outcome, PortError, Seen, Touch, TouchOutcome, Update,
    UpdateOutcome,
};
use session_domain::session::{Moved, Session};

use super::effects::Applied;
use crate::closing::Closing;
use crate::{devices, events, moves, sessions};

/// Moves a session's end later.
pub(super) async fn extend<C: ConnectionTrait>(
    db: &C,
    change: Extend,
) -> Result<ExtendOutcome, PortError> {
    judge(db, &change.tenant, change.id, |session| {
        session.extend(change.by, change.at, change.actor)
    })
    .await
}

/// Changes what is remembered of a session.
pub(super) async fn update<C: ConnectionTrait>(
    db: &C,
    change: Update,
) -> Result<UpdateOutcome, PortError> {
    judge(db, &change.tenant, change.id, |session| {
        session.update(change.update, change.at, change.actor)
    })
    .await
}

/// Lets the domain's rule decide on the locked session, and writes what it decided.
async fn judge<C: ConnectionTrait, R>(
    db: &C,
    tenant: &TenantId,
    id: SessionId,
    rule: impl FnOnce(Session) -> Result<Moved, R>,
) -> Result<Judged<R>, PortError> {
    let Some(found) = sessions::lock(db, tenant, id).await? else {
        return Ok(None);
    };
    Ok(Some(match rule(found.session) {
        Err(refusal) => Err(refusal),
        Ok(Moved { session, event }) => {
            moves::store_adjustment(db, &session).await?;
            events::append(db, &[event]).await?;
            Ok(Box::new(session))
        }
    }))
}

/// Takes in that sessions were used.
pub(super) async fn touch<C: ConnectionTrait>(db: &C, change: Touch) -> Result<Applied, PortError> {
    // A session may be named twice, and statements name it once.
    let mut latest: HashMap<(TenantId, SessionId), Seen> = HashMap::new();
    for seen in change.seen {
        latest
            .entry((seen.tenant.clone(), seen.id))
            .and_modify(|use_| use_.and(seen.first, seen.last, seen.gap))
            .or_insert(seen);
    }
    let mut ids: Vec<SessionId> = latest.keys().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut moved = Vec::new();
    for ids in ids.chunks(sessions::NAMED_MAX) {
        let locked = sessions::lock_active(db, ids).await?;
        let used = locked.iter().filter_map(|session| {
            let seen = latest.get(&(session.tenant.clone(), session.id))?;
            session.seen(seen.first, seen.last, seen.gap)
        });
        moved.extend(used);
    }
    moves::store_use(db, &moved).await?;
    devices::store_use(db, &moved).await?;
    let outcome = TouchOutcome {
        moved: moved.len() as u64,
    };
    let mut closing = Closing::default();
    closing.hear(change.heard);
    Ok(Applied {
        closing,
        tell: Box::new(move |_| Outcome::Touch(outcome)),
    })
}
