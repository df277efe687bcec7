//! The audit trail: one row per change, in the transaction of the change.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ConnectionTrait, EntityTrait};
use session_domain::event::Event;
use session_domain::port::PortError;

use crate::dialect::failed;
use crate::entity::event::{ActiveModel, Entity};
use crate::rows::to_json;
use crate::sessions::NAMED_MAX;

/// Appends events, in their order.
pub(crate) async fn append<C: ConnectionTrait>(db: &C, events: &[Event]) -> Result<(), PortError> {
    for events in events.chunks(NAMED_MAX) {
        let rows = events.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        Entity::insert_many(rows)
            .exec_without_returning(db)
            .await
            .map_err(failed("append events"))?;
    }
    Ok(())
}

/// The row of an event.
pub(crate) fn row(event: &Event) -> Result<ActiveModel, PortError> {
    Ok(ActiveModel {
        id: NotSet,
        at: Set(event.at.0),
        tenant: Set(event
            .tenant
            .as_ref()
            .map(|tenant| tenant.as_str().to_owned())),
        session_id: Set(event.session.map(|session| session.0)),
        user_id: Set(event.user.as_ref().map(|user| user.as_str().to_owned())),
        actor: Set(to_json(&event.actor)?),
        kind: Set(event.fact.type_name().to_owned()),
        severity: Set(event.fact.severity().as_str().to_owned()),
        fact: Set(to_json(&event.fact)?),
    })
}
