use sea_orm::ConnectionTrait;
use session_domain::event::{Actor, Event, Fact};
use session_domain::port::{AddServiceKey, PortError, ServiceKeyOutcome};

use crate::{events, keys};

/// Makes a service key known.
pub(super) async fn add<C: ConnectionTrait>(
    db: &C,
    change: AddServiceKey,
) -> Result<ServiceKeyOutcome, PortError> {
    let key = change.key;
    if keys::service_key(db, &key.hash).await?.is_some() {
        return Ok(ServiceKeyOutcome { added: false });
    }
    keys::insert_service_key(db, &key).await?;
    let fact = Fact::ServiceKeyAdded { key: key.id };
    let (at, tenant, actor) = (key.created_at, key.tenant, Actor::System);
    events::append(
        db,
        &[Event {
            at,
            tenant,
            session: None,
            user: None,
            actor,
            fact,
        }],
    )
    .await?;
    Ok(ServiceKeyOutcome { added: true })
}
