use sea_orm::ConnectionTrait;
use session_domain::event::{Actor, Event, Fact};
use session_domain::ids::TenantId;
use session_domain::port::{
    AddServiceKey, PortError, RevokeServiceKey, RevokeServiceKeyOutcome, ServiceKeyOutcome,
};
use session_domain::time::Timestamp;

use crate::{events, keys};

/// Makes a service key known.
pub(super) async fn add<C: ConnectionTrait>(
    db: &C,
    change: AddServiceKey,
) -> Result<ServiceKeyOutcome, PortError> {
    let key = change.key;
    if !keys::insert_service_key(db, &key).await? {
        return Ok(ServiceKeyOutcome { added: false });
    }
    let fact = Fact::ServiceKeyAdded { key: key.id };
    let event = event(key.created_at, key.tenant, change.actor, fact);
    events::append(db, &[event]).await?;
    Ok(ServiceKeyOutcome { added: true })
}

/// Withdraws a service key.
pub(super) async fn revoke<C: ConnectionTrait>(
    db: &C,
    change: RevokeServiceKey,
) -> Result<RevokeServiceKeyOutcome, PortError> {
    let Some(found) = keys::lock_service_key(db, change.id).await? else {
        return Ok(RevokeServiceKeyOutcome { known: false });
    };
    if found.revoked_at.is_none() {
        keys::revoke_service_key(db, change.id, change.at).await?;
        let tenant = keys::service_key_of(found)?.tenant;
        let fact = Fact::ServiceKeyRevoked { key: change.id };
        events::append(db, &[event(change.at, tenant, change.actor, fact)]).await?;
    }
    Ok(RevokeServiceKeyOutcome { known: true })
}

fn event(at: Timestamp, tenant: Option<TenantId>, actor: Actor, fact: Fact) -> Event {
    Event {
        at,
        tenant,
        session: None,
        user: None,
        actor,
        fact,
    }
}
