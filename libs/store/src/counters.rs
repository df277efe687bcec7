//! The counters of sessions: moved in the transaction of the change they count.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use session_domain::ids::TenantId;
use session_domain::port::PortError;
use session_domain::session::{EndReason, Session};
use session_domain::stats::{Counter, SessionStats};

use crate::dialect::failed;
use crate::entity::counter::{ActiveModel, Column, Entity};
use crate::rows::damaged;
use crate::sessions::NAMED_MAX;

/// Each counter is kept in so many parts, so that changes that run side by side seldom wait for
/// each other's row.
const PARTS: u8 = 16;

/// What a change moves, by tenant, counter, label and part: ordered, so that whoever locks several
/// rows locks them in one order.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<(String, &'static str, String, u8), i64>);

impl Tally {
    /// Counts a start.
    pub(crate) fn start(&mut self, session: &Session) {
        for counter in Counter::of_start(session) {
            self.add(session, &counter, 1);
        }
    }

    /// Counts an end.
    pub(crate) fn end(&mut self, session: &Session, reason: EndReason) {
        for (counter, by) in Counter::of_end(session, reason) {
            self.add(session, &counter, by);
        }
    }

    fn add(&mut self, session: &Session, counter: &Counter, by: i64) {
        let (kind, label) = counter.names();
        // By the session, so that each part by itself counts its own sessions.
        let part = session.id.0.as_bytes()[15] % PARTS;
        let tenant = session.tenant.as_str().to_owned();
        let key = (tenant, kind, label.to_owned(), part);
        *self.0.entry(key).or_default() += by;
    }
}

/// Moves the counters. Other transactions may have to be waited for, so not under the log's head.
pub(crate) async fn apply<C: ConnectionTrait>(db: &C, tally: Tally) -> Result<(), PortError> {
    let rows: Vec<ActiveModel> = tally
        .0
        .into_iter()
        .filter(|(_, by)| *by != 0)
        .map(|((tenant, counter, label, part), by)| ActiveModel {
            tenant: Set(tenant),
            counter: Set(counter.to_owned()),
            label: Set(label),
            part: Set(part.into()),
            count: Set(by),
        })
        .collect();
    let moved = Expr::cust("session_counters.count + excluded.count");
    let columns = [Column::Tenant, Column::Counter, Column::Label, Column::Part];
    let moving = OnConflict::columns(columns)
        .value(Column::Count, moved)
        .to_owned();
    for rows in rows.chunks(NAMED_MAX) {
        let insert = Entity::insert_many(rows.to_vec()).on_conflict(moving.clone());
        let done = insert.exec_without_returning(db).await;
        done.map_err(failed("move counters"))?;
    }
    Ok(())
}

/// What the counters say, of one tenant or of all.
pub(crate) async fn read<C: ConnectionTrait>(
    db: &C,
    tenant: Option<&TenantId>,
) -> Result<SessionStats, PortError> {
    let select = match tenant {
        Some(tenant) => Entity::find().filter(Column::Tenant.eq(tenant.as_str())),
        None => Entity::find(),
    };
    let rows = select.all(db).await.map_err(failed("read counters"))?;
    let mut stats = SessionStats::default();
    for row in rows {
        let tenant: TenantId = row.tenant.parse().map_err(damaged)?;
        let counter = Counter::from_names(&row.counter, &row.label);
        let counter = counter.ok_or_else(|| damaged("an unknown counter"))?;
        stats.add(&tenant, counter, row.count);
    }
    Ok(stats)
}
