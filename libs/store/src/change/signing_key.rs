use sea_orm::ConnectionTrait;
use session_domain::event::{Actor, Event, Fact};
use session_domain::port::{AddSigningKey, KeyOutcome, PortError, RetireOutcome, RetireSigningKey};
use session_domain::revocation::LogEntry;
use session_domain::time::Timestamp;

use crate::{events, keys, log};

/// Makes a signing key known.
pub(super) async fn add<C: ConnectionTrait>(
    db: &C,
    change: AddSigningKey,
) -> Result<KeyOutcome, PortError> {
    let key = change.key;
    // The head's lock keeps replicas that start together from each finding none.
    let head = log::lock_head(db).await?;
    let superfluous = keys::is_signing_key(db, key.kid()).await?
        || (change.only_if_none && keys::is_any_in_service(db).await?);
    if superfluous {
        return Ok(KeyOutcome {
            changed: false,
            through: head.seq,
            fresh: None,
        });
    }
    keys::insert_signing_key(db, &key).await?;
    let fact = Fact::KeyAdded {
        kid: key.kid().as_str().to_owned(),
    };
    events::append(db, &[event(key.created_at, change.actor, fact)]).await?;
    let before = log::reserve(db, 1).await?;
    let fresh = log::append(db, before, vec![LogEntry::KeyAdded(key.public)]).await?;
    Ok(KeyOutcome {
        changed: true,
        through: fresh.last(),
        fresh: Some(fresh),
    })
}

/// Withdraws a signing key, unless it is the last in service.
pub(super) async fn retire<C: ConnectionTrait>(
    db: &C,
    change: RetireSigningKey,
) -> Result<RetireOutcome, PortError> {
    // The head's lock keeps two that are withdrawn at once from each taking the other for what
    // stays.
    let head = log::lock_head(db).await?;
    let keys = keys::signing_keys(db).await?;
    let Some(key) = keys.iter().find(|key| *key.kid() == change.kid) else {
        return Ok(RetireOutcome::Unknown);
    };
    if key.retired_at.is_some() {
        let through = head.seq;
        return Ok(RetireOutcome::Retired {
            through,
            fresh: None,
        });
    }
    if !keys
        .iter()
        .any(|other| other.retired_at.is_none() && other.kid() != key.kid())
    {
        return Ok(RetireOutcome::LastOne);
    }
    keys::retire_signing_key(db, key.kid(), change.at).await?;
    let fact = Fact::KeyRetired {
        kid: key.kid().as_str().to_owned(),
    };
    events::append(db, &[event(change.at, change.actor, fact)]).await?;
    let before = log::reserve(db, 1).await?;
    let fresh = log::append(db, before, vec![LogEntry::KeyRetired(change.kid)]).await?;
    Ok(RetireOutcome::Retired {
        through: fresh.last(),
        fresh: Some(fresh),
    })
}

fn event(at: Timestamp, actor: Actor, fact: Fact) -> Event {
    Event {
        at,
        tenant: None,
        session: None,
        user: None,
        actor,
        fact,
    }
}
