//! Refresh tokens: derived the same every time, proven by nobody else, spelled in one way.

use std::collections::HashSet;

use session_domain::ids::{Generation, SessionId};
use session_domain::port::{Entropy, RefreshTokens};
use session_domain::secret::Secret256;
use session_token::RefreshDeriver;
use session_token::refresh::{NoSuchKey, RefreshKey, RefreshKeys};

mod support;
use support::{SeededEntropy, session, unb64};

fn keys(ids: &[u8]) -> RefreshKeys {
    let key = |id: u8| RefreshKey::generate(&SeededEntropy::new(id.into()));
    ids.iter().map(|&id| (id, key(id))).collect()
}

fn deriver(ids: &[u8], current: u8) -> RefreshDeriver {
    RefreshDeriver::new(keys(ids), current).unwrap()
}

fn seed(byte: u8) -> Secret256 {
    Secret256([byte; 32])
}

fn derive(
    deriver: &RefreshDeriver,
    session: SessionId,
    generation: u32,
    seed: &Secret256,
) -> String {
    deriver
        .derive(session, Generation(generation), seed)
        .expose()
        .to_owned()
}

fn accepts(deriver: &RefreshDeriver, token: &str, seed: &Secret256) -> bool {
    deriver
        .read(token)
        .is_some_and(|claim| deriver.proves(&claim, seed))
}

#[test]
fn a_token_says_what_it_was_derived_from_and_proves_it() {
    let deriver = deriver(&[1], 1);
    let token = derive(&deriver, session(7), 0x0102_0304, &seed(5));
    assert_eq!(derive(&deriver, session(7), 0x0102_0304, &seed(5)), token);
    assert_eq!(token.len(), 4 + 71);
    let bytes = unb64(token.strip_prefix("srt_").unwrap());
    assert_eq!(bytes[0], 1);
    assert_eq!(bytes[1..17], *session(7).0.as_bytes());
    assert_eq!(bytes[17..21], [1, 2, 3, 4]);
    let claim = deriver.read(&token).unwrap();
    assert_eq!(
        (claim.key, claim.session, claim.generation),
        (1, session(7), Generation(0x0102_0304))
    );
    assert!(deriver.proves(&claim, &seed(5)));
}

#[test]
fn a_token_is_the_hmac_it_is_documented_to_be() {
    // Computed with the library directly, over the documented bytes.
    let entropy = SeededEntropy::new(1);
    let mut key = [0; 32];
    entropy.fill(&mut key);
    let token = derive(&deriver(&[1], 1), session(7), 9, &seed(5));
    let bytes = unb64(&token[4..]);
    let message = [
        &[1],
        session(7).0.as_bytes().as_slice(),
        &[0, 0, 0, 9],
        &[5; 32],
    ]
    .concat();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    assert_eq!(aws_lc_rs::hmac::sign(&key, &message).as_ref(), &bytes[21..]);
}

#[test]
fn another_seed_session_generation_or_key_proves_nothing() {
    let deriver = deriver(&[1, 2], 1);
    let token = derive(&deriver, session(7), 3, &seed(5));
    assert!(!accepts(&deriver, &token, &seed(6)));
    let claim = deriver.read(&token).unwrap();
    for change in 0..5 {
        let mut other = claim.clone();
        match change {
            0 => other.session = session(8),
            1 => other.generation = Generation(4),
            2 => other.key = 2,
            3 => other.key = 3,
            _ => other.proof[31] ^= 1,
        }
        assert!(!deriver.proves(&other, &seed(5)), "change {change}");
    }
    assert!(deriver.proves(&claim, &seed(5)));
}

#[test]
fn a_key_counts_under_its_own_number_only() {
    let key = RefreshKey::generate(&SeededEntropy::new(1));
    let numbered = |number| RefreshDeriver::new([(number, key.clone())].into(), number).unwrap();
    let token = derive(&numbered(3), session(7), 3, &seed(5));
    assert!(accepts(&numbered(3), &token, &seed(5)));
    assert!(!accepts(&numbered(1), &token, &seed(5)));
}

#[test]
fn a_token_with_any_character_changed_is_refused() {
    let deriver = deriver(&[1, 2], 1);
    let token = derive(&deriver, session(7), 3, &seed(5));
    for at in 0..token.len() {
        for byte in (0..128_u8).filter(|&byte| byte != token.as_bytes()[at]) {
            let mut changed = token.clone().into_bytes();
            changed[at] = byte;
            let changed = String::from_utf8(changed).unwrap();
            assert!(!accepts(&deriver, &changed, &seed(5)), "{at} to {byte}");
        }
    }
}

#[test]
fn only_the_canonical_spelling_is_read() {
    let deriver = deriver(&[1], 1);
    let token = derive(&deriver, session(7), 3, &seed(5));
    let body = &token[4..];
    for bad in [
        String::new(),
        "srt_".to_owned(),
        body.to_owned(),
        format!("SRT_{body}"),
        format!("{token}="),
        format!("{token}A"),
        format!(" {token}"),
        format!("{token}\n"),
        token[..token.len() - 1].to_owned(),
        format!("srt_{}", "A".repeat(1_000_000)),
        format!("srt_{}é", &body[..69]),
    ] {
        assert_eq!(deriver.read(&bad), None, "{}", &bad[..bad.len().min(80)]);
    }
    // 53 bytes leave two spare bits in the last character: three other spellings.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(&token[token.len() - 1..]).unwrap();
    for spare in 1..4 {
        let other = &alphabet[last + spare..=last + spare];
        assert_eq!(
            deriver.read(&format!("{}{other}", &token[..token.len() - 1])),
            None
        );
    }
}

#[test]
fn keys_rotate_without_ending_a_session() {
    let (old, both, new) = (deriver(&[1], 1), deriver(&[1, 2], 2), deriver(&[2], 2));
    let before = derive(&old, session(7), 3, &seed(5));
    let after = derive(&both, session(7), 3, &seed(5));
    assert_ne!(before, after);
    for token in [&before, &after] {
        assert!(accepts(&both, token, &seed(5)));
    }
    assert_eq!(
        both.read(&before).unwrap().generation,
        both.read(&after).unwrap().generation
    );
    assert!(!accepts(&new, &before, &seed(5)));
    assert!(accepts(&new, &after, &seed(5)));
    assert!(!accepts(&old, &after, &seed(5)));
}

#[test]
fn the_current_key_must_be_there() {
    assert_eq!(RefreshDeriver::new(keys(&[1]), 2).err(), Some(NoSuchKey(2)));
    assert_eq!(
        RefreshDeriver::new(RefreshKeys::new(), 1).err(),
        Some(NoSuchKey(1))
    );
}

/// S1: of a million tokens and seeds, no two are alike. (A hundred thousand without
/// optimisation, which takes as long.)
#[test]
fn s1_no_two_tokens_or_seeds_are_alike() {
    let count = if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    };
    let entropy = SeededEntropy::new(4);
    let deriver = deriver(&[1], 1);
    let mut seeds = HashSet::new();
    let mut proofs = HashSet::new();
    for number in 0..count {
        let seed = entropy.secret();
        // The same session and generation: only the seed tells them apart.
        let token = deriver.derive(session(1), Generation(0), &seed);
        let proof = token.expose()[4 + 28..].to_owned();
        assert!(seeds.insert(seed.0) && proofs.insert(proof), "at {number}");
    }
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", deriver(&[1], 1));
    assert_eq!(
        shown,
        "RefreshDeriver { current_id: 1, current: RefreshKey(…), keys: {1: RefreshKey(…)} }"
    );
}
