//! 1 to 12: algorithms, signatures and keys.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, KeyPair};
use session_domain::port::TokenVerifier;
use session_domain::revocation::KeySet;
use session_domain::token::{Refusal, TokenKind};

use crate::p256::P256;
use crate::support::{Forge, b64, ed25519_key, key, payload, unb64, verifier};

/// The order of P-256, big-endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of Ed25519's group, little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn with_alg(forge: &Forge, alg: &str) -> String {
    forge.header().replace(r#""EdDSA""#, alg)
}

#[test]
fn refusal_01_alg_none() {
    let forge = Forge::new();
    let header = with_alg(&forge, r#""none""#);
    forge.refuses_header(Refusal::Header, &header);
    forge.refuses(
        Refusal::Malformed,
        [format!("{}.{}.", b64(header), b64(payload()))],
    );
}

#[test]
fn refusal_02_alg_none_in_any_spelling() {
    let forge = Forge::new();
    for alg in [
        "None",
        "NONE",
        "nOnE",
        "none ",
        "",
        "n\\u006fne",
        "none\\u0000",
    ] {
        forge.refuses_header(Refusal::Header, with_alg(&forge, &format!("\"{alg}\"")));
    }
}

#[test]
fn refusal_03_alg_missing_or_not_a_string() {
    let forge = Forge::new();
    forge.refuses_header(
        Refusal::Header,
        forge.header().replace(r#""alg":"EdDSA","#, ""),
    );
    for alg in ["null", "1", "true", r#"["EdDSA"]"#, r#"{"EdDSA":1}"#] {
        forge.refuses_header(Refusal::Header, with_alg(&forge, alg));
    }
}

#[test]
fn refusal_04_hs256_keyed_with_our_public_key() {
    let forge = Forge::new();
    let raw = forge.pair.public_key().as_ref();
    let encoded = b64(raw);
    let jwk = serde_json::to_string(&forge.public.jwk).unwrap();
    let secrets = [raw, encoded.as_bytes(), jwk.as_bytes()];
    for alg in ["HS256", "EdDSA"] {
        let header = with_alg(&forge, &format!("\"{alg}\""));
        let signed = format!("{}.{}", b64(header), b64(payload()));
        let forged = secrets.map(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            format!("{signed}.{}", b64(hmac::sign(&key, signed.as_bytes())))
        });
        let why = if alg == "HS256" {
            Refusal::Header
        } else {
            Refusal::Signature
        };
        forge.refuses(why, forged);
    }
}

#[test]
fn refusal_05_alg_is_not_the_keys() {
    let forge = Forge::new();
    forge.refuses_header(Refusal::Header, with_alg(&forge, r#""ES256""#));
    let p256 = P256::new();
    assert_eq!(p256.judge(p256.canonical()), Ok(()));
    let mut mislabelled = p256.public.clone();
    mislabelled.alg = "EdDSA".to_owned();
    let keys = KeySet::from_iter([mislabelled]);
    let token = format!("{}.{}", p256.signed_part(), b64(p256.canonical()));
    let verdict = verifier().verify(&token, TokenKind::Access, &keys);
    assert_eq!(verdict, Err(Refusal::UnknownKey));
}

#[test]
fn refusal_06_an_alias_we_never_issue() {
    let forge = Forge::new();
    for alg in [
        "Ed25519", "eddsa", "EDDSA", "ES256K", "RS256", "PS256", "ES384", "EdDSA ",
    ] {
        forge.refuses_header(Refusal::Header, with_alg(&forge, &format!("\"{alg}\"")));
    }
}

#[test]
fn refusal_07_empty_signature() {
    let forge = Forge::new();
    let signed = format!("{}.{}", b64(forge.header()), b64(payload()));
    forge.refuses(Refusal::Malformed, [format!("{signed}.")]);
    forge.refuses(Refusal::Signature, [format!("{signed}.AA")]);
}

#[test]
fn refusal_08_missing_segment() {
    let forge = Forge::new();
    let token = forge.valid();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!()
    };
    forge.refuses(
        Refusal::Malformed,
        [
            format!("{header}.{payload}"),
            format!("{header}.{signature}"),
            format!("{payload}.{signature}"),
            format!(".{payload}.{signature}"),
            format!("{header}..{signature}"),
            header.to_owned(),
            "..".to_owned(),
            String::new(),
        ],
    );
}

#[test]
fn refusal_09_r_and_s_are_zero() {
    let p256 = P256::new();
    assert_eq!(p256.judge(p256.canonical()), Ok(()));
    assert_eq!(p256.judge([0; 64]), Err(Refusal::Signature));
    for half in [0..32, 32..64] {
        let mut signature = p256.canonical();
        signature[half].fill(0);
        assert_eq!(p256.judge(signature), Err(Refusal::Signature));
    }
    let forge = Forge::new();
    let signed = format!("{}.{}", b64(forge.header()), b64(payload()));
    forge.refuses(Refusal::Signature, [format!("{signed}.{}", b64([0; 64]))]);
}

#[test]
fn refusal_10_r_or_s_beyond_the_order_or_der() {
    let p256 = P256::new();
    let canonical = p256.canonical();
    assert_eq!(p256.judge(&canonical), Ok(()));
    for (half, value) in [
        (0, P256_ORDER),
        (32, P256_ORDER),
        (0, [0xff; 32]),
        (32, [0xff; 32]),
    ] {
        let mut signature = canonical.clone();
        signature[half..half + 32].copy_from_slice(&value);
        assert_eq!(p256.judge(signature), Err(Refusal::Signature));
    }
    let der = p256.sign(&ECDSA_P256_SHA256_ASN1_SIGNING);
    assert_eq!(p256.judge(der), Err(Refusal::Signature));
    // The other valid signature, (r, n − s), which needs no key to find.
    let mut twin = canonical.clone();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(P256_ORDER[at]) - i16::from(canonical[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        twin[32 + at] = u8::try_from(difference + 256 * borrow).unwrap();
    }
    assert_eq!(p256.judge(twin), Err(Refusal::Signature));
}

#[test]
fn refusal_11_ed25519_s_plus_l_and_small_order_keys() {
    let forge = Forge::new();
    let token = forge.valid();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = unb64(signature);
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    forge.refuses(Refusal::Signature, [format!("{signed}.{}", b64(signature))]);

    // With A = R = the neutral point and S = 0, S·B = R + h·A holds for every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let public = ed25519_key(&neutral);
    let header = forge
        .header()
        .replace(forge.kid().as_str(), public.kid.as_str());
    let signature = [neutral, [0; 32]].concat();
    let forged = format!("{}.{}.{}", b64(header), b64(payload()), b64(signature));
    let verdict = verifier().verify(&forged, TokenKind::Access, &KeySet::from_iter([public]));
    assert_eq!(verdict, Err(Refusal::UnknownKey));
}

#[test]
fn refusal_12_a_symmetric_key_is_never_used() {
    let forge = Forge::new();
    for (alg, secret) in [
        ("HS256", b"secret".as_slice()),
        ("EdDSA", b"secret"),
        ("HS256", &[7; 32]),
    ] {
        let mut public = key(alg, &[("kty", "oct"), ("k", &b64(secret))]);
        public.kid = "weak".parse().unwrap();
        let signed = format!(
            "{}.{}",
            b64(format!(r#"{{"alg":"{alg}","kid":"weak","typ":"at+jwt"}}"#)),
            b64(payload())
        );
        let mac = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, secret),
            signed.as_bytes(),
        );
        let token = format!("{signed}.{}", b64(mac));
        let keys = KeySet::from_iter([public, forge.public.clone()]);
        assert!(
            forge
                .verifier
                .verify(&token, TokenKind::Access, &keys)
                .is_err()
        );
    }
}

#[test]
fn a_key_of_another_form_is_not_used() {
    let forge = Forge::new();
    let x = b64(forge.pair.public_key());
    let p256 = P256::new();
    let members = |members: &[(&str, &str)]| key("EdDSA", members);
    let (on_curve, off_curve) = (p256.public.jwk["x"].as_str(), b64([1; 32]));
    let off_curve = [
        ("kty", "EC"),
        ("crv", "P-256"),
        ("x", on_curve),
        ("y", &off_curve),
    ];
    let mut renamed = forge.public.clone();
    renamed.kid = "renamed".parse().unwrap();
    let bad = [
        members(&[("kty", "OKP"), ("crv", "Ed25519"), ("x", &x), ("d", "AA")]),
        members(&[
            ("kty", "OKP"),
            ("crv", "Ed25519"),
            ("x", &x),
            ("use", "enc"),
        ]),
        members(&[("kty", "OKP"), ("crv", "X25519"), ("x", &x)]),
        members(&[("kty", "OKP"), ("crv", "Ed25519"), ("x", &format!("{x}="))]),
        members(&[("kty", "OKP"), ("crv", "Ed25519"), ("x", &b64([9; 31]))]),
        key("ES256", &off_curve),
        renamed,
    ];
    for public in bad {
        let header = forge
            .header()
            .replace(forge.kid().as_str(), public.kid.as_str());
        let header = header.replace("EdDSA", &public.alg);
        let token = forge.sign(header, payload());
        let verdict =
            forge
                .verifier
                .verify(&token, TokenKind::Access, &KeySet::from_iter([public]));
        assert_eq!(verdict, Err(Refusal::UnknownKey));
    }
}
