//! The outer form of a signed token: the compact serialisation of RFC 7515.

use serde::Deserialize;
use session_domain::token::{Refusal, TOKEN_BYTES_MAX};

use crate::base64url;
use crate::json::{self, Object};

/// The three parts of a compact JWS, not yet decoded.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    /// The third part.
    pub(crate) signature: &'a str,
    /// What is signed: the first two parts and the dot between them.
    pub(crate) signed: &'a str,
}

/// The header, of which we know every member: no `crit`, no `jwk`, no `zip`, nothing to follow.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: String,
    pub(crate) typ: String,
}

impl<'a> Compact<'a> {
    /// Splits a token: at most [`TOKEN_BYTES_MAX`] long, of the alphabet's characters alone,
    /// with exactly two dots and nothing empty between them. Allocates nothing.
    pub(crate) fn split(token: &'a str) -> Result<Self, Refusal> {
        // Before any look at the content: work is bounded by what may be a token at all.
        if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(is_token_byte) {
            return Err(Refusal::Malformed);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Refusal::Malformed);
        }
        let signed = &token[..=header.len() + payload.len()];
        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }

    /// Decodes the header.
    pub(crate) fn header(&self) -> Result<Header, Refusal> {
        let bytes = base64url::decode(self.header).ok_or(Refusal::Malformed)?;
        let Object(header) = json::read(&bytes).ok_or(Refusal::Header)?;
        Ok(header)
    }

    /// Decodes the payload's bytes.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, Refusal> {
        base64url::decode(self.payload).ok_or(Refusal::Malformed)
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_everything_before_the_second_dot() {
        let compact = Compact::split("aa.bbb.c").unwrap();
        assert_eq!((compact.signed, compact.signature), ("aa.bbb", "c"));
    }

    #[test]
    fn any_other_number_of_parts_is_refused() {
        for bad in [
            "", ".", "..", "a.b", "a.b.", ".a.b", "a..b", "a.b.c.d", "a.b.c.",
        ] {
            assert!(Compact::split(bad).is_err(), "{bad:?}");
        }
    }
}
