use crate::secret::Secret256;

/// Randomness. MUST be cryptographically secure wherever real credentials are made.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with randomness.
    fn fill(&self, bytes: &mut [u8]);

    /// 256 fresh secret bits.
    fn secret(&self) -> Secret256 {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        Secret256(bytes)
    }

    /// A fresh random number.
    fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
