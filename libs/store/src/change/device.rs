use sea_orm::ConnectionTrait;
use session_domain::event::{Actor, Event, Fact};
use session_domain::ids::{TenantId, UserId};
use session_domain::port::{
    ChangeDevice, DeviceOutcome, End, ForgetDevice, ForgetOutcome, Outcome, PortError, Targets, Why,
};
use session_domain::session::EndReason;
use session_domain::time::Timestamp;

use super::effects::{Applied, Effects};
use super::end::{end_locked, lock_targets};
use crate::closing::Closed;
use crate::{devices, events};

/// Renames a user's device, or changes whether they trust it.
pub(super) async fn change<C: ConnectionTrait>(
    db: &C,
    change: ChangeDevice,
) -> Result<DeviceOutcome, PortError> {
    let found = devices::lock(db, &change.tenant, &change.user, change.id).await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let device = found.updated(change.update);
    devices::store_update(db, &device).await?;
    let fact = Fact::DeviceChanged { device: change.id };
    let event = event(change.at, change.tenant, change.user, change.actor, fact);
    events::append(db, &[event]).await?;
    Ok(Some(Box::new(device)))
}

/// Ends the sessions on a user's device, and with the last of them forgets it. One that is signed
/// in on at the same moment may be forgotten with a session on it; the next sign-in makes it known
/// again.
pub(super) async fn forget<C: ConnectionTrait>(
    db: &C,
    change: ForgetDevice,
) -> Result<Applied, PortError> {
    let ending = End {
        targets: Targets::Device {
            tenant: change.tenant.clone(),
            user: change.user.clone(),
            device: change.id,
        },
        why: Why::Because {
            reason: EndReason::RevokedByUser,
            note: None,
        },
        at: change.at,
        actor: change.actor.clone(),
        batch: change.batch.max(1),
    };
    let found = lock_targets(db, &ending, ending.batch).await?;
    let known = devices::lock(db, &change.tenant, &change.user, change.id).await?;
    let known = known.is_some();
    let mut effects = Effects::default();
    if known && found.len() < ending.batch as usize {
        devices::delete(db, change.id).await?;
        let fact = Fact::DeviceForgotten { device: change.id };
        let event = event(change.at, change.tenant, change.user, change.actor, fact);
        effects.events.push(event);
    }
    let ending = end_locked(db, &mut effects, &ending, found).await?;
    let tell = move |closed: &Closed| {
        let end = ending.tell(closed);
        Outcome::ForgetDevice(ForgetOutcome { known, end })
    };
    effects.settle(db, tell).await
}

fn event(at: Timestamp, tenant: TenantId, user: UserId, actor: Actor, fact: Fact) -> Event {
    Event {
        at,
        tenant: Some(tenant),
        session: None,
        user: Some(user),
        actor,
        fact,
    }
}
