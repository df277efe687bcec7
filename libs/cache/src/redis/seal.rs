use session_domain::secret::Secret256;

/// What this deployment's processes know and the server doesn't: a reading that one of them didn't
/// write is told from one that was, and the server isn't told whom a limit is for.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    readings: Secret256,
    names: Secret256,
}

impl Seal {
    pub(super) fn new(key: &Secret256) -> Self {
        let derived = |context| Secret256(blake3::derive_key(context, &key.0));
        Self {
            readings: derived("session-service 2026 redis readings"),
            names: derived("session-service 2026 redis limiter names"),
        }
    }

    /// The proof that `parts` were put together by one of ours, in this order and no other.
    pub(super) fn proof(&self, parts: &[&[u8]]) -> blake3::Hash {
        keyed(&self.readings, parts)
    }

    /// A name that stands for `who` within one budget, of a fixed length.
    pub(super) fn name(&self, budget: &str, who: &str) -> String {
        let hash = keyed(&self.names, &[budget.as_bytes(), who.as_bytes()]);
        hash.to_hex()[..32].to_owned()
    }
}

fn keyed(key: &Secret256, parts: &[&[u8]]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    for part in parts {
        // Lengths first: no two lists of parts are the same bytes.
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}
