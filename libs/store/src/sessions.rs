//! The queries and statements about sessions.

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use session_domain::ids::{DeviceId, SessionId, TenantId, UserId};
use session_domain::port::{ListQuery, PortError};
use session_domain::session::{Ending, NewSession, Seeded, Session, ShownStatus, Status};
use session_domain::time::Timestamp;

use crate::dialect::failed;
use crate::entity::session::{Column, Entity, Model};
use crate::entity::signed;
use crate::rows::{row, seeded, shown_name};

/// At most this many rows are named in one statement, far below the engines' limits on parameters.
pub(crate) const NAMED_MAX: usize = 500;

/// The session of that id in that tenant.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    id: SessionId,
) -> Result<Option<Session>, PortError> {
    let row = Entity::find_by_id(id.0)
        .filter(Column::Tenant.eq(tenant.as_str()))
        .one(db)
        .await;
    Ok(row
        .map_err(failed("find a session"))?
        .map(seeded)
        .transpose()?
        .map(|found| found.session))
}

/// The session of that id, whosever it is.
pub(crate) async fn find_anywhere<C: ConnectionTrait>(
    db: &C,
    id: SessionId,
) -> Result<Option<Seeded>, PortError> {
    let row = Entity::find_by_id(id.0)
        .one(db)
        .await
        .map_err(failed("find a session"))?;
    row.map(seeded).transpose()
}

/// The session of that id in that tenant, locked until the transaction ends.
pub(crate) async fn lock<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    id: SessionId,
) -> Result<Option<Seeded>, PortError> {
    let query = Entity::find_by_id(id.0)
        .filter(Column::Tenant.eq(tenant.as_str()))
        .lock_exclusive();
    query
        .one(db)
        .await
        .map_err(failed("lock a session"))?
        .map(seeded)
        .transpose()
}

/// One page of a user's sessions, newest first.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    query: &ListQuery,
) -> Result<Vec<Session>, PortError> {
    // Each status is one range of the index, so those of all are a page of each, merged.
    let statuses = match query.status {
        Some(status) => vec![status],
        None => ShownStatus::ALL.to_vec(),
    };
    let mut rows = Vec::new();
    for status in statuses {
        rows.extend(page(db, query, status).await?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
    rows.truncate(query.limit as usize);
    sessions(rows)
}

async fn page<C: ConnectionTrait>(
    db: &C,
    query: &ListQuery,
    status: ShownStatus,
) -> Result<Vec<Model>, PortError> {
    let mut select = Entity::find().filter(of_user(&query.tenant, &query.user, status));
    if let Some(after) = query.after {
        // One comparison of pairs, so that the index is entered at this place and read from there.
        let place = Expr::tuple([Expr::col(Column::CreatedAt), Expr::col(Column::Id)]);
        select = select.filter(place.lt(Expr::tuple([
            Expr::value(after.created_at.0),
            Expr::value(after.id.0),
        ])));
    }
    let rows = select
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(u64::from(query.limit));
    rows.all(db).await.map_err(failed("list sessions"))
}

/// How many active sessions a user has.
pub(crate) async fn count_active<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    user: &UserId,
) -> Result<u64, PortError> {
    let active = Entity::find().filter(of_user(tenant, user, ShownStatus::Active));
    active
        .count(db)
        .await
        .map_err(failed("count a user's sessions"))
}

/// A user's active sessions that gave the least reason to be kept, locked: by start, or by use.
/// First chosen and then locked in the order of ids, like everywhere.
pub(crate) async fn lock_least<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    user: &UserId,
    by_use: bool,
    limit: u64,
) -> Result<Vec<Session>, PortError> {
    let by = if by_use {
        Column::LastSeenAt
    } else {
        Column::CreatedAt
    };
    let chosen = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(of_user(tenant, user, ShownStatus::Active))
        .order_by_asc(by)
        .order_by_asc(Column::Id)
        .limit(limit);
    let chosen = chosen.into_tuple::<uuid::Uuid>().all(db).await;
    let mut chosen = chosen.map_err(failed("choose the sessions to evict"))?;
    chosen.sort_unstable();
    let mut locked = Vec::with_capacity(chosen.len());
    for ids in chosen.chunks(NAMED_MAX) {
        let ids: Vec<_> = ids.iter().copied().map(SessionId).collect();
        // One that has ended meanwhile made its room by itself.
        locked.extend(lock_active(db, &ids).await?);
    }
    Ok(locked)
}

/// Which of a user's sessions: where nothing is said, all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Among {
    /// All but this one.
    pub(crate) except: Option<SessionId>,
    /// Those due by then.
    pub(crate) due: Option<Timestamp>,
    /// Those on this device.
    pub(crate) device: Option<DeviceId>,
}

/// A user's active sessions among those named, locked, in the order of ids.
pub(crate) async fn lock_of_user<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    user: &UserId,
    among: Among,
    limit: u32,
) -> Result<Vec<Session>, PortError> {
    let condition = of_user(tenant, user, ShownStatus::Active)
        .add_option(among.except.map(|kept| Column::Id.ne(kept.0)))
        .add_option(among.due.map(|due| Column::DueAt.lte(due.0)))
        .add_option(among.device.map(|device| Column::DeviceId.eq(device.0)));
    let select = Entity::find()
        .filter(condition)
        .order_by_asc(Column::Id)
        .limit(u64::from(limit));
    sessions(
        select
            .lock_exclusive()
            .all(db)
            .await
            .map_err(failed("lock a user's sessions"))?,
    )
}

/// The active sessions that are overdue at `at`, the longest overdue first chosen, in the order of
/// ids. Were they chosen by id, a backlog would be sorted anew for each batch, and what the grants
/// report as reaped would not advance before the last one.
///
/// Those that other transactions hold are passed over, so that reapers share the work instead of
/// queueing for the same sessions. Only where nothing else is left are the others waited for:
/// whoever is told that nothing is overdue must not have been told so because somebody else hadn't
/// finished yet.
pub(crate) async fn lock_overdue<C: ConnectionTrait>(
    db: &C,
    at: Timestamp,
    heard: Timestamp,
    limit: u32,
) -> Result<Vec<Session>, PortError> {
    // As Session::overdue_as_heard: the idle ones only as far as has been heard.
    let for_certain = Condition::any()
        .add(Column::DueAt.lte(heard.0))
        .add(Column::ExpiresAt.lte(at.0))
        .add(Column::AbsoluteExpiresAt.lte(at.0));
    let overdue = Condition::all()
        .add(is_active())
        .add(Column::DueAt.lte(at.0))
        .add(for_certain);
    let chosen = Entity::find()
        .filter(overdue.clone())
        .order_by_asc(Column::DueAt)
        .limit(u64::from(limit));
    let free = chosen
        .clone()
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let rows = free.all(db).await;
    let mut rows = rows.map_err(failed("find overdue sessions"))?;
    if rows.is_empty() {
        let held = chosen.select_only().column(Column::Id);
        let held = held.into_tuple::<uuid::Uuid>().all(db).await;
        let held = held.map_err(failed("find overdue sessions"))?;
        for ids in held.chunks(NAMED_MAX) {
            // Looked at again under the lock: in between, one may have been ended or used.
            let condition = overdue.clone().add(Column::Id.is_in(ids.iter().copied()));
            let select = Entity::find()
                .filter(condition)
                .order_by_asc(Column::Id)
                .lock_exclusive();
            let waited = select.all(db).await;
            rows.extend(waited.map_err(failed("lock overdue sessions"))?);
        }
    }
    rows.sort_by_key(|row| row.id);
    sessions(rows)
}

/// The active sessions among `ids`, locked in their order; whosever they are.
pub(crate) async fn lock_active<C: ConnectionTrait>(
    db: &C,
    ids: &[SessionId],
) -> Result<Vec<Session>, PortError> {
    let select = Entity::find()
        .filter(Column::Id.is_in(ids.iter().map(|id| id.0)))
        .filter(is_active())
        .order_by_asc(Column::Id)
        .lock_exclusive();
    let rows = select.all(db).await;
    sessions(rows.map_err(failed("lock sessions in use"))?)
}

/// The earliest due time of an active session.
pub(crate) async fn first_due<C: ConnectionTrait>(db: &C) -> Result<Option<Timestamp>, PortError> {
    let due = Entity::find()
        .select_only()
        .column(Column::DueAt)
        .filter(is_active())
        .order_by_asc(Column::DueAt)
        .limit(1);
    let due = due
        .into_tuple::<i64>()
        .one(db)
        .await
        .map_err(failed("find the first due session"))?;
    Ok(due.map(Timestamp))
}

/// Writes a session that wasn't there.
pub(crate) async fn insert<C: ConnectionTrait>(
    db: &C,
    session: &Session,
    new: &NewSession,
) -> Result<(), PortError> {
    let row = row(session, new.seed())?;
    Entity::insert(row)
        .exec_without_returning(db)
        .await
        .map_err(failed("insert a session"))?;
    Ok(())
}

/// Writes that sessions ended. All of them the same way: `ending` is theirs.
pub(crate) async fn store_ending<C: ConnectionTrait>(
    db: &C,
    ids: &[SessionId],
    ending: Ending,
) -> Result<(), PortError> {
    const WHAT: &str = "end sessions";
    let status = shown_name(Status::Ended(ending).shown());
    for ids in ids.chunks(NAMED_MAX) {
        let done = Entity::update_many()
            .col_expr(Column::Status, Expr::value(status))
            .col_expr(Column::EndedAt, Expr::value(ending.at.0))
            .col_expr(Column::EndReason, Expr::value(ending.reason.as_str()))
            .col_expr(Column::EndedSeq, Expr::value(signed(ending.seq.0)?))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(
                Column::Id
                    .is_in(ids.iter().map(|id| id.0))
                    .and(Column::EndedSeq.is_null()),
            )
            .exec(db)
            .await
            .map_err(failed(WHAT))?;
        expect_rows(WHAT, done.rows_affected, ids.len() as u64)?;
    }
    Ok(())
}

/// The rows were locked when the change was decided, so they are still what they were then; where
/// that fails, nothing of the change may stay.
pub(crate) fn expect_rows(what: &'static str, found: u64, expected: u64) -> Result<(), PortError> {
    if found == expected {
        Ok(())
    } else {
        Err(PortError::retry(
            what,
            "a row changed under the transaction's lock",
        ))
    }
}

/// Spelled out rather than bound: an engine uses a partial index only where it sees, when it plans
/// the statement, that the index's condition holds.
fn is_active() -> Expr {
    Expr::cust("status = 'active'")
}

fn of_user(tenant: &TenantId, user: &UserId, status: ShownStatus) -> Condition {
    Condition::all()
        .add(Column::Tenant.eq(tenant.as_str()))
        .add(Column::UserId.eq(user.as_str()))
        .add(Column::Status.eq(shown_name(status)))
}

fn sessions(rows: Vec<Model>) -> Result<Vec<Session>, PortError> {
    rows.into_iter()
        .map(|row| Ok(seeded(row)?.session))
        .collect()
}
