//! Which serials are dead: those of ended sessions, and those a session left behind.

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use session_domain::ids::{Seq, Serial};
use session_domain::port::PortError;

use crate::closing::Superseded;
use crate::dialect::failed;
use crate::entity::{session, signed, superseded, unsigned};

/// The dead serials in `from..to`, in their order, at most `limit`.
pub(crate) async fn ended<C: ConnectionTrait>(
    db: &C,
    from: Serial,
    to: Serial,
    limit: Option<u64>,
) -> Result<Vec<Serial>, PortError> {
    let sessions = session::Entity::find().filter(session::Column::EndedSeq.is_not_null());
    let mut serials = read(db, sessions, session::Column::Serial, from, to, limit).await?;
    let superseded = superseded::Entity::find();
    serials.extend(read(db, superseded, superseded::Column::Serial, from, to, limit).await?);
    serials.sort_unstable();
    serials.truncate(limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    }));
    serials
        .into_iter()
        .map(|serial| unsigned(serial).map(Serial))
        .collect()
}

async fn read<C: ConnectionTrait, E: EntityTrait>(
    db: &C,
    select: Select<E>,
    serial: E::Column,
    from: Serial,
    to: Serial,
    limit: Option<u64>,
) -> Result<Vec<i64>, PortError> {
    // No serial is beyond i64, so a range that is ends there.
    let bound = |serial: Serial| i64::try_from(serial.0).unwrap_or(i64::MAX);
    let select = select
        .select_only()
        .column(serial)
        .filter(serial.gte(bound(from)))
        .filter(serial.lt(bound(to)))
        .order_by_asc(serial)
        .limit(limit);
    let serials = select.into_tuple::<i64>().all(db).await;
    serials.map_err(failed("read ended serials"))
}

/// Remembers a serial that a session left behind with log entry `seq`. Kept until no credential
/// of it can be within its own time any more: that of the session's absolute end.
pub(crate) async fn insert_superseded<C: ConnectionTrait>(
    db: &C,
    left: &Superseded,
    seq: Seq,
) -> Result<(), PortError> {
    let row = superseded::ActiveModel {
        serial: Set(signed(left.serial.0)?),
        session_id: Set(left.session.0),
        ended_seq: Set(signed(seq.0)?),
        purge_after: Set(left.purge_after.0),
    };
    let done = superseded::Entity::insert(row)
        .exec_without_returning(db)
        .await;
    done.map_err(failed("remember a superseded serial"))?;
    Ok(())
}
