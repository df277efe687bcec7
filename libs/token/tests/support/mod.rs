//! What the tests share: randomness that repeats itself, sample claims, and a forge: tokens signed
//! with a genuine key over any header and payload, made with the library directly so that the
//! code under test has no part in it.
#![allow(dead_code)] // each test file uses some of it

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use session_domain::ids::{KeyId, Serial, SessionId};
use session_domain::port::{Entropy, TokenVerifier};
use session_domain::revocation::{KeySet, PublicKey};
use session_domain::time::Timestamp;
use session_domain::token::{Claims, Refusal, TokenKind};
use session_token::{LifeMax, StrictVerifier, thumbprint};
use uuid::Uuid;

pub const ISSUER: &str = "https://sessions.example";
pub const ISSUED: i64 = 1_700_000_000;

/// SHA-256 of a seed and a counter.
pub struct SeededEntropy {
    seed: u64,
    count: AtomicU64,
}

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            count: AtomicU64::new(0),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.count.fetch_add(1, Ordering::Relaxed);
            let block = [self.seed.to_be_bytes(), count.to_be_bytes()].concat();
            chunk.copy_from_slice(&digest(&SHA256, &block).as_ref()[..chunk.len()]);
        }
    }
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(
        0x0191_d3c4_5b6e_7f80_8123_0000_0000_0000 + number,
    ))
}

pub fn claims(kind: TokenKind) -> Claims {
    Claims {
        kind,
        key: "replaced".parse().unwrap(),
        issuer: ISSUER.to_owned(),
        subject: "user-1".parse().unwrap(),
        audience: vec!["https://api.example".to_owned()],
        expires_at: Timestamp::from_unix_seconds(ISSUED + 600),
        issued_at: Timestamp::from_unix_seconds(ISSUED),
        token_id: "jti-1".to_owned(),
        session: session(1),
        tenant: "acme".parse().unwrap(),
        auth_time: Timestamp::from_unix_seconds(ISSUED - 60),
        acr: Some("aal2".to_owned()),
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        scope: Some("read write".to_owned()),
        client_id: Some("web".to_owned()),
        serial: Serial(5 + (1 << 20)),
    }
}

pub fn verifier() -> StrictVerifier {
    let life_max = LifeMax {
        access: Duration::from_mins(15),
        session: Duration::from_hours(30 * 24),
    };
    StrictVerifier::new(ISSUER, life_max)
}

/// A genuine key and a verifier that trusts it.
pub struct Forge {
    pub pair: Ed25519KeyPair,
    pub public: PublicKey,
    pub keys: KeySet,
    pub verifier: StrictVerifier,
}

impl Forge {
    pub fn new() -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[42; 32]).unwrap();
        let public = ed25519_key(pair.public_key().as_ref());
        let keys = KeySet::from_iter([public.clone()]);
        Self {
            pair,
            public,
            keys,
            verifier: verifier(),
        }
    }

    pub fn kid(&self) -> &KeyId {
        &self.public.kid
    }

    /// The header we issue.
    pub fn header(&self) -> String {
        format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"at+jwt"}}"#, self.kid())
    }

    /// The header with more members, written as JSON.
    pub fn header_with(&self, more: &str) -> String {
        self.header().replace('}', &format!(",{more}}}"))
    }

    /// A properly signed token of any header and payload.
    pub fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_parts(&b64(header), &b64(payload))
    }

    /// As [`Forge::sign`], of parts already encoded.
    pub fn sign_parts(&self, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        format!("{signed}.{}", b64(self.pair.sign(signed.as_bytes())))
    }

    pub fn valid(&self) -> String {
        self.sign(self.header(), payload())
    }

    pub fn judge(&self, token: &str) -> Result<Claims, Refusal> {
        self.verifier.verify(token, TokenKind::Access, &self.keys)
    }

    /// That the genuine token is accepted, and every one of these refused for this reason.
    pub fn refuses(&self, why: Refusal, tokens: impl IntoIterator<Item = String>) {
        self.judge(&self.valid())
            .expect("the genuine token is good");
        for token in tokens {
            assert_eq!(
                self.judge(&token),
                Err(why),
                "{}",
                &token[..token.len().min(600)]
            );
        }
    }

    /// That a properly signed token of such a header is refused for this reason.
    pub fn refuses_header(&self, why: Refusal, header: impl AsRef<[u8]>) {
        self.refuses(why, [self.sign(header, payload())]);
    }

    /// That a properly signed token of the genuine payload with one text replaced is refused.
    pub fn refuses_payload(&self, why: Refusal, from: &str, to: &str) {
        assert!(payload().contains(from), "{from}");
        self.refuses(
            why,
            [self.sign(self.header(), payload().replacen(from, to, 1))],
        );
    }
}

pub fn ed25519_key(x: &[u8]) -> PublicKey {
    key(
        "EdDSA",
        &[("kty", "OKP"), ("crv", "Ed25519"), ("x", &b64(x))],
    )
}

/// A public key of such members, named by its thumbprint (or `unnamed`, if it can't have one).
pub fn key(alg: &str, members: &[(&str, &str)]) -> PublicKey {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let jwk = members.iter().map(own).collect();
    let kid = thumbprint(&jwk).unwrap_or_else(|| "unnamed".parse().unwrap());
    PublicKey {
        kid,
        alg: alg.to_owned(),
        jwk,
    }
}

/// The payload of a genuine access token.
pub fn payload() -> String {
    let life = format!(r#""exp":{},"iat":{ISSUED}"#, ISSUED + 600);
    [
        r#"{"iss":"https://sessions.example","sub":"user-1","aud":"https://api.example","#,
        &life,
        r#","jti":"jti-1","sid":"0191d3c4-5b6e-7f80-8123-000000000001","auth_time":1699999940,"#,
        r#""acr":"aal2","amr":["pwd","otp"],"tenant":"acme","scope":"read write","#,
        r#""client_id":"web","status":{"status_list":"#,
        r#"{"idx":5,"uri":"https://sessions.example/status-lists/1"}}}"#,
    ]
    .concat()
}
