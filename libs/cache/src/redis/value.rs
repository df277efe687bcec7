//! What a reading looks like in Redis: a mark, a format, the session's version, when it was read,
//! a proof that one of ours wrote it, and the session as JSON. Mark, format and version stay where
//! they are in every format to come (`scripts/put.lua` reads them there).

use std::time::Duration;

use session_domain::ids::{SessionId, TenantId, Version};
use session_domain::session::Session;
use session_domain::time::Timestamp;

use super::seal::Seal;

const MARK: u8 = b'S';

/// The format written here, and the only one read.
const FORMAT: u8 = 1;

/// Mark, format, version, time.
const HEAD: usize = 2 + 8 + 8;

const PROOF: usize = blake3::OUT_LEN;

/// The longest value, in bytes. A session is one or two kilobytes; its longest is about ten.
pub(super) const VALUE_MAX: usize = 32 * 1024;

/// Why a value is no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is longer than any of ours.
    Oversized,
    /// Another release wrote it, in a format of its own.
    UnknownFormat,
    /// It isn't what one of ours wrote there.
    Corrupt,
    /// It is older than readings live.
    Stale,
}

impl Unusable {
    /// The word for it in metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::UnknownFormat => "unknown_format",
            Self::Corrupt => "corrupt",
            Self::Stale => "stale",
        }
    }
}

/// The value of a session read at `at`, to be kept under `key`.
///
/// # Errors
/// It is too long to be kept.
pub(super) fn encode(
    seal: &Seal,
    key: &str,
    session: &Session,
    at: Timestamp,
) -> Result<Vec<u8>, Unusable> {
    let body = serde_json::to_vec(session).map_err(|_| Unusable::Corrupt)?;
    let mut value = Vec::with_capacity(HEAD + PROOF + body.len());
    value.extend([MARK, FORMAT]);
    value.extend(session.version.0.to_be_bytes());
    value.extend(at.0.to_be_bytes());
    let proof = seal.proof(&[key.as_bytes(), &value, &body]);
    value.extend(proof.as_bytes());
    value.extend(body);
    if value.len() > VALUE_MAX {
        return Err(Unusable::Oversized);
    }
    Ok(value)
}

/// The session that `value`, found under `key`, is a reading of, if it is one of that tenant and
/// id, written less than `lifetime` before `now`.
///
/// # Errors
/// It is no such reading.
pub(super) fn decode(
    seal: &Seal,
    key: &str,
    value: &[u8],
    (tenant, id): (&TenantId, SessionId),
    (now, lifetime): (Timestamp, Duration),
) -> Result<Session, Unusable> {
    if value.len() > VALUE_MAX {
        return Err(Unusable::Oversized);
    }
    match value {
        [MARK, FORMAT, ..] => {}
        [MARK, _, ..] => return Err(Unusable::UnknownFormat),
        _ => return Err(Unusable::Corrupt),
    }
    let (head, rest) = value.split_at_checked(HEAD).ok_or(Unusable::Corrupt)?;
    let (proof, body) = rest.split_first_chunk::<PROOF>().ok_or(Unusable::Corrupt)?;
    // Compared in constant time. Whoever can write there can't make one for another session either.
    if blake3::Hash::from_bytes(*proof) != seal.proof(&[key.as_bytes(), head, body]) {
        return Err(Unusable::Corrupt);
    }
    let session: Session = serde_json::from_slice(body).map_err(|_| Unusable::Corrupt)?;
    let number = |place: usize| {
        let bytes = head[place..place + 8].try_into();
        u64::from_be_bytes(bytes.expect("eight bytes are eight bytes"))
    };
    let (version, at) = (Version(number(2)), Timestamp(number(10).cast_signed()));
    if session.tenant != *tenant || session.id != id || session.version != version {
        return Err(Unusable::Corrupt);
    }
    // The server forgets in time; a copy of it that was restored may not have. Clocks of hosts
    // differ: one from a future further away than readings live is as doubtful as an old one.
    if now.since(at) >= lifetime || at.since(now) >= lifetime {
        return Err(Unusable::Stale);
    }
    Ok(session)
}

#[cfg(test)]
mod tests;
