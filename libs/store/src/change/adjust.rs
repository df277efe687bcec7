use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use session_domain::ids::{SessionId, TenantId};
use session_domain::port::{
    Extend, ExtendOutcome, Judged, PortError, Seen, Touch, TouchOutcome, Update, UpdateOutcome,
};
use session_domain::session::{Moved, Session};

use crate::{devices, events, leases, moves, sessions};

/// At most this many sessions' use is written by one statement, whose length is their number.
const TOUCHED_MAX: usize = 100;

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
pub(super) async fn touch<C: ConnectionTrait>(
    db: &C,
    change: Touch,
) -> Result<TouchOutcome, PortError> {
    // A session may be named twice, and statements name it once.
    let mut latest: HashMap<(TenantId, SessionId), Seen> = HashMap::new();
    for seen in change.seen {
        latest
            .entry((seen.tenant.clone(), seen.id))
            .and_modify(|use_| use_.and(seen.first, seen.last))
            .or_insert(seen);
    }
    let mut ids: Vec<SessionId> = latest.keys().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut moved = Vec::new();
    for ids in ids.chunks(TOUCHED_MAX) {
        let locked = sessions::lock_active(db, ids).await?;
        let used: Vec<Session> = locked
            .iter()
            .filter_map(|session| {
                let seen = latest.get(&(session.tenant.clone(), session.id))?;
                session.seen(seen.first, seen.last)
            })
            .collect();
        moves::store_use(db, &used).await?;
        moved.extend(used);
    }
    for used in moved.chunks(TOUCHED_MAX) {
        devices::store_use(db, used).await?;
    }
    // Last: a grant locks the lease, too, while it holds the log's head, and must not wait for
    // whoever waits for sessions.
    let moved = moved.len() as u64;
    // Locked in the order of everybody: sessions, the log's head (not needed here), leases.
    if let Some(heard) = change.heard {
        leases::hear(db, heard).await?;
    }
    Ok(TouchOutcome { moved })
}
