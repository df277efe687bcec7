//! The revocation log: appending under the head's lock, and reading.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    TryInsertResult,
};
use session_domain::ids::{LogEpoch, Seq, Serial, TenantId};
use session_domain::port::{Entropy, PortError};
use session_domain::revocation::{
    Head, LogEntry, LogRun, Publication, SNAPSHOT_FLOORS_MAX, SNAPSHOT_LISTS_MAX, Snapshot,
    SnapshotMark,
};

use crate::dialect::failed;
use crate::entity::{entry, floor, head, signed, unsigned};
use crate::rows::{damaged, from_json, to_json};
use crate::serials;
use crate::{epochs, keys};

/// The one row of `revocation_head`.
const HEAD_ID: i64 = 1;

/// Founds the log, where that wasn't done: draws the epoch its numbers belong to.
pub(crate) async fn found<C: ConnectionTrait>(
    db: &C,
    entropy: &dyn Entropy,
) -> Result<(), PortError> {
    let row = head::ActiveModel {
        id: Set(HEAD_ID),
        epoch: Set(entropy.number().cast_signed()),
        seq: Set(0),
        next_serial: Set(1),
    };
    let done = head::Entity::insert(row)
        .on_conflict_do_nothing()
        .exec_without_returning(db)
        .await;
    match done.map_err(failed("found the log"))? {
        TryInsertResult::Empty | TryInsertResult::Conflicted | TryInsertResult::Inserted(_) => {
            Ok(())
        }
    }
}

/// The newest entry's number.
pub(crate) async fn head<C: ConnectionTrait>(db: &C) -> Result<Head, PortError> {
    let row = head::Entity::find_by_id(HEAD_ID).one(db).await;
    to_head(row.map_err(failed("read the log's head"))?)
}

/// The newest entry's number; no entry is added until the transaction ends.
pub(crate) async fn lock_head<C: ConnectionTrait>(db: &C) -> Result<Head, PortError> {
    let row = head::Entity::find_by_id(HEAD_ID)
        .lock_exclusive()
        .one(db)
        .await;
    to_head(row.map_err(failed("lock the log's head"))?)
}

/// Takes the next `count` numbers, and with them the lock that orders commits: nothing that can
/// wait for another transaction may follow. Gives the head before them.
pub(crate) async fn reserve<C: ConnectionTrait>(db: &C, count: usize) -> Result<Head, PortError> {
    let count = signed(count as u64)?;
    let moved = head::Entity::update_many()
        .col_expr(head::Column::Seq, Expr::col(head::Column::Seq).add(count))
        .filter(head::Column::Id.eq(HEAD_ID))
        .exec_with_returning(db)
        .await
        .map_err(failed("take log numbers"))?;
    to_head(moved.into_iter().next().map(|row| head::Model {
        seq: row.seq - count,
        ..row
    }))
}

/// Writes the entries whose numbers were reserved when the head was `before`.
pub(crate) async fn append<C: ConnectionTrait>(
    db: &C,
    before: Head,
    entries: Vec<LogEntry>,
) -> Result<Publication, PortError> {
    let publication = Publication {
        epoch: before.epoch,
        after: before.seq,
        entries,
    };
    let row = |(seq, entry): (Seq, &LogEntry)| {
        Ok::<_, PortError>(entry::ActiveModel {
            seq: Set(signed(seq.0)?),
            entry: Set(to_json(entry)?),
        })
    };
    let rows = publication
        .numbered()
        .map(row)
        .collect::<Result<Vec<_>, _>>()?;
    entry::Entity::insert_many(rows)
        .exec_without_returning(db)
        .await
        .map_err(failed("append log entries"))?;
    Ok(publication)
}

/// The entries after `after.seq` of its epoch, at most `limit`.
pub(crate) async fn entries<C: ConnectionTrait>(
    db: &C,
    after: Head,
    limit: u32,
) -> Result<LogRun, PortError> {
    // First: up to here, what isn't found is gone.
    let before = head(db).await?;
    // Beyond i64 there is nothing.
    let from = i64::try_from(after.seq.0).unwrap_or(i64::MAX);
    let select = entry::Entity::find()
        .filter(entry::Column::Seq.gt(from))
        .order_by_asc(entry::Column::Seq);
    let rows = select
        .limit(u64::from(limit))
        .all(db)
        .await
        .map_err(failed("read log entries"))?;
    // Once more, as another history may have begun while they were read. None comes back.
    let current = head(db).await?.epoch;
    if current != after.epoch || before.epoch != after.epoch {
        return Ok(LogRun::Foreign { current });
    }
    let follows = rows.first().is_none_or(|row| row.seq == from + 1);
    if !follows || (rows.is_empty() && after.seq < before.seq && limit > 0) {
        return Ok(LogRun::Pruned);
    }
    let entries = rows.into_iter().map(|row| from_json(&row.entry));
    Ok(LogRun::Entries(entries.collect::<Result<_, _>>()?))
}

/// Where a joining follower starts, or the part of it after `mark`.
pub(crate) async fn snapshot<C: ConnectionTrait>(
    db: &C,
    mark: Option<&SnapshotMark>,
) -> Result<Snapshot, PortError> {
    // First: what is read afterwards may be newer than this says, never older.
    let head = head(db).await?;
    let mut snapshot = Snapshot {
        head,
        keys: Vec::new(),
        skipped: Vec::new(),
        floors: Vec::new(),
        lists: Vec::new(),
        after: mark.cloned(),
        more: None,
    };
    if mark.is_none() {
        let keys = keys::signing_keys(db).await?.into_iter();
        let keys = keys.filter(|key| key.retired_at.is_none());
        snapshot.keys = keys.map(|key| key.public).collect();
        snapshot.skipped = epochs::skipped(db).await?;
    }
    let mut reached = mark.cloned().unwrap_or(SnapshotMark {
        floor: None,
        list: None,
    });
    snapshot.floors = floors(db, reached.floor.as_ref()).await?;
    snapshot.lists = lists(db, reached.list).await?;
    let full =
        snapshot.floors.len() == SNAPSHOT_FLOORS_MAX || snapshot.lists.len() == SNAPSHOT_LISTS_MAX;
    if let Some((tenant, _)) = snapshot.floors.last() {
        reached.floor = Some(tenant.clone());
    }
    reached.list = snapshot.lists.last().copied().or(reached.list);
    snapshot.more = full.then_some(reached);
    Ok(snapshot)
}

/// The floors after that of `after`, in their order.
async fn floors<C: ConnectionTrait>(
    db: &C,
    after: Option<&Option<TenantId>>,
) -> Result<Vec<(Option<TenantId>, Serial)>, PortError> {
    let mut select = floor::Entity::find().order_by_asc(floor::Column::Tenant);
    if let Some(after) = after {
        let after = crate::floors::name(after.as_ref());
        select = select.filter(floor::Column::Tenant.gt(after));
    }
    let rows = select
        .limit(SNAPSHOT_FLOORS_MAX as u64)
        .all(db)
        .await
        .map_err(failed("read floors"))?;
    let floor = |row: floor::Model| {
        let tenant = if row.tenant.is_empty() {
            None
        } else {
            Some(row.tenant.parse().map_err(damaged)?)
        };
        Ok((tenant, Serial(unsigned(row.through)?)))
    };
    rows.into_iter().map(floor).collect()
}

/// The lists with a bit set, after the list `after`. Leaps from list to list: one look into the index for each, however
/// many serials have ended.
async fn lists<C: ConnectionTrait>(db: &C, after: Option<u64>) -> Result<Vec<u64>, PortError> {
    let mut lists = Vec::new();
    let mut from = after.map_or(Some(Serial(0)), |after| Serial::at(after + 1, 0));
    while let Some(start) = from.filter(|_| lists.len() < SNAPSHOT_LISTS_MAX) {
        let first = serials::ended(db, start, Serial(u64::MAX), Some(1)).await?;
        from = first.first().and_then(|serial| {
            let (list, _) = serial.place();
            lists.push(list);
            Serial::at(list + 1, 0)
        });
    }
    Ok(lists)
}

fn to_head(row: Option<head::Model>) -> Result<Head, PortError> {
    let row = row.ok_or_else(|| damaged("the revocation log has no head"))?;
    Ok(Head {
        epoch: LogEpoch(row.epoch.cast_unsigned()),
        seq: Seq(unsigned(row.seq)?),
    })
}
