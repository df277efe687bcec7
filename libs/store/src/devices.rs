//! The queries and statements about users' devices.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::json;
use session_domain::ids::{DeviceId, TenantId, UserId};
use session_domain::known_device::KnownDevice;
use session_domain::port::{DeviceQuery, PortError};
use session_domain::session::Session;
use session_domain::time::Timestamp;

use crate::dialect::{self, failed};
use crate::entity::device::{ActiveModel, Column, Entity, Model};
use crate::rows::{damaged, from_json, to_json};

/// What a sign-in on a device that was seen before changes, for a statement that spells out all.
pub(crate) const SEEN_AGAIN: &str = "ON CONFLICT (id) DO UPDATE SET agent = excluded.agent, \
    last_seen_at = excluded.last_seen_at, name = COALESCE(devices.name, excluded.name)";

/// Notes that a session was started on its device: a new one, or one seen before.
pub(crate) async fn sign_in<C: ConnectionTrait>(
    db: &C,
    session: &Session,
) -> Result<(), PortError> {
    // What its user said of it stays; a name given at this sign-in is taken where there is none.
    let name = Expr::cust("COALESCE(devices.name, excluded.name)");
    let seen_again = OnConflict::column(Column::Id)
        .update_columns([Column::Agent, Column::LastSeenAt])
        .value(Column::Name, name)
        .to_owned();
    let row = row(&KnownDevice::first_seen(session))?;
    let insert = Entity::insert(row).on_conflict(seen_again);
    let done = insert.exec_without_returning(db).await;
    done.map_err(failed("note a device"))?;
    Ok(())
}

/// Writes that devices were used, with the sessions on them; only forward.
pub(crate) async fn store_use<C: ConnectionTrait>(
    db: &C,
    used: &[Session],
) -> Result<(), PortError> {
    if used.is_empty() {
        return Ok(());
    }
    // The latest use of each: two sessions may be on one device.
    let mut latest: BTreeMap<DeviceId, Timestamp> = BTreeMap::new();
    for session in used {
        let at = latest.entry(session.device_id()).or_insert(Timestamp(0));
        *at = session.last_seen_at.max(*at);
    }
    let row = |(id, at): (DeviceId, Timestamp)| json!({ "id": id.0, "at": at.0 });
    let rows: serde_json::Value = latest.into_iter().map(row).collect();
    let done = db.execute_raw(dialect::use_of_devices(db, &rows)).await;
    done.map_err(failed("write that devices were used"))?;
    Ok(())
}

/// One page of a user's devices, the newest first.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    query: &DeviceQuery,
) -> Result<Vec<KnownDevice>, PortError> {
    let mut select = Entity::find().filter(of_user(&query.tenant, &query.user));
    if let Some(after) = query.after {
        let place = Expr::tuple([Expr::col(Column::FirstSeenAt), Expr::col(Column::Id)]);
        select = select.filter(place.lt(Expr::tuple([
            Expr::value(after.first_seen_at.0),
            Expr::value(after.id.0),
        ])));
    }
    let rows = select
        .order_by_desc(Column::FirstSeenAt)
        .order_by_desc(Column::Id)
        .limit(u64::from(query.limit));
    let rows = rows.all(db).await.map_err(failed("list devices"))?;
    rows.into_iter().map(device).collect()
}

/// A user's device of that id, locked until the transaction ends.
pub(crate) async fn lock<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    user: &UserId,
    id: DeviceId,
) -> Result<Option<KnownDevice>, PortError> {
    let select = Entity::find_by_id(id.0).filter(of_user(tenant, user));
    let row = select.lock_exclusive().one(db).await;
    row.map_err(failed("lock a device"))?
        .map(device)
        .transpose()
}

/// Writes what its user says of a device.
pub(crate) async fn store_update<C: ConnectionTrait>(
    db: &C,
    device: &KnownDevice,
) -> Result<(), PortError> {
    let update = Entity::update_many()
        .col_expr(Column::Name, Expr::value(device.name.clone()))
        .col_expr(Column::Trusted, Expr::value(i64::from(device.trusted)))
        .filter(Column::Id.eq(device.id.0));
    let done = update.exec(db).await;
    done.map_err(failed("change a device"))?;
    Ok(())
}

/// Deletes a device.
pub(crate) async fn delete<C: ConnectionTrait>(db: &C, id: DeviceId) -> Result<(), PortError> {
    let done = Entity::delete_by_id(id.0).exec(db).await;
    done.map_err(failed("forget a device"))?;
    Ok(())
}

fn of_user(tenant: &TenantId, user: &UserId) -> Condition {
    Condition::all()
        .add(Column::Tenant.eq(tenant.as_str()))
        .add(Column::UserId.eq(user.as_str()))
}

/// The row of a device.
pub(crate) fn row(device: &KnownDevice) -> Result<ActiveModel, PortError> {
    Ok(ActiveModel {
        id: Set(device.id.0),
        tenant: Set(device.tenant.as_str().to_owned()),
        user_id: Set(device.user.as_str().to_owned()),
        agent: Set(to_json(&device.agent)?),
        name: Set(device.name.clone()),
        trusted: Set(device.trusted.into()),
        first_seen_at: Set(device.first_seen_at.0),
        last_seen_at: Set(device.last_seen_at.0),
    })
}

fn device(row: Model) -> Result<KnownDevice, PortError> {
    Ok(KnownDevice {
        id: DeviceId(row.id),
        tenant: row.tenant.parse().map_err(damaged)?,
        user: row.user_id.parse().map_err(damaged)?,
        agent: from_json(&row.agent)?,
        name: row.name,
        trusted: row.trusted != 0,
        first_seen_at: Timestamp(row.first_seen_at),
        last_seen_at: Timestamp(row.last_seen_at),
    })
}
