//! A session as a row, and a row as a session; and what every table's columns have in common.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use serde::Serialize;
use serde::de::DeserializeOwned;
use session_domain::ids::{Generation, Seq, Serial, SessionId, Version};
use session_domain::port::PortError;
use session_domain::secret::Secret256;
use session_domain::session::{
    EndReason, Ending, RefreshState, Seeded, Session, ShownStatus, Status,
};
use session_domain::time::Timestamp;

use crate::entity::session::{ActiveModel, Model};
use crate::entity::{signed, unsigned};

/// The `status` column's word for a status.
pub(crate) const fn shown_name(status: ShownStatus) -> &'static str {
    match status {
        ShownStatus::Active => "active",
        ShownStatus::Expired => "expired",
        ShownStatus::Revoked => "revoked",
    }
}

/// The row of a session.
pub(crate) fn row(session: &Session, seed: &Secret256) -> Result<ActiveModel, PortError> {
    let ending = match session.status {
        Status::Active => None,
        Status::Ended(ending) => Some(ending),
    };
    Ok(ActiveModel {
        id: Set(session.id.0),
        serial: Set(signed(session.serial.0)?),
        tenant: Set(session.tenant.as_str().to_owned()),
        user_id: Set(session.user.as_str().to_owned()),
        status: Set(shown_name(session.status.shown()).to_owned()),
        ended_at: Set(ending.map(|ending| ending.at.0)),
        end_reason: Set(ending.map(|ending| ending.reason.as_str().to_owned())),
        ended_seq: Set(ending.map(|ending| signed(ending.seq.0)).transpose()?),
        created_at: Set(session.created_at.0),
        last_seen_at: Set(session.last_seen_at.0),
        expires_at: Set(session.expires_at.0),
        absolute_expires_at: Set(session.absolute_expires_at.0),
        idle_timeout: Set(session.idle_timeout.map(micros)),
        due_at: Set(session.due_at().0),
        authentication: Set(to_json(&session.authentication)?),
        authorization_json: Set(to_json(&session.authorization)?),
        device: Set(to_json(&session.device)?),
        device_id: Set(session.device_id().0),
        network: Set(to_json(&session.network)?),
        refresh_generation: Set(session.refresh.generation.0.into()),
        rotated_at: Set(session.refresh.rotated_at.0),
        metadata: Set(to_json(&session.metadata)?),
        seed: Set(seed.0.to_vec()),
        version: Set(signed(session.version.0)?),
    })
}

/// The session of a row.
pub(crate) fn seeded(row: Model) -> Result<Seeded, PortError> {
    let status = status(&row)?;
    let session = Session {
        id: SessionId(row.id),
        serial: Serial(unsigned(row.serial)?),
        tenant: row.tenant.parse().map_err(damaged)?,
        user: row.user_id.parse().map_err(damaged)?,
        status,
        created_at: Timestamp(row.created_at),
        last_seen_at: Timestamp(row.last_seen_at),
        expires_at: Timestamp(row.expires_at),
        absolute_expires_at: Timestamp(row.absolute_expires_at),
        idle_timeout: row
            .idle_timeout
            .map(|idle| unsigned(idle).map(Duration::from_micros))
            .transpose()?,
        authentication: from_json(&row.authentication)?,
        authorization: from_json(&row.authorization_json)?,
        device: from_json(&row.device)?,
        network: from_json(&row.network)?,
        refresh: RefreshState {
            generation: Generation(row.refresh_generation.try_into().map_err(damaged)?),
            rotated_at: Timestamp(row.rotated_at),
        },
        metadata: from_json(&row.metadata)?,
        version: Version(unsigned(row.version)?),
    };
    Ok(Seeded {
        session,
        seed: secret(row.seed)?,
    })
}

fn status(row: &Model) -> Result<Status, PortError> {
    match (row.ended_at, &row.end_reason, row.ended_seq) {
        (None, None, None) => Ok(Status::Active),
        (Some(at), Some(reason), Some(seq)) => {
            let reason =
                EndReason::from_name(reason).ok_or_else(|| damaged("an unknown reason"))?;
            let seq = Seq(unsigned(seq)?);
            Ok(Status::Ended(Ending {
                at: Timestamp(at),
                reason,
                seq,
            }))
        }
        _ => Err(damaged("neither active nor ended")),
    }
}

/// A column's 32 secret bytes.
pub(crate) fn secret(bytes: Vec<u8>) -> Result<Secret256, PortError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| damaged("a secret that isn't 32 bytes"))?;
    Ok(Secret256(bytes))
}

/// A span in whole microseconds, as columns keep it.
pub(crate) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A column's text for a value.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, PortError> {
    serde_json::to_string(value).map_err(|error| PortError::fatal("write JSON", error))
}

/// The value of a column's text.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, PortError> {
    serde_json::from_str(text).map_err(|error| PortError::fatal("read JSON", error))
}

/// A row that isn't what we write.
pub(crate) fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::fatal("read a row", error)
}
