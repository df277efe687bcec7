//! Sign with the newest key, also where another process made it.

use std::collections::BTreeSet;

use crate::ids::KeyId;
use crate::port::PortError;
use crate::revocation::RevocationState;
use crate::usecase::ready_keys::{ReadyKeysPorts, ready_keys};

/// The keys a signing process has seen in service.
#[derive(Debug, Default)]
pub struct KeptKeys(BTreeSet<KeyId>);

/// Puts the newest key in service to use, where keys have come or gone since the last call.
/// Called every now and then; looks no further than this process's own memory unless they have.
///
/// # Errors
/// Where the store doesn't answer or a key can't be opened; then it is tried again at the next
/// call.
pub async fn keep_keys(
    ports: &ReadyKeysPorts<'_>,
    revocations: &RevocationState,
    kept: &mut KeptKeys,
) -> Result<(), PortError> {
    let known: BTreeSet<KeyId> = revocations
        .public_keys()
        .iter()
        .map(|key| key.kid.clone())
        .collect();
    if known != kept.0 {
        ready_keys(ports).await?;
        kept.0 = known;
    }
    Ok(())
}
