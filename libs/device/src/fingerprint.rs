use std::fmt;

use session_domain::ids::TenantId;
use session_domain::port::Fingerprints;
use session_domain::secret::Secret256;

/// Hashes fingerprints with BLAKE3, keyed. Without the key, guessing a device's fingerprint can't
/// be tried against a stolen database; and one device has unrelated hashes in two tenants.
#[derive(Clone)]
pub struct FingerprintHasher {
    key: Secret256,
}

impl FingerprintHasher {
    /// What its key is derived for, where one secret serves several purposes. Never changes, for
    /// then the key would.
    pub const KEY_CONTEXT: &str = "session-service 2026 device fingerprint";

    /// Hashes with `key`, which must be kept outside the database, and must stay the same: with
    /// another key every device is a new one.
    pub const fn new(key: Secret256) -> Self {
        Self { key }
    }
}

impl Fingerprints for FingerprintHasher {
    fn hash(&self, tenant: &TenantId, fingerprint: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        // The length says where the tenant ends, so that no two pairs are the same bytes. Tenants
        // have at most 63 characters.
        let length = u8::try_from(tenant.as_str().len()).unwrap_or(u8::MAX);
        hasher.update(&[length]);
        hasher.update(tenant.as_str().as_bytes());
        hasher.update(fingerprint.as_bytes());
        hasher.finalize().to_hex().to_string()
    }
}

impl fmt::Debug for FingerprintHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintHasher(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u8, tenant: &str, fingerprint: &str) -> String {
        let tenant = tenant.parse().expect("a tenant");
        FingerprintHasher::new(Secret256([key; 32])).hash(&tenant, fingerprint)
    }

    #[test]
    fn the_same_is_the_same_and_everything_counts() {
        let one = hash(1, "acme", "f");
        assert_eq!(one, hash(1, "acme", "f"));
        assert_eq!(one.len(), 64);
        assert!(one.bytes().all(|b| b.is_ascii_hexdigit()));
        for other in [
            hash(2, "acme", "f"),
            hash(1, "acm", "ef"),
            hash(1, "acmef", ""),
            hash(1, "acme", "g"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn what_was_hashed_before_is_recognised_after_an_upgrade() {
        assert_eq!(
            hash(7, "default", "fp-1"),
            "ed80df540c8cb56e5ebd55dbd159a039ae56a5780835a9993f0237b7914fdd54"
        );
    }

    #[test]
    fn debug_shows_no_key() {
        let hasher = FingerprintHasher::new(Secret256([7; 32]));
        assert_eq!(format!("{hasher:?}"), "FingerprintHasher(…)");
    }
}
