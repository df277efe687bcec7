use sea_orm::ConnectionTrait;
use session_domain::event::{Actor, Event, Fact};
use session_domain::port::{AddSigningKey, KeyOutcome, PortError};
use session_domain::revocation::LogEntry;

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
    let (at, actor) = (key.created_at, Actor::System);
    events::append(
        db,
        &[Event {
            at,
            tenant: None,
            session: None,
            user: None,
            actor,
            fact,
        }],
    )
    .await?;
    let before = log::reserve(db, 1).await?;
    let fresh = log::append(db, before, vec![LogEntry::KeyAdded(key.public)]).await?;
    Ok(KeyOutcome {
        changed: true,
        through: fresh.last(),
        fresh: Some(fresh),
    })
}
