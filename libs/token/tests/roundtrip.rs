//! What the signer issues, the verifier takes back unchanged; and nothing else.

use std::sync::Arc;

use proptest::prelude::*;
use session_domain::ids::Serial;
use session_domain::port::{KeyRing, PortError, StoredSigningKey, TokenSigner, TokenVerifier};
use session_domain::revocation::KeySet;
use session_domain::time::Timestamp;
use session_domain::token::{Claims, Refusal, TOKEN_BYTES_MAX, TokenKind};
use session_token::seal::KeyEncryptionKey;
use session_token::signing_key::KeyError;
use session_token::{ActiveSigner, SealedKeyRing, SigningKey};

mod support;
use support::{Forge, ISSUED, SeededEntropy, claims, payload, session, unb64, verifier};

const KINDS: [TokenKind; 2] = [TokenKind::Access, TokenKind::Session];

struct Signing {
    signer: ActiveSigner,
    kek: KeyEncryptionKey,
    stored: StoredSigningKey,
    keys: KeySet,
}

fn signing(seed: u64) -> Signing {
    let entropy = SeededEntropy::new(seed);
    let kek = KeyEncryptionKey::generate(&entropy);
    let key = SigningKey::generate(&entropy).unwrap();
    let stored = key.seal(&kek, &entropy, Timestamp(0)).unwrap();
    let signer = ActiveSigner::new();
    signer.activate(&stored, &kek).unwrap();
    let keys = KeySet::from_iter([stored.public.clone()]);
    Signing {
        signer,
        kek,
        stored,
        keys,
    }
}

fn sign(signer: &ActiveSigner, claims: &Claims) -> Result<String, PortError> {
    Ok(signer.sign(claims)?.expose().to_owned())
}

#[test]
fn a_token_is_exactly_these_bytes() {
    let forge = Forge::new();
    let signing = signing(1);
    let token = sign(&signing.signer, &claims(TokenKind::Access)).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let header = forge
        .header()
        .replace(forge.kid().as_str(), signing.stored.kid().as_str());
    assert_eq!(String::from_utf8(unb64(parts[0])).unwrap(), header);
    assert_eq!(String::from_utf8(unb64(parts[1])).unwrap(), payload());
}

#[test]
fn signing_twice_gives_the_same_token() {
    let signing = signing(1);
    for kind in KINDS {
        let claims = claims(kind);
        let first = sign(&signing.signer, &claims).unwrap();
        assert_eq!(sign(&signing.signer, &claims).unwrap(), first);
        signing
            .signer
            .activate(&signing.stored, &signing.kek)
            .unwrap();
        assert_eq!(sign(&signing.signer, &claims).unwrap(), first);
    }
}

#[test]
fn every_kind_at_every_other_verifier_is_refused() {
    let signing = signing(1);
    for issued in KINDS {
        let token = sign(&signing.signer, &claims(issued)).unwrap();
        for expected in KINDS {
            let verdict = verifier().verify(&token, expected, &signing.keys);
            if issued == expected {
                assert_eq!(verdict.unwrap().kind, issued);
            } else {
                assert_eq!(verdict, Err(Refusal::Kind));
            }
        }
    }
}

#[test]
fn nothing_is_signed_without_an_active_key() {
    let signer = ActiveSigner::new();
    assert_eq!(signer.active_key(), None);
    assert!(
        sign(&signer, &claims(TokenKind::Access))
            .unwrap_err()
            .is_retry()
    );
    let signing = signing(1);
    assert_eq!(
        signing.signer.active_key().as_ref(),
        Some(signing.stored.kid())
    );
    signing.signer.deactivate();
    assert_eq!(signing.signer.active_key(), None);
    assert!(sign(&signing.signer, &claims(TokenKind::Access)).is_err());
}

#[test]
fn a_key_that_cannot_be_used_leaves_the_one_before_active() {
    let signing = signing(1);
    let mut retired = signing.stored.clone();
    retired.retired_at = Some(Timestamp(1));
    let refused = signing.signer.activate(&retired, &signing.kek);
    assert_eq!(refused, Err(KeyError::Retired));
    let wrong_kek = KeyEncryptionKey::generate(&SeededEntropy::new(99));
    assert!(
        signing
            .signer
            .activate(&signing.stored, &wrong_kek)
            .is_err()
    );
    assert_eq!(
        signing.signer.active_key().as_ref(),
        Some(signing.stored.kid())
    );
}

#[test]
fn a_ring_makes_keys_its_signer_can_use_and_opens_no_others() {
    let signer = Arc::new(ActiveSigner::new());
    let ring = |seed| {
        let kek = KeyEncryptionKey::generate(&SeededEntropy::new(seed));
        SealedKeyRing::new(signer.clone(), kek, Arc::new(SeededEntropy::new(seed + 1)))
    };
    let (ours, theirs) = (ring(10), ring(20));
    let stored = ours.generate(Timestamp(5)).unwrap();
    assert_eq!((stored.created_at, stored.retired_at), (Timestamp(5), None));
    assert!(!theirs.activate(&stored).unwrap_err().is_retry());
    assert_eq!(signer.active_key(), None);
    ours.activate(&stored).unwrap();
    assert_eq!(signer.active_key().as_ref(), Some(stored.kid()));
    assert_ne!(ours.generate(Timestamp(5)).unwrap().kid(), stored.kid());
}

#[test]
fn a_replaced_key_signs_no_more() {
    let (first, second) = (signing(1), signing(2));
    let before = sign(&first.signer, &claims(TokenKind::Access)).unwrap();
    first.signer.activate(&second.stored, &second.kek).unwrap();
    let after = sign(&first.signer, &claims(TokenKind::Access)).unwrap();
    let verify = |token: &str, keys| verifier().verify(token, TokenKind::Access, keys);
    assert_eq!(verify(&before, &second.keys), Err(Refusal::UnknownKey));
    assert_eq!(
        verify(&after, &second.keys).unwrap().key,
        *second.stored.kid()
    );
}

#[test]
fn no_token_is_issued_that_every_verifier_would_refuse() {
    let signing = signing(1);
    let refused = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims(TokenKind::Access);
        change(&mut claims);
        let error = sign(&signing.signer, &claims).unwrap_err();
        assert!(!error.is_retry());
    };
    refused(&|claims| claims.audience.clear());
    refused(&|claims| claims.expires_at = Timestamp(-1));
    refused(&|claims| claims.scope = Some("x".repeat(TOKEN_BYTES_MAX)));
}

#[test]
fn debug_shows_no_key_bytes() {
    let signing = signing(1);
    let kid = signing.stored.kid();
    let shown = format!("{:?}", signing.signer);
    assert_eq!(
        shown,
        format!("ActiveSigner {{ active_key: Some({kid:?}) }}")
    );
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-zA-Z0-9 :/\"\\\\é\u{1f600}-]{1,24}").unwrap()
}

prop_compose! {
    fn any_claims()(
        session_token in any::<bool>(),
        subject in "[a-zA-Z0-9é@.-]{1,32}",
        audience in prop::collection::vec(text(), 1..4),
        issued in 0..4_000_000_000_i64,
        life in 1..=900_i64,
        jti in text(),
        id in any::<u64>(),
        tenant in "[a-z0-9-]{1,63}",
        auth_time in 0..4_000_000_000_i64,
        acr in prop::option::of(text()),
        amr in prop::collection::vec(text(), 0..4),
        scope in prop::option::of(text()),
        client_id in prop::option::of(text()),
        serial in 0..=i64::MAX as u64,
    ) -> Claims {
        let kind = if session_token { TokenKind::Session } else { TokenKind::Access };
        Claims {
            subject: subject.parse().unwrap(),
            audience,
            expires_at: Timestamp::from_unix_seconds(issued + life),
            issued_at: Timestamp::from_unix_seconds(issued),
            token_id: jti,
            session: session(id.into()),
            tenant: tenant.parse().unwrap(),
            auth_time: Timestamp::from_unix_seconds(auth_time),
            acr, amr, scope, client_id,
            serial: Serial(serial),
            ..claims(kind)
        }
    }
}

proptest! {
    // Seeds of failures would be saved beside `lib.rs`, which a test of its own hasn't.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn claims_come_back_as_they_were_signed(claims in any_claims()) {
        let signing = signing(1);
        let token = sign(&signing.signer, &claims).unwrap();
        let read = verifier().verify(&token, claims.kind, &signing.keys);
        let signed = Claims { key: signing.stored.kid().clone(), ..claims };
        prop_assert_eq!(read, Ok(signed));
    }

    #[test]
    fn a_token_with_any_one_byte_changed_is_refused(
        claims in any_claims(),
        position in any::<prop::sample::Index>(),
        byte in 0_u8..128,
    ) {
        let signing = signing(1);
        let token = sign(&signing.signer, &claims).unwrap();
        let mut changed = token.clone().into_bytes();
        let at = position.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(verifier().verify(&changed, claims.kind, &signing.keys).is_err());
    }
}

#[test]
fn a_token_with_any_one_character_left_out_or_doubled_is_refused() {
    let forge = Forge::new();
    let token = forge.valid();
    for at in 0..token.len() {
        let shorter = format!("{}{}", &token[..at], &token[at + 1..]);
        let longer = format!("{}{}", &token[..=at], &token[at..]);
        assert!(
            forge.judge(&shorter).is_err() && forge.judge(&longer).is_err(),
            "at {at}"
        );
    }
    assert!(forge.judge(&token).is_ok());
    assert_eq!(
        forge.judge(&token).unwrap().issued_at,
        Timestamp::from_unix_seconds(ISSUED)
    );
}
