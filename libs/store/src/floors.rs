//! Floors in the rows' stead. A floor ends its sessions at once, and their rows say so only later:
//! until then, whoever reads a session compares floors. That is done here and nowhere else: what is
//! read of a session that a floor has ended is read as ended, by that floor.
//!
//! Floors that are in the rows need no comparing: [`crate::dialect::lock_floors`] keeps any serial
//! below a floor from appearing after it.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter,
    QueryResult, QuerySelect, Select,
};
use session_domain::ids::{Seq, Serial, TenantId};
use session_domain::port::PortError;
use session_domain::session::{EndReason, Ending, Seeded, Status};
use session_domain::time::Timestamp;

use crate::dialect::failed;
use crate::entity::{floor, revocation, session, signed, unsigned};
use crate::rows::{damaged, seeded};

/// The floors that aren't in the rows yet and that end the row of `sessions` a statement looks at.
/// Spelled out rather than built, so that the engines see that the partial index's condition holds:
/// on every day without a floor they look into an index without entries.
const OVER: &str = "FROM bulk_revocations AS floor WHERE floor.finished_at IS NULL \
    AND floor.is_floor = 1 AND floor.tenant IN ('', sessions.tenant) \
    AND floor.through >= sessions.serial";

/// Holds for sessions that no floor has ended.
pub(crate) fn none_over() -> Expr {
    Expr::cust(none_over_words())
}

/// The same in words, for a statement that spells out all.
pub(crate) fn none_over_words() -> String {
    format!("NOT EXISTS (SELECT 1 {OVER})")
}

/// Holds for sessions that no floor before log entry `seq` has ended.
pub(crate) fn none_before(seq: Seq) -> Result<Expr, PortError> {
    let seq = signed(seq.0)?;
    Ok(Expr::cust(format!(
        "NOT EXISTS (SELECT 1 {OVER} AND floor.seq < {seq})"
    )))
}

/// Holds for sessions that a floor has ended.
pub(crate) fn any_over() -> Expr {
    Expr::cust(format!("EXISTS (SELECT 1 {OVER})"))
}

/// Whether any floor is raised over a tenant that isn't in its rows yet.
pub(crate) async fn is_any<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
) -> Result<bool, PortError> {
    let over = revocation::Column::Tenant.is_in(["", tenant.as_str()]);
    let found = revocation::Entity::find()
        .select_only()
        .column(revocation::Column::Seq)
        .filter(Expr::cust("finished_at IS NULL AND is_floor = 1"))
        .filter(over)
        .limit(1)
        .into_tuple::<i64>()
        .one(db)
        .await;
    Ok(found.map_err(failed("look for floors"))?.is_some())
}

/// A session's row, and the number of the first floor that has ended it but isn't in it yet.
#[derive(Debug)]
pub(crate) struct Covered {
    row: session::Model,
    floor: Option<i64>,
}

impl FromQueryResult for Covered {
    fn from_query_result(result: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        Ok(Self {
            row: session::Model::from_query_result(result, prefix)?,
            floor: result.try_get(prefix, "floor")?,
        })
    }
}

/// The sessions that `select` finds, under the floors of the same moment.
pub(crate) async fn read<C: ConnectionTrait>(
    db: &C,
    select: Select<session::Entity>,
    what: &'static str,
) -> Result<Vec<Seeded>, PortError> {
    let floor = Expr::cust(format!("(SELECT MIN(floor.seq) {OVER})"));
    let found = select
        .expr_as(floor, "floor")
        .into_model::<Covered>()
        .all(db)
        .await
        .map_err(failed(what))?;
    judged(db, found).await
}

async fn judged<C: ConnectionTrait>(db: &C, found: Vec<Covered>) -> Result<Vec<Seeded>, PortError> {
    let mut endings = HashMap::new();
    let mut sessions = Vec::with_capacity(found.len());
    for Covered { row, floor } in found {
        let mut one = seeded(row)?;
        if let (Status::Active, Some(seq)) = (one.session.status, floor) {
            let ending = if let Some(known) = endings.get(&seq) {
                *known
            } else {
                let read = ending(db, seq).await?;
                *endings.entry(seq).or_insert(read)
            };
            one.session.status = Status::Ended(ending);
        }
        sessions.push(one);
    }
    Ok(sessions)
}

/// How the sessions below the floor of log entry `seq` ended.
async fn ending<C: ConnectionTrait>(db: &C, seq: i64) -> Result<Ending, PortError> {
    const WHAT: &str = "read a floor";
    let row = revocation::Entity::find()
        .filter(revocation::Column::Seq.eq(seq))
        .filter(revocation::Column::IsFloor.eq(1))
        .one(db)
        .await
        .map_err(failed(WHAT))?;
    let row = row.ok_or_else(|| PortError::retry(WHAT, "it is gone"))?;
    let reason = EndReason::from_name(&row.reason).ok_or_else(|| damaged("an unknown reason"))?;
    Ok(Ending {
        at: Timestamp(row.created_at),
        reason,
        seq: Seq(unsigned(seq)?),
    })
}

/// Raises the floor of a tenant, or everybody's. It never sinks.
pub(crate) async fn raise<C: ConnectionTrait>(
    db: &C,
    tenant: Option<&TenantId>,
    through: Serial,
) -> Result<(), PortError> {
    let row = floor::ActiveModel {
        tenant: Set(name(tenant)),
        through: Set(signed(through.0)?),
    };
    // Serials are drawn under the floors' lock, so the new one is the higher.
    let raising = OnConflict::column(floor::Column::Tenant)
        .update_column(floor::Column::Through)
        .to_owned();
    let done = floor::Entity::insert(row)
        .on_conflict(raising)
        .exec_without_returning(db)
        .await;
    done.map_err(failed("raise a floor"))?;
    Ok(())
}

/// What a tenant is called where everybody has a name, too.
pub(crate) fn name(tenant: Option<&TenantId>) -> String {
    tenant.map_or_else(String::new, |tenant| tenant.as_str().to_owned())
}
