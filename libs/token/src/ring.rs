//! Makes signing keys and puts them to use.

use std::sync::Arc;

use session_domain::port::{Entropy, KeyRing, PortError, StoredSigningKey};
use session_domain::time::Timestamp;

use crate::seal::KeyEncryptionKey;
use crate::signing_key::KeyError;
use crate::{ActiveSigner, SigningKey};

/// The [`KeyRing`] of a process that signs: makes keys sealed under its key-encryption key, and
/// opens them for its [`ActiveSigner`].
pub struct SealedKeyRing {
    signer: Arc<ActiveSigner>,
    kek: KeyEncryptionKey,
    entropy: Arc<dyn Entropy>,
}

impl SealedKeyRing {
    /// A ring that seals under `kek` and activates keys in `signer`.
    pub fn new(
        signer: Arc<ActiveSigner>,
        kek: KeyEncryptionKey,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            signer,
            kek,
            entropy,
        }
    }
}

impl KeyRing for SealedKeyRing {
    fn generate(&self, at: Timestamp) -> Result<StoredSigningKey, PortError> {
        let key = SigningKey::generate(self.entropy.as_ref()).map_err(failed)?;
        key.seal(&self.kek, self.entropy.as_ref(), at)
            .map_err(failed)
    }

    fn activate(&self, key: &StoredSigningKey) -> Result<(), PortError> {
        self.signer.activate(key, &self.kek).map_err(failed)
    }
}

/// None of these gets better by trying again.
fn failed(error: KeyError) -> PortError {
    PortError::fatal("signing key", error)
}
