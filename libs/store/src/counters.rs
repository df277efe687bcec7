//! The counters of sessions: moved in the transaction of the change they count. A floor counts all
//! it ends at once, beside them; as its rows are written, the counts pass over from there.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, Statement};
use session_domain::ids::TenantId;
use session_domain::port::PortError;
use session_domain::session::{EndReason, Session};
use session_domain::stats::{Counter, SessionStats};

use crate::dialect::{self, failed};
use crate::entity::counter::{ActiveModel, Column, Entity};
use crate::entity::floored_counter;
use crate::rows::damaged;
use crate::sessions::NAMED_MAX;

/// Each counter is kept in so many parts, so that changes that run side by side seldom wait for
/// each other's row. (As many again are those of changes that are carried out in groups: a batch of
/// ends that moves a part for long must not keep logins waiting.)
pub(crate) const PARTS: u8 = 16;

/// Adds to what is there, for a statement that spells out all.
pub(crate) const MOVED: &str = "ON CONFLICT (tenant, counter, label, part) \
    DO UPDATE SET count = session_counters.count + excluded.count";

/// Counts by tenant, counter, label and part: ordered, so that whoever locks several rows locks
/// them in one order.
type Moves = BTreeMap<(String, &'static str, String, u8), i64>;

/// What a change moves.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    moves: Moves,
    /// Of `floored_counters`.
    floored: Moves,
}

impl Tally {
    /// Counts a start.
    pub(crate) fn start(&mut self, session: &Session) {
        for counter in Counter::of_start(session) {
            add(&mut self.moves, session, &counter, 1);
        }
    }

    /// Counts an end.
    pub(crate) fn end(&mut self, session: &Session, reason: EndReason) {
        for (counter, by) in Counter::of_end(session, reason) {
            add(&mut self.moves, session, &counter, by);
        }
    }

    /// The rows of what a group moves, all in one part: who carries out groups keeps to a part of
    /// its own, and waits for nobody who keeps to another.
    pub(crate) fn rows_of_group(self, part: u8) -> Vec<ActiveModel> {
        rows(in_part(self.moves, PARTS + part % PARTS))
    }

    /// Counts that an end which was counted with its floor is now counted by itself.
    pub(crate) fn materialise(&mut self, session: &Session, reason: EndReason) {
        for (counter, by) in Counter::of_end(session, reason) {
            add(&mut self.floored, session, &counter, -by);
        }
    }
}

/// The same, all in one part.
fn in_part(moves: Moves, part: u8) -> Moves {
    let mut together = Moves::new();
    for ((tenant, counter, label, _), by) in moves {
        *together.entry((tenant, counter, label, part)).or_default() += by;
    }
    together
}

fn add(moves: &mut Moves, session: &Session, counter: &Counter, by: i64) {
    let (kind, label) = counter.names();
    let part = session.id.0.as_bytes()[15] % PARTS;
    let tenant = session.tenant.as_str().to_owned();
    let key = (tenant, kind, label.to_owned(), part);
    *moves.entry(key).or_default() += by;
}

/// Moves the counters. Other transactions may have to be waited for, so not under the log's head.
pub(crate) async fn apply<C: ConnectionTrait>(db: &C, tally: Tally) -> Result<(), PortError> {
    const WHAT: &str = "move counters";
    // One part is enough for one transaction: that of its first session.
    let part = tally.moves.keys().next().map_or(0, |(.., part)| *part);
    let moves = in_part(tally.moves, part);
    for rows in rows(moves).chunks(NAMED_MAX) {
        let insert = Entity::insert_many(rows.to_vec()).on_conflict(moving("session_counters"));
        let done = insert.exec_without_returning(db).await;
        done.map_err(failed(WHAT))?;
    }
    let floored = rows(tally.floored).into_iter();
    let floored: Vec<_> = floored.map(floored_counter::ActiveModel::from).collect();
    for rows in floored.chunks(NAMED_MAX) {
        let insert = floored_counter::Entity::insert_many(rows.to_vec())
            .on_conflict(moving("floored_counters"));
        let done = insert.exec_without_returning(db).await;
        done.map_err(failed(WHAT))?;
    }
    Ok(())
}

fn rows(moves: Moves) -> Vec<ActiveModel> {
    moves
        .into_iter()
        .filter(|(_, by)| *by != 0)
        .map(|((tenant, counter, label, part), by)| ActiveModel {
            tenant: Set(tenant),
            counter: Set(counter.to_owned()),
            label: Set(label),
            part: Set(part.into()),
            count: Set(by),
        })
        .collect()
}

impl From<ActiveModel> for floored_counter::ActiveModel {
    fn from(row: ActiveModel) -> Self {
        Self {
            tenant: row.tenant,
            counter: row.counter,
            label: row.label,
            part: row.part,
            count: row.count,
        }
    }
}

/// Adds to what is there.
fn moving(table: &str) -> OnConflict {
    let moved = Expr::cust(format!("{table}.count + excluded.count"));
    let columns = [Column::Tenant, Column::Counter, Column::Label, Column::Part];
    OnConflict::columns(columns)
        .value(Column::Count, moved)
        .to_owned()
}

/// What the counters say, of one tenant or of all: those that move with the rows, and what floors
/// have ended that the rows don't say yet, of the same moment.
pub(crate) async fn read<C: ConnectionTrait>(
    db: &C,
    tenant: Option<&TenantId>,
) -> Result<SessionStats, PortError> {
    const WHAT: &str = "read counters";
    let sql = format!(
        "SELECT tenant, counter, label, CAST(SUM(count) AS BIGINT) AS count {}
         GROUP BY tenant, counter, label",
        dialect::every_counter(tenant.is_some())
    );
    let rows = db.query_all_raw(of(db, sql, tenant)).await;
    let mut stats = SessionStats::default();
    for row in rows.map_err(failed(WHAT))? {
        let text = |column: &str| row.try_get::<String>("", column).map_err(failed(WHAT));
        let tenant: TenantId = text("tenant")?.parse().map_err(damaged)?;
        let counter = Counter::from_names(&text("counter")?, &text("label")?);
        let counter = counter.ok_or_else(|| damaged("an unknown counter"))?;
        let count = row.try_get("", "count").map_err(failed(WHAT))?;
        stats.add(&tenant, counter, count);
    }
    Ok(stats)
}

/// Counts every session in use, of a tenant or of all, as ended for `reason`, and says how many
/// there were. Nobody draws a serial meanwhile. An end that another transaction hasn't committed
/// yet is counted here and there, until [`settle_floors`].
pub(crate) async fn floor<C: ConnectionTrait>(
    db: &C,
    tenant: Option<&TenantId>,
    reason: EndReason,
) -> Result<u64, PortError> {
    const WHAT: &str = "count below a floor";
    let every = dialect::every_counter(tenant.is_some());
    let active = format!(
        "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) AS n {every} AND counter = 'active'"
    );
    let found = db.query_one_raw(of(db, active, tenant)).await;
    let found = found.map_err(failed(WHAT))?;
    let found = found.ok_or_else(|| PortError::fatal(WHAT, "no answer"))?;
    let count: i64 = found.try_get("", "n").map_err(failed(WHAT))?;
    let floored = dialect::floor_counters(tenant.is_some(), reason.as_str());
    let done = db.execute_raw(of(db, floored, tenant)).await;
    done.map_err(failed(WHAT))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Forgets what floors were counted to have ended in tenants whose rows say all of it by now. What
/// is left there was counted twice: ends that were being written when the floor was raised. Nobody
/// raises one meanwhile.
pub(crate) async fn settle_floors<C: ConnectionTrait>(db: &C) -> Result<(), PortError> {
    let settled = Expr::cust(
        "NOT EXISTS (SELECT 1 FROM bulk_revocations AS floor WHERE floor.finished_at IS NULL \
         AND floor.is_floor = 1 AND floor.tenant IN ('', floored_counters.tenant))",
    );
    let delete = floored_counter::Entity::delete_many().filter(settled);
    let done = delete.exec(db).await;
    done.map_err(failed("settle the counters below floors"))?;
    Ok(())
}

fn of<C: ConnectionTrait>(db: &C, sql: String, tenant: Option<&TenantId>) -> Statement {
    let values: Vec<sea_orm::Value> = tenant.iter().map(|it| it.as_str().into()).collect();
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}
