//! The statements about revocations of many sessions: what was asked, and how far it has come.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use session_domain::bulk::Revocation;
use session_domain::ids::{RevocationId, Seq, Serial};
use session_domain::port::{MatchPosition, PortError};
use session_domain::session::EndReason;
use session_domain::time::Timestamp;

use crate::dialect::failed;
use crate::entity::revocation::{ActiveModel, Column, Entity, Model};
use crate::entity::{signed, unsigned};
use crate::floors;
use crate::rows::{damaged, from_json, to_json};

/// A revocation, and where among the sessions in use it goes on.
#[derive(Debug)]
pub(crate) struct Underway {
    pub(crate) revocation: Revocation,
    /// All up to there have been looked at; none yet where there is nothing.
    pub(crate) seen: Option<MatchPosition>,
}

/// The revocation of that id.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    id: RevocationId,
) -> Result<Option<Revocation>, PortError> {
    let row = Entity::find_by_id(id.0).one(db).await;
    row.map_err(failed("find a revocation"))?
        .map(revocation)
        .transpose()
}

/// The unfinished revocations.
pub(crate) async fn unfinished<C: ConnectionTrait>(db: &C) -> Result<Vec<Revocation>, PortError> {
    let rows = Entity::find().filter(is_unfinished()).all(db).await;
    let rows = rows.map_err(failed("read unfinished revocations"))?;
    rows.into_iter().map(revocation).collect()
}

/// The revocation of that id, if it isn't finished; without an id, the one that began first among
/// those nobody else holds. Locked until the transaction ends: one step of it at a time, whoever
/// makes it, and nobody need be told that a process that made them is no more.
pub(crate) async fn lock_unfinished<C: ConnectionTrait>(
    db: &C,
    id: Option<RevocationId>,
) -> Result<Option<Underway>, PortError> {
    let unfinished = Entity::find().filter(is_unfinished());
    let select = match id {
        Some(id) => unfinished.filter(Column::Id.eq(id.0)).lock_exclusive(),
        None => unfinished
            .order_by_asc(Column::Through)
            .limit(1)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked),
    };
    let row = select.one(db).await;
    let row = row.map_err(failed("lock a revocation"))?;
    row.map(|row| {
        // No serial is 0.
        let seen = (row.seen_serial > 0).then(|| {
            Ok::<_, PortError>(MatchPosition {
                tenant: row.seen_tenant.parse().map_err(damaged)?,
                serial: Serial(unsigned(row.seen_serial)?),
            })
        });
        Ok(Underway {
            seen: seen.transpose()?,
            revocation: revocation(row)?,
        })
    })
    .transpose()
}

/// Writes down a revocation that begins.
pub(crate) async fn insert<C: ConnectionTrait>(
    db: &C,
    begun: &Revocation,
) -> Result<(), PortError> {
    let count = |count: u64| signed(count);
    let row = ActiveModel {
        id: Set(begun.id.0),
        tenant: Set(floors::name(begun.filter.tenant.as_ref())),
        is_floor: Set(begun.filter.is_floor().into()),
        filter: Set(to_json(&begun.filter)?),
        through: Set(signed(begun.through.0)?),
        reason: Set(begun.reason.as_str().to_owned()),
        note: Set(begun.note.clone()),
        actor: Set(to_json(&begun.actor)?),
        created_at: Set(begun.created_at.0),
        expected: Set(begun.expected.map(count).transpose()?),
        ended: Set(count(begun.ended)?),
        finished_at: Set(begun.finished_at.map(|at| at.0)),
        seq: Set(signed(begun.seq.0)?),
        seen_tenant: Set(String::new()),
        seen_serial: Set(0),
    };
    let done = Entity::insert(row).exec_without_returning(db).await;
    done.map_err(failed("begin a revocation"))?;
    Ok(())
}

/// Writes that all up to `seen` have been looked at and `ended` more of them have ended.
pub(crate) async fn advance<C: ConnectionTrait>(
    db: &C,
    id: RevocationId,
    seen: &MatchPosition,
    ended: u64,
) -> Result<(), PortError> {
    let moved = Entity::update_many()
        .col_expr(Column::Ended, Expr::col(Column::Ended).add(signed(ended)?))
        .col_expr(Column::SeenTenant, Expr::value(seen.tenant.as_str()))
        .col_expr(Column::SeenSerial, Expr::value(signed(seen.serial.0)?))
        .filter(Column::Id.eq(id.0))
        .exec(db)
        .await;
    moved.map_err(failed("carry on a revocation"))?;
    Ok(())
}

/// Writes that nothing is left of it, and the number whose fence makes that true for everybody.
pub(crate) async fn finish<C: ConnectionTrait>(
    db: &C,
    id: RevocationId,
    at: Timestamp,
    seq: Seq,
) -> Result<(), PortError> {
    let finished = Entity::update_many()
        .col_expr(Column::FinishedAt, Expr::value(at.0))
        .col_expr(Column::Seq, Expr::value(signed(seq.0)?))
        .filter(Column::Id.eq(id.0))
        .exec(db)
        .await;
    finished.map_err(failed("finish a revocation"))?;
    Ok(())
}

/// Spelled out, so that the partial index is used.
fn is_unfinished() -> Expr {
    Expr::cust("finished_at IS NULL")
}

fn revocation(row: Model) -> Result<Revocation, PortError> {
    let reason = EndReason::from_name(&row.reason);
    Ok(Revocation {
        id: RevocationId(row.id),
        filter: from_json(&row.filter)?,
        through: Serial(unsigned(row.through)?),
        reason: reason.ok_or_else(|| damaged("an unknown reason"))?,
        note: row.note,
        actor: from_json(&row.actor)?,
        created_at: Timestamp(row.created_at),
        expected: row.expected.map(unsigned).transpose()?,
        ended: unsigned(row.ended)?,
        finished_at: row.finished_at.map(Timestamp),
        seq: Seq(unsigned(row.seq)?),
    })
}
