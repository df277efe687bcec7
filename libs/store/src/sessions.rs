//! The queries and statements about sessions.

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use session_domain::bulk::Filter;
use session_domain::ids::{DeviceId, Seq, Serial, SessionId, TenantId, UserId};
use session_domain::port::{ListQuery, MatchPage, MatchPosition, MatchQuery, PortError};
use session_domain::session::{Ending, NewSession, Seeded, Session, ShownStatus, Status};
use session_domain::time::Timestamp;

use crate::dialect::{among, failed};
use crate::entity::session::{Column, Entity, Model};
use crate::entity::signed;
use crate::floors;
use crate::rows::{row, seeded, shown_name};

/// At most this many rows are named in one statement, far below the engines' limits on parameters.
pub(crate) const NAMED_MAX: usize = 500;

/// The session of that id in that tenant.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    id: SessionId,
) -> Result<Option<Session>, PortError> {
    let select = Entity::find_by_id(id.0).filter(Column::Tenant.eq(tenant.as_str()));
    let found = floors::read(db, select, "find a session").await?;
    Ok(found.into_iter().next().map(|found| found.session))
}

/// The session of that id, whosever it is.
pub(crate) async fn find_anywhere<C: ConnectionTrait>(
    db: &C,
    id: SessionId,
) -> Result<Option<Seeded>, PortError> {
    let found = floors::read(db, Entity::find_by_id(id.0), "find a session").await?;
    Ok(found.into_iter().next())
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
    let found = floors::read(db, query, "lock a session").await?;
    Ok(found.into_iter().next())
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
    let mut found = Vec::new();
    for status in statuses {
        found.extend(page(db, query, status).await?);
    }
    // One that ended while this looked is found as it was and as it is; the latter counts.
    found.sort_by_key(|one| {
        let place = (one.created_at, one.id);
        std::cmp::Reverse((place, one.status != Status::Active, one.version))
    });
    found.dedup_by_key(|one| one.id);
    found.truncate(query.limit as usize);
    Ok(found)
}

async fn page<C: ConnectionTrait>(
    db: &C,
    query: &ListQuery,
    status: ShownStatus,
) -> Result<Vec<Session>, PortError> {
    let of = |status| of_user(&query.tenant, &query.user, status);
    let mut found = Vec::new();
    match status {
        ShownStatus::Active => {
            found.extend(range(db, query, of(status).add(floors::none_over())).await?);
        }
        ShownStatus::Expired => found.extend(range(db, query, of(status)).await?),
        ShownStatus::Revoked => {
            // Those that a floor has ended are among the active until their rows say so. Looked for
            // first: one that is written down meanwhile is found twice rather than not at all.
            if floors::is_any(db, &query.tenant).await? {
                let floored = of(ShownStatus::Active).add(floors::any_over());
                found.extend(range(db, query, floored).await?);
            }
            found.extend(range(db, query, of(status)).await?);
        }
    }
    Ok(found)
}

async fn range<C: ConnectionTrait>(
    db: &C,
    query: &ListQuery,
    condition: Condition,
) -> Result<Vec<Session>, PortError> {
    let mut select = Entity::find().filter(condition);
    if let Some(after) = query.after {
        // One comparison of pairs, so that the index is entered at this place and read from there.
        let place = Expr::tuple([Expr::col(Column::CreatedAt), Expr::col(Column::Id)]);
        select = select.filter(place.lt(Expr::tuple([
            Expr::value(after.created_at.0),
            Expr::value(after.id.0),
        ])));
    }
    let select = select
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(u64::from(query.limit));
    let found = floors::read(db, select, "list sessions").await?;
    Ok(found.into_iter().map(|found| found.session).collect())
}

/// How many active sessions a user has.
pub(crate) async fn count_active<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    user: &UserId,
) -> Result<u64, PortError> {
    let active = of_user(tenant, user, ShownStatus::Active).add(floors::none_over());
    let active = Entity::find().filter(active);
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
        .filter(of_user(tenant, user, ShownStatus::Active).add(floors::none_over()))
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
        .add(floors::none_over())
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
        .add(for_certain)
        // What a floor has ended has ended, for that reason.
        .add(floors::none_over());
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
    let select = active_among(db, ids).filter(floors::none_over());
    let rows = select.lock_exclusive().all(db).await;
    sessions(rows.map_err(failed("lock sessions in use"))?)
}

/// The sessions among `ids` whose rows say that they are active, locked in their order: for who
/// writes down that they ended, by a floor or otherwise.
pub(crate) async fn lock_rows<C: ConnectionTrait>(
    db: &C,
    ids: &[SessionId],
) -> Result<Vec<Session>, PortError> {
    let mut locked = Vec::with_capacity(ids.len());
    for ids in ids.chunks(NAMED_MAX) {
        let rows = active_among(db, ids).lock_exclusive().all(db).await;
        locked.extend(sessions(rows.map_err(failed("lock sessions in use"))?)?);
    }
    Ok(locked)
}

fn active_among<C: ConnectionTrait>(db: &C, ids: &[SessionId]) -> Select<Entity> {
    Entity::find()
        .filter(among(db, Column::Id, ids.iter().map(|id| id.0)))
        .filter(is_active())
        .order_by_asc(Column::Id)
}

/// The sessions of these ids, whosever and however they are; locked in their order where `lock`.
pub(crate) async fn find_all<C: ConnectionTrait>(
    db: &C,
    ids: &[SessionId],
    lock: bool,
) -> Result<Vec<Seeded>, PortError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Entity::find()
        .filter(among(db, Column::Id, ids.iter().map(|id| id.0)))
        .order_by_asc(Column::Id);
    if lock {
        select = select.lock_exclusive();
    }
    floors::read(db, select, "find sessions").await
}

/// A stretch of the way along all sessions in use.
pub(crate) struct Walk<'a> {
    /// Which are wanted. Only some of it narrows the way; whoever walks compares.
    pub(crate) filter: &'a Filter,
    /// Those with a serial up to this one.
    pub(crate) through: Option<Serial>,
    /// For this floor, whose own sessions are wanted; for none, those that no floor has ended.
    pub(crate) floor: Option<Seq>,
    /// Where it goes on.
    pub(crate) after: Option<&'a MatchPosition>,
    /// At most this many.
    pub(crate) limit: u32,
}

/// The next sessions whose rows say that they are active, tenant by tenant in the order of their
/// serials.
pub(crate) async fn walk<C: ConnectionTrait>(
    db: &C,
    walk: Walk<'_>,
) -> Result<Vec<Session>, PortError> {
    let Filter {
        tenant,
        user,
        created_before,
        // Within JSON, which nothing queries.
        network: _,
        country: _,
        kind: _,
        method: _,
    } = walk.filter;
    let through = walk.through.map(|serial| signed(serial.0)).transpose()?;
    let mut condition = Condition::all()
        .add(is_active())
        .add(match walk.floor {
            Some(seq) => floors::none_before(seq)?,
            None => floors::none_over(),
        })
        .add_option(tenant.as_ref().map(|is| Column::Tenant.eq(is.as_str())))
        .add_option(user.as_ref().map(|is| Column::UserId.eq(is.as_str())))
        .add_option(created_before.map(|then| Column::CreatedAt.lt(then.0)))
        .add_option(through.map(|through| Column::Serial.lte(through)));
    if let Some(after) = walk.after {
        let place = Expr::tuple([Expr::col(Column::Tenant), Expr::col(Column::Serial)]);
        condition = condition.add(place.gt(Expr::tuple([
            Expr::value(after.tenant.as_str()),
            Expr::value(signed(after.serial.0)?),
        ])));
    }
    let select = Entity::find()
        .filter(condition)
        .order_by_asc(Column::Tenant)
        .order_by_asc(Column::Serial)
        .limit(u64::from(walk.limit));
    let rows = select.all(db).await;
    sessions(rows.map_err(failed("walk along sessions"))?)
}

/// One page of the sessions in use that a filter means, and where the next begins.
pub(crate) async fn matching<C: ConnectionTrait>(
    db: &C,
    query: &MatchQuery,
) -> Result<MatchPage, PortError> {
    let limit = Ord::max(query.limit, 1);
    let stretch = Walk {
        filter: &query.filter,
        through: None,
        floor: None,
        after: query.after.as_ref(),
        limit,
    };
    let mut sessions = walk(db, stretch).await?;
    let is_full = sessions.len() >= limit as usize;
    let last = sessions.last().map(MatchPosition::of);
    sessions.retain(|session| query.filter.matches(session));
    Ok(MatchPage {
        sessions,
        next: last.filter(|_| is_full),
    })
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
pub(crate) fn is_active() -> Expr {
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
