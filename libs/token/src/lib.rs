//! Credentials: how they are signed, verified, derived, and where their keys live.
//!
//! Adapters of the ports [`TokenSigner`], [`TokenVerifier`] and [`RefreshTokens`] of
//! `session-domain`. Nothing here reads a clock, draws randomness of its own or opens a
//! connection; only [`secrets`] touches files.
//!
//! - [`secrets`]: the keys outside the database, a small folder of files.
//! - [`signing_key`]: makes signing keys, [`seal`]s their private half for the store, opens it.
//! - [`SealedKeyRing`]: makes them and puts them to use, sealed and opened under one key.
//! - [`signer`]: signs with the active one.
//! - [`verifier`]: refuses everything but what the signer issues; [`verifying_key`] is its keys.
//! - [`refresh`]: derives refresh tokens.
//!
//! [`TokenSigner`]: session_domain::port::TokenSigner
//! [`TokenVerifier`]: session_domain::port::TokenVerifier
//! [`RefreshTokens`]: session_domain::port::RefreshTokens

mod algorithm;
mod base64url;
mod claims;
mod compact;
mod hex;
mod json;
mod provider;
pub mod refresh;
mod ring;
pub mod seal;
pub mod secrets;
pub mod signer;
pub mod signing_key;
mod thumbprint;
pub mod verifier;
pub mod verifying_key;

pub use algorithm::Algorithm;
pub use refresh::RefreshDeriver;
pub use ring::SealedKeyRing;
pub use secrets::Secrets;
pub use signer::ActiveSigner;
pub use signing_key::SigningKey;
pub use thumbprint::thumbprint;
pub use verifier::{LifeMax, StrictVerifier};
pub use verifying_key::VerifyingKey;
