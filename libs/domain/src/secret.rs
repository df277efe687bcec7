//! Values that must never be printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 256 secret bits. Its `Debug` shows nothing of them, so a stray `{:?}` can't leak it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret256(pub [u8; 32]);

impl fmt::Debug for Secret256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret256(…)")
    }
}

/// A credential in the form its holder presents it. Neither `Debug` nor `Display` shows it; only
/// [`Credential::expose`] does, so every place that hands one out can be found by that name.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl Credential {
    /// Wraps a freshly made credential.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the answer to its holder.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret256([7; 32])), "Secret256(…)");
        assert_eq!(
            format!("{:?}", Credential::new("srt_x".into())),
            "Credential(…)"
        );
    }
}
