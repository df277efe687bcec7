//! What is remembered of good tokens: that their signature and form are good, and what follows from
//! that alone. Whether a session has ended, a token's time is over or it is for this audience is
//! looked at each time.

use ahash::RandomState;
use session_domain::port::Entropy;
use session_domain::revocation::KeySet;
use session_domain::token::TokenKind;
use tinyufo::TinyUfo;

use crate::identity::{Identity, Known};

/// What an identity takes besides its token and what is made of the token's texts, about: the
/// structures around them.
const OVERHEAD_BYTES: usize = 1_024;

/// How many times a token's bytes are kept, about: as they came, as claims, as header fields and as
/// an encoded answer.
const COPIES: usize = 3;

/// What the cache counts in, so that the longest token's weight fits its numbers.
const UNIT_BYTES: usize = 64;

/// Good tokens, by their bytes.
///
/// Reading takes no lock and no memory. What is put in pushes out what is used less (S3-FIFO with a
/// `TinyLFU` before it), so tokens that come once, however many, don't push out those that come
/// again; and only those that were let through are put in, so bad ones push nothing out at all.
pub struct Remembered {
    tokens: TinyUfo<u64, Identity>,
    /// Keyed by chance, so that nobody can tell which tokens meet.
    hasher: RandomState,
}

impl Remembered {
    /// Room for about `bytes_max` bytes.
    pub fn new(bytes_max: usize, entropy: &dyn Entropy) -> Self {
        let seed = || {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes);
            u64::from_ne_bytes(bytes)
        };
        let hasher = RandomState::with_seeds(seed(), seed(), seed(), seed());
        // Where all are short; it grows.
        let expected = bytes_max / (2 * OVERHEAD_BYTES) / 8;
        Self {
            tokens: TinyUfo::new(bytes_max / UNIT_BYTES, expected.max(64)),
            hasher,
        }
    }

    /// What is known of a token, if it was verified by a key that still is in service.
    ///
    /// The hash only says where to look; all bytes are compared. That takes longer the more of them
    /// agree, which tells nobody anything: what is compared with has the same hash under a key that
    /// nobody knows, so to get one byte further than the first is to have the token.
    pub fn get(&self, token: &str, kind: TokenKind, keys: &KeySet) -> Option<Identity> {
        let identity = self.tokens.get(&self.hash(token, kind))?;
        let known = identity.known();
        let same = known.claims.kind == kind && *known.token == *token;
        (same && keys.serves(&known.key)).then_some(identity)
    }

    /// Remembers a token that was let through.
    pub fn put(&self, identity: &Identity) {
        let Known { token, claims, .. } = identity.known();
        let bytes = OVERHEAD_BYTES + COPIES * token.len();
        // Tokens are far shorter than 4 MiB.
        let weight = u16::try_from(bytes / UNIT_BYTES).unwrap_or(u16::MAX);
        let key = self.hash(token, claims.kind);
        // What was pushed out is verified anew when it comes again.
        drop(self.tokens.put(key, identity.clone(), weight));
    }

    fn hash(&self, token: &str, kind: TokenKind) -> u64 {
        self.hasher.hash_one((token, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_domain::contract::sample;
    use session_domain::revocation::PublicKey;
    use session_domain::token::Claims;
    use session_domain::usecase::touch::Activity;
    use std::sync::Arc;

    struct Constant;

    impl Entropy for Constant {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn key(x: &str) -> PublicKey {
        PublicKey {
            kid: "k".parse().unwrap(),
            alg: "EdDSA".into(),
            jwk: [("x".to_owned(), x.to_owned())].into(),
        }
    }

    fn identity(token: &str, kind: TokenKind, key: &Arc<PublicKey>) -> Identity {
        let claims = Claims {
            kind,
            ..crate::identity::tests::claims()
        };
        let used = Activity::default().keep(&claims.tenant, sample::session_id(1));
        Identity::new(token, claims, Arc::clone(key), used)
    }

    fn remembered(bytes_max: usize) -> Remembered {
        Remembered::new(bytes_max, &Constant)
    }

    #[test]
    fn a_token_is_found_by_all_of_its_bytes_and_its_kind() {
        let keys = KeySet::from_iter([key("a")]);
        let key = keys.get("k").unwrap();
        let remembered = remembered(1 << 20);
        remembered.put(&identity("a.b.c", TokenKind::Access, key));
        let found = |token, kind| remembered.get(token, kind, &keys).is_some();
        assert!(found("a.b.c", TokenKind::Access));
        assert!(!found("a.b.c", TokenKind::Session));
        for other in ["a.b.d", "a.b.", "a.b.cc", "A.b.c", ""] {
            assert!(!found(other, TokenKind::Access), "{other}");
        }
    }

    /// However unlikely: two tokens that meet are told apart.
    #[test]
    fn another_token_in_its_place_is_not_taken_for_it() {
        let keys = KeySet::from_iter([key("a")]);
        let key = keys.get("k").unwrap();
        let remembered = remembered(1 << 20);
        let place = remembered.hash("a.b.c", TokenKind::Access);
        for (token, kind) in [("x.y.z", TokenKind::Access), ("a.b.c", TokenKind::Session)] {
            let other = identity(token, kind, key);
            remembered.tokens.put(place, other, 1);
            assert!(remembered.get("a.b.c", TokenKind::Access, &keys).is_none());
        }
    }

    #[test]
    fn a_key_that_was_withdrawn_or_replaced_is_not_honoured() {
        let mut keys = KeySet::from_iter([key("a")]);
        let remembered = remembered(1 << 20);
        remembered.put(&identity(
            "a.b.c",
            TokenKind::Access,
            keys.get("k").unwrap(),
        ));
        let found = |keys: &KeySet| remembered.get("a.b.c", TokenKind::Access, keys).is_some();
        // The same key, read anew with a snapshot.
        keys.add(key("a"));
        assert!(found(&keys));
        keys.add(key("b"));
        assert!(!found(&keys), "another key of that name");
        keys.retire(&"k".parse().unwrap());
        assert!(!found(&keys));
        keys.add(key("a"));
        assert!(found(&keys));
    }

    #[test]
    fn what_comes_once_pushes_out_nothing_that_comes_again_and_room_is_bounded() {
        let keys = KeySet::from_iter([key("a")]);
        let key = keys.get("k").unwrap();
        let bytes_max = 1 << 20;
        let remembered = remembered(bytes_max);
        let known = |token: &str| remembered.get(token, TokenKind::Access, &keys).is_some();
        let put = |token: &str| remembered.put(&identity(token, TokenKind::Access, key));
        let often: Vec<_> = (0..100).map(|number| format!("often.{number}.x")).collect();
        for token in &often {
            put(token);
        }
        for _ in 0..3 {
            assert!(often.iter().all(|token| known(token)));
        }
        let once: Vec<_> = (0..20_000)
            .map(|number| format!("once.{number}.x"))
            .collect();
        for (number, token) in once.iter().enumerate() {
            put(token);
            // They come again now and then, as they do.
            known(&often[number % often.len()]);
        }
        let kept = often.iter().filter(|token| known(token)).count();
        assert_eq!(kept, often.len());
        let left = once.iter().filter(|token| known(token)).count();
        assert!(left <= bytes_max / OVERHEAD_BYTES, "{left}");
    }
}
