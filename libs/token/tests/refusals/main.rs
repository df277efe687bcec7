//! The forty refusals of a verifier, one test each, named by their number in `docs/security.md`.
//!
//! Every forged token here is signed with a genuine, trusted key wherever that is possible, so
//! what refuses it is the check in question and not the signature.
//!
//! Not about a token string, and so tested elsewhere: 12 (weak secrets in the configuration: here
//! its part about keys, the files in `tests/secrets.rs`), the clock's part of 34 and 36's comparison of
//! the audience (the domain's `validate`), another tenant in 38 (the revocation state and the use
//! cases, which are always asked about the token's own tenant), and 39 (two `Authorization`
//! headers: HTTP).

mod claims;
mod form;
mod header;
mod p256;
mod signature;
#[path = "../support/mod.rs"]
mod support;
