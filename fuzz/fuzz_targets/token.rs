//! Whatever is presented as a token: nothing panics, and nothing is accepted but what was signed,
//! byte for byte, as the kind it was signed as.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use session_domain::port::TokenVerifier;
use session_domain::revocation::KeySet;
use session_domain::token::TokenKind;
use session_fuzz::{KNOWN, keys, verifier};
use session_token::StrictVerifier;

static VERIFIER: LazyLock<(StrictVerifier, KeySet)> = LazyLock::new(|| (verifier(), keys()));

/// Begins an input that says how a good token is changed: a place in two bytes, and what is there
/// instead.
const CHANGES: u8 = 0xff;

/// A good token with changes.
fn changed(changes: &[u8]) -> String {
    let mut token = KNOWN.access.clone().into_bytes();
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
        let place = place % token.len();
        token[place] = change[2];
    }
    String::from_utf8_lossy(&token).into_owned()
}

fuzz_target!(|data: &[u8]| {
    let token = match data.split_first() {
        Some((&CHANGES, changes)) => changed(changes),
        _ => String::from_utf8_lossy(data).into_owned(),
    };
    let (verifier, keys) = &*VERIFIER;
    for kind in [TokenKind::Access, TokenKind::Session] {
        let is_one = match kind {
            TokenKind::Access => token == KNOWN.access || token == KNOWN.ended,
            TokenKind::Session => token == KNOWN.session,
        };
        let verified = verifier.verify(&token, kind, keys);
        assert_eq!(verified.is_ok(), is_one, "{kind:?}: {token}");
    }
});
