//! Checks signed tokens. The library verifies the bare signature; everything it leaves open
//! (measured: any `typ`, unknown `crit`, missing `aud`, doubled members…) is checked here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use session_domain::ids::KeyId;
use session_domain::port::TokenVerifier;
use session_domain::revocation::{KeySet, PublicKey};
use session_domain::token::{Claims, Refusal, TokenKind};

use crate::compact::Compact;
use crate::verifying_key::BadKey;
use crate::{Algorithm, VerifyingKey, claims};

/// How long a token of each kind may live at most, from `iat` to `exp`. A token that claims more
/// is refused whoever signed it: a key once misused for a moment makes no token for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifeMax {
    /// Of an access token.
    pub access: Duration,
    /// Of a session token: the longest time from a refresh to the session's absolute end.
    pub session: Duration,
}

impl LifeMax {
    const fn of(self, kind: TokenKind) -> Duration {
        match kind {
            TokenKind::Access => self.access,
            TokenKind::Session => self.session,
        }
    }
}

/// The [`TokenVerifier`] that accepts what [`ActiveSigner`](crate::ActiveSigner) issues, spelled
/// as it spells it, and nothing else.
pub struct StrictVerifier {
    issuer: String,
    life_max: LifeMax,
    /// Parsed keys by `kid`, each with what it was parsed from: one whose content differs is
    /// parsed anew, never taken from here. Holds keys in service only, so it can't be filled up.
    parsed: ArcSwap<HashMap<KeyId, Parsed>>,
}

#[derive(Clone)]
struct Parsed {
    from: Arc<PublicKey>,
    key: Arc<VerifyingKey>,
}

impl StrictVerifier {
    /// A verifier of the tokens of `issuer` (compared byte for byte).
    pub fn new(issuer: impl Into<String>, life_max: LifeMax) -> Self {
        Self {
            issuer: issuer.into(),
            life_max,
            parsed: ArcSwap::default(),
        }
    }

    fn parsed(&self, public: &Arc<PublicKey>, keys: &KeySet) -> Result<Arc<VerifyingKey>, BadKey> {
        let known = self.parsed.load();
        if let Some(entry) = known.get(&public.kid)
            && (Arc::ptr_eq(&entry.from, public) || entry.from == *public)
        {
            return Ok(entry.key.clone());
        }
        let key = Arc::new(VerifyingKey::from_public(public)?);
        self.parsed.rcu(|known| {
            let in_service = |kid: &KeyId| keys.get(kid.as_str()).is_some();
            let kept = known.iter().filter(|(kid, _)| in_service(kid));
            let mut next: HashMap<_, _> = kept.map(|(k, v)| (k.clone(), v.clone())).collect();
            let entry = Parsed {
                from: public.clone(),
                key: key.clone(),
            };
            next.insert(public.kid.clone(), entry);
            next
        });
        Ok(key)
    }
}

impl TokenVerifier for StrictVerifier {
    /// In the order of cost, and nothing of the payload is looked at before its signature is
    /// known to be good: an attacker without a key reaches no parser but the header's.
    fn verify(&self, token: &str, kind: TokenKind, keys: &KeySet) -> Result<Claims, Refusal> {
        let compact = Compact::split(token)?;
        let header = compact.header()?;
        let algorithm = Algorithm::from_jose_name(&header.alg).ok_or(Refusal::Header)?;
        let name: KeyId = header.kid.parse().map_err(|_| Refusal::Header)?;
        if header.typ != kind.typ() {
            return Err(Refusal::Kind);
        }
        let public = keys.get(name.as_str()).ok_or(Refusal::UnknownKey)?;
        let key = self.parsed(public, keys).map_err(|_| Refusal::UnknownKey)?;
        if key.algorithm() != algorithm {
            return Err(Refusal::Header);
        }
        if !key.verify(compact.signed.as_bytes(), compact.signature) {
            return Err(Refusal::Signature);
        }
        let life_max = self.life_max.of(kind).as_secs();
        claims::read(&compact.payload()?, kind, name, &self.issuer, life_max)
    }
}

impl fmt::Debug for StrictVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrictVerifier")
            .field("issuer", &self.issuer)
            .field("life_max", &self.life_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;
    use session_domain::port::Entropy;

    struct Byte(u8);

    impl Entropy for Byte {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn key(byte: u8) -> PublicKey {
        SigningKey::generate(&Byte(byte)).unwrap().public().clone()
    }

    fn verifier() -> StrictVerifier {
        let life_max = LifeMax {
            access: Duration::from_mins(15),
            session: Duration::MAX,
        };
        StrictVerifier::new("https://s.example", life_max)
    }

    #[test]
    fn only_keys_in_service_are_remembered() {
        let verifier = verifier();
        for byte in 0..50 {
            let keys = KeySet::from_iter([key(byte)]);
            let public = keys.iter().next().unwrap();
            verifier.parsed(public, &keys).unwrap();
            assert_eq!(verifier.parsed.load().len(), 1);
        }
    }

    #[test]
    fn a_key_whose_content_changed_is_not_taken_from_memory() {
        let verifier = verifier();
        let keys = KeySet::from_iter([key(1)]);
        let genuine = keys.iter().next().unwrap().clone();
        verifier.parsed(&genuine, &keys).unwrap();
        let mut swapped = key(2);
        swapped.kid = genuine.kid.clone();
        let swapped = verifier.parsed(&Arc::new(swapped), &keys);
        assert_eq!(swapped.err(), Some(BadKey::Name));
    }
}
