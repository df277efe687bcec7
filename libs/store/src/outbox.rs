//! The audit trail as an outbox: who tells others what happened, and how far they have come. Told
//! events are known by their numbers alone, so telling one writes nothing beside it.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use session_domain::event::Event;
use session_domain::ids::{EventId, InstanceId, SessionId};
use session_domain::port::{PortError, StoredEvent};
use session_domain::time::Timestamp;

use crate::dialect::failed;
use crate::entity::relay::{Column, Entity};
use crate::entity::{event, signed, unsigned};
use crate::rows::{damaged, from_json};

/// The one row of `event_relay`.
const RELAY_ID: i64 = 1;

/// Takes or keeps the lead; `now` is the store's own time, read before.
pub(crate) async fn lead<C: ConnectionTrait>(
    db: &C,
    holder: InstanceId,
    lease: Duration,
    now: Timestamp,
) -> Result<bool, PortError> {
    let free = Condition::any()
        .add(Column::Holder.is_null())
        .add(Column::Holder.eq(holder.0))
        .add(Column::ExpiresAt.lte(now.0));
    let update = Entity::update_many()
        .col_expr(Column::Holder, Expr::value(holder.0))
        .col_expr(Column::ExpiresAt, Expr::value(now.plus(lease).0))
        .filter(Column::Id.eq(RELAY_ID))
        .filter(free);
    let done = update.exec(db).await;
    Ok(done.map_err(failed("lead the relay"))?.rows_affected > 0)
}

/// Gives the lead up.
pub(crate) async fn resign<C: ConnectionTrait>(
    db: &C,
    holder: InstanceId,
) -> Result<(), PortError> {
    let update = Entity::update_many()
        .col_expr(Column::Holder, Expr::value(None::<uuid::Uuid>))
        .filter(Column::Id.eq(RELAY_ID))
        .filter(Column::Holder.eq(holder.0));
    let done = update.exec(db).await;
    done.map_err(failed("give up the relay's lead"))?;
    Ok(())
}

/// Marks events as told, where `holder` leads. Also where its time is over: nobody else has led
/// since, or it wouldn't be there.
pub(crate) async fn relayed<C: ConnectionTrait>(
    db: &C,
    holder: InstanceId,
    through: EventId,
) -> Result<bool, PortError> {
    const WHAT: &str = "mark events as relayed";
    let through = signed(through.0)?;
    let marked =
        Expr::case(Column::Through.lt(through), through).finally(Expr::col(Column::Through));
    let update = Entity::update_many()
        .col_expr(Column::Through, marked.into())
        .filter(Column::Id.eq(RELAY_ID))
        .filter(Column::Holder.eq(holder.0));
    let done = update.exec(db).await;
    Ok(done.map_err(failed(WHAT))?.rows_affected > 0)
}

/// The last event marked as told.
pub(crate) async fn marked<C: ConnectionTrait>(db: &C) -> Result<i64, PortError> {
    let through = Entity::find_by_id(RELAY_ID)
        .select_only()
        .column(Column::Through)
        .into_tuple::<i64>();
    let row = through.one(db).await;
    row.map_err(failed("read what was relayed"))?
        .ok_or_else(|| damaged("nothing is said of the relay"))
}

/// The newest event there is; 0 where there is none.
pub(crate) async fn newest<C: ConnectionTrait>(db: &C) -> Result<i64, PortError> {
    let newest = event::Entity::find()
        .select_only()
        .column(event::Column::Id)
        .order_by_desc(event::Column::Id)
        .limit(1);
    let newest = newest.into_tuple::<i64>().one(db).await;
    Ok(newest
        .map_err(failed("find the newest event"))?
        .unwrap_or(0))
}

/// When the first event happened that isn't marked.
pub(crate) async fn oldest<C: ConnectionTrait>(db: &C) -> Result<Option<Timestamp>, PortError> {
    let after = marked(db).await?;
    let oldest = event::Entity::find()
        .select_only()
        .column(event::Column::At)
        .filter(event::Column::Id.gt(after))
        .order_by_asc(event::Column::Id)
        .limit(1);
    let oldest = oldest.into_tuple::<i64>().one(db).await;
    Ok(oldest
        .map_err(failed("find the oldest event"))?
        .map(Timestamp))
}

/// The events after `after` up to `through`, in their order.
pub(crate) async fn read<C: ConnectionTrait>(
    db: &C,
    after: i64,
    through: i64,
    limit: u32,
) -> Result<Vec<StoredEvent>, PortError> {
    let rows = event::Entity::find()
        .filter(event::Column::Id.gt(after))
        .filter(event::Column::Id.lte(through))
        .order_by_asc(event::Column::Id)
        .limit(u64::from(limit));
    let rows = rows.all(db).await.map_err(failed("read events"))?;
    rows.into_iter().map(stored).collect()
}

fn stored(row: event::Model) -> Result<StoredEvent, PortError> {
    let tenant = row.tenant.map(|tenant| tenant.parse().map_err(damaged));
    let user = row.user_id.map(|user| user.parse().map_err(damaged));
    Ok(StoredEvent {
        id: EventId(unsigned(row.id)?),
        event: Event {
            at: Timestamp(row.at),
            tenant: tenant.transpose()?,
            session: row.session_id.map(SessionId),
            user: user.transpose()?,
            actor: from_json(&row.actor)?,
            fact: from_json(&row.fact)?,
        },
    })
}
