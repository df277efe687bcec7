//! What messages look like on the wire: one byte that says which version of this file wrote them,
//! then [postcard](https://postcard.jamesmunns.com/wire-format).
//!
//! Why postcard: a status list is 128 KiB and must stay that long. In JSON, and in CBOR as serde
//! writes byte lists, it would be two to four times as much and exceed the limit; postcard writes
//! bytes as they are and small numbers in one byte. It needs no schema files and its format has
//! been frozen since 1.0. What it doesn't have is names: a field added, removed or moved is another
//! version, which is what the first byte is for.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use session_domain::ids::Seq;
use session_domain::port::{BusReply, BusRequest};
use session_domain::revocation::{Acknowledgement, GrantReply, Head, LIST_BYTES, Publication};

use super::ignored::Unusable;

/// The longest message, in bytes, the version included. Far below what a server takes by default
/// (1 MiB), so that no deployment has to change that.
pub(super) const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// The version this file writes and the only one it reads.
const VERSION: u8 = 2;

/// The answer to a request; `None` where this server is about to leave and another is to be asked.
pub(super) type Answer = Option<BusReply>;

/// A message's content, and what must hold of it beyond its form.
pub(super) trait Content: Serialize + DeserializeOwned {
    /// Whether nobody who computes with it can be tripped up by it: numbers the database can't
    /// count to would overflow.
    fn is_plausible(&self) -> bool;
}

/// The database counts with signed numbers.
const NUMBER_MAX: u64 = i64::MAX as u64;

fn is_plausible_head(head: Head) -> bool {
    head.seq.0 <= NUMBER_MAX
}

impl Content for Publication {
    fn is_plausible(&self) -> bool {
        let last = self.after.0.checked_add(self.entries.len() as u64);
        last.is_some_and(|last| last <= NUMBER_MAX)
    }
}

impl Content for Acknowledgement {
    fn is_plausible(&self) -> bool {
        is_plausible_head(self.applied)
    }
}

impl Content for BusRequest {
    fn is_plausible(&self) -> bool {
        match self {
            Self::Grant(request) => {
                request.counter <= NUMBER_MAX && request.applied.is_none_or(is_plausible_head)
            }
            Self::Release { counter, .. } => *counter <= NUMBER_MAX,
            Self::Entries { after, .. } => *after <= Seq(NUMBER_MAX),
            Self::List(list) => *list <= NUMBER_MAX,
            Self::Check(query) => query.serial.0 <= NUMBER_MAX,
            Self::SnapshotPart(mark) => mark.list.is_none_or(|list| list <= NUMBER_MAX),
            Self::Snapshot | Self::Activity(_) => true,
        }
    }
}

impl Content for Answer {
    fn is_plausible(&self) -> bool {
        match self {
            Some(BusReply::Grant(reply)) => match reply {
                GrantReply::Granted(grant) => is_plausible_head(grant.head),
                GrantReply::Lagging { head, .. } => is_plausible_head(*head),
                GrantReply::Rejoin { .. } => true,
            },
            Some(BusReply::Entries(publication)) => publication.is_plausible(),
            Some(BusReply::Snapshot(snapshot)) => is_plausible_head(snapshot.head),
            Some(BusReply::List(bits)) => {
                is_plausible_head(bits.head) && bits.bits.len() == LIST_BYTES
            }
            Some(
                BusReply::Released
                | BusReply::Check(_)
                | BusReply::ActivityKept
                | BusReply::Unavailable
                | BusReply::EntriesGone { .. },
            )
            | None => true,
        }
    }
}

/// Writes a message, unless it would be too long.
pub(super) fn encode<T: Content>(content: &T) -> Result<Bytes, Unusable> {
    // Types without maps of unknown length and without untagged parts can always be written.
    let message = postcard::to_extend(content, vec![VERSION]).map_err(|_| Unusable::Malformed)?;
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(Unusable::Oversized);
    }
    Ok(message.into())
}

/// Reads a message, whatever it is.
pub(super) fn decode<T: Content>(message: &[u8]) -> Result<T, Unusable> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(Unusable::Oversized);
    }
    let (&version, content) = message.split_first().ok_or(Unusable::Malformed)?;
    if version != VERSION {
        return Err(Unusable::UnknownVersion);
    }
    match postcard::take_from_bytes::<T>(content) {
        Ok((content, [])) if content.is_plausible() => Ok(content),
        _ => Err(Unusable::Malformed),
    }
}

/// Writes a run of entries as one message or, where that would be too long, as several in order.
pub(super) fn encode_run(run: &Publication) -> Result<Vec<Bytes>, Unusable> {
    match encode(run) {
        Ok(message) => Ok(vec![message]),
        Err(_) if run.entries.len() > 1 => {
            let (first, second) = run.entries.split_at(run.entries.len() / 2);
            let mut messages = encode_run(&Publication {
                entries: first.to_vec(),
                ..run.clone()
            })?;
            messages.extend(encode_run(&Publication {
                epoch: run.epoch,
                after: Seq(run.after.0 + first.len() as u64),
                entries: second.to_vec(),
            })?);
            Ok(messages)
        }
        Err(error) => Err(error),
    }
}

/// Writes an answer. Entries that would be too long are shortened, which the port allows.
pub(super) fn encode_answer(answer: Answer) -> Result<Bytes, Unusable> {
    match (encode(&answer), answer) {
        (Err(Unusable::Oversized), Some(BusReply::Entries(mut run))) if run.entries.len() > 1 => {
            run.entries.truncate(run.entries.len() / 2);
            encode_answer(Some(BusReply::Entries(run)))
        }
        (result, _) => result,
    }
}

#[cfg(test)]
mod tests;
