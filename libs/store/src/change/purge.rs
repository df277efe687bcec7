use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use session_domain::ids::DeviceId;
use session_domain::port::{PortError, Purge, PurgeOutcome, Purgeable};
use session_domain::time::Timestamp;
use uuid::Uuid;

use crate::dialect::{self, failed};
use crate::entity::{device, event, idempotency_key, session, superseded};
use crate::sessions::NAMED_MAX;
use crate::{outbox, sessions};

const FIND: &str = "find what to purge";

/// Deletes rows whose time is over. First chosen, passing over what others hold, and then deleted:
/// in one statement, a planner may choose again for every row it deletes.
pub(super) async fn purge<C: ConnectionTrait>(
    db: &C,
    change: Purge,
) -> Result<PurgeOutcome, PortError> {
    let now = dialect::at_most_now(db, change.at).await?;
    let before = now.minus(change.keep);
    let limit = u64::from(change.batch).clamp(1, NAMED_MAX as u64);
    match change.rows {
        Purgeable::Sessions => purge_sessions(db, before, limit).await,
        Purgeable::SupersededSerials => purge_serials(db, before, limit).await,
        Purgeable::IdempotencyKeys => purge_requests(db, before, limit).await,
        Purgeable::Events { relayed_only } => purge_events(db, before, relayed_only, limit).await,
        Purgeable::Devices { after } => purge_devices(db, before, after, limit).await,
    }
}

/// A status list is made from rows, so the row of a session whose token may be within its own time
/// refuses that token to every validator that joins. No token's time is longer than its session's
/// absolute end.
async fn purge_sessions<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    limit: u64,
) -> Result<PurgeOutcome, PortError> {
    use session::{Column, Entity};
    let over = Condition::all()
        .add(Column::EndedSeq.is_not_null())
        .add(Column::AbsoluteExpiresAt.lte(before.0))
        .add(Column::EndedAt.lte(before.0));
    let chosen = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(over)
        .order_by_asc(Column::AbsoluteExpiresAt);
    let named = |ids: Vec<Uuid>| Column::Id.is_in(ids);
    purge_chosen(db, chosen, limit, Purgeable::Sessions, named).await
}

async fn purge_serials<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    limit: u64,
) -> Result<PurgeOutcome, PortError> {
    use superseded::{Column, Entity};
    let chosen = Entity::find()
        .select_only()
        .column(Column::Serial)
        .filter(Column::PurgeAfter.lte(before.0))
        .order_by_asc(Column::PurgeAfter);
    let named = |serials: Vec<i64>| Column::Serial.is_in(serials);
    purge_chosen(db, chosen, limit, Purgeable::SupersededSerials, named).await
}

async fn purge_requests<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    limit: u64,
) -> Result<PurgeOutcome, PortError> {
    use idempotency_key::{Column, Entity};
    let chosen = Entity::find()
        .select_only()
        .columns([Column::Caller, Column::IdempotencyKey])
        .filter(Column::CreatedAt.lte(before.0))
        .order_by_asc(Column::CreatedAt);
    let key = Expr::tuple([Expr::col(Column::Caller), Expr::col(Column::IdempotencyKey)]);
    let named = |keys: Vec<(Uuid, String)>| key.in_tuples(keys);
    purge_chosen(db, chosen, limit, Purgeable::IdempotencyKeys, named).await
}

/// Looks at the oldest numbers only: they are the oldest events but for what clocks differ, and a
/// look for others would read all that is kept.
async fn purge_events<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    relayed_only: bool,
    limit: u64,
) -> Result<PurgeOutcome, PortError> {
    use event::{Column, Entity};
    let mut oldest = Entity::find()
        .select_only()
        .columns([Column::Id, Column::At])
        .order_by_asc(Column::Id);
    if relayed_only {
        let through = outbox::marked(db).await?;
        oldest = oldest.filter(Column::Id.lte(through));
    }
    let oldest: Vec<(i64, i64)> = chosen_rows(db, oldest, limit).await?;
    let over = oldest.iter().filter(|(_, at)| *at <= before.0);
    let ids: Vec<i64> = over.map(|(id, _)| *id).collect();
    let found = ids.len();
    let purged = delete::<C, Entity>(db, found, Column::Id.is_in(ids)).await?;
    let rows = Purgeable::Events { relayed_only };
    Ok(outcome(purged, found, limit, rows))
}

/// An index on their last use would have to be moved with every use. Instead they are looked at
/// in the order of ids, a batch at a time.
async fn purge_devices<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    after: Option<DeviceId>,
    limit: u64,
) -> Result<PurgeOutcome, PortError> {
    use device::{Column, Entity};
    let mut page = Entity::find()
        .select_only()
        .columns([Column::Id, Column::LastSeenAt])
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(after) = after {
        page = page.filter(Column::Id.gt(after.0));
    }
    let page = page.into_tuple::<(Uuid, i64)>().all(db).await;
    let page = page.map_err(failed(FIND))?;
    let full = page.len() as u64 >= limit;
    let last = page.last().map(|(id, _)| DeviceId(*id)).filter(|_| full);
    let unseen = page.iter().filter(|(_, seen)| *seen <= before.0);
    // Looked at again under the lock: somebody may be signing in on one of them.
    let unused = Condition::all()
        .add(Column::Id.is_in(unseen.map(|(id, _)| *id)))
        .add(Column::LastSeenAt.lte(before.0))
        .add(Expr::exists(active_on_it()).not());
    let chosen = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(unused)
        .order_by_asc(Column::Id);
    let ids: Vec<Uuid> = chosen_rows(db, chosen, limit).await?;
    let found = ids.len();
    Ok(PurgeOutcome {
        purged: delete::<C, Entity>(db, found, Column::Id.is_in(ids)).await?,
        next: last.map(|last| Purgeable::Devices { after: Some(last) }),
    })
}

/// The active sessions on the device of the statement around this one.
fn active_on_it() -> sea_orm::sea_query::SelectStatement {
    let of = |column: session::Column| Expr::col((session::Entity, column));
    let device = |column: device::Column| Expr::col((device::Entity, column));
    Query::select()
        .expr(Expr::val(1))
        .from(session::Entity)
        .and_where(of(session::Column::Tenant).eq(device(device::Column::Tenant)))
        .and_where(of(session::Column::UserId).eq(device(device::Column::UserId)))
        .and_where(sessions::is_active())
        .and_where(of(session::Column::DeviceId).eq(device(device::Column::Id)))
        .to_owned()
}

/// Deletes the first rows of a selection of keys, which `named` finds again.
async fn purge_chosen<C: ConnectionTrait, E: EntityTrait, K>(
    db: &C,
    chosen: Select<E>,
    limit: u64,
    rows: Purgeable,
    named: impl FnOnce(Vec<K>) -> Expr,
) -> Result<PurgeOutcome, PortError>
where
    K: sea_orm::TryGetableMany + Send + Sync,
{
    let keys = chosen_rows(db, chosen, limit).await?;
    let found = keys.len();
    let purged = delete::<C, E>(db, found, named(keys)).await?;
    Ok(outcome(purged, found, limit, rows))
}

/// The first rows of a selection, locked; what others hold is passed over, and is there next time.
async fn chosen_rows<C: ConnectionTrait, E: EntityTrait, T>(
    db: &C,
    select: Select<E>,
    limit: u64,
) -> Result<Vec<T>, PortError>
where
    T: sea_orm::TryGetableMany + Send + Sync,
{
    let locked = select
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let rows = locked.into_tuple::<T>().all(db).await;
    rows.map_err(failed(FIND))
}

/// Deletes the rows `named`, which are so many; how many that were.
async fn delete<C: ConnectionTrait, E: EntityTrait>(
    db: &C,
    count: usize,
    named: Expr,
) -> Result<u64, PortError> {
    if count == 0 {
        return Ok(0);
    }
    let deleted = E::delete_many().filter(named).exec(db).await;
    Ok(deleted.map_err(failed("purge"))?.rows_affected)
}

/// There may be more where a full batch was found.
fn outcome(purged: u64, found: usize, limit: u64, rows: Purgeable) -> PurgeOutcome {
    PurgeOutcome {
        purged,
        next: (found as u64 >= limit).then_some(rows),
    }
}
