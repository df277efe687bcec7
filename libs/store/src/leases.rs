//! Leases: granting, giving up, reading.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use session_domain::ids::{InstanceId, Seq};
use session_domain::port::{Clock, Entropy, Heard, PortError};
use session_domain::revocation::{Grant, GrantReply, GrantRequest, Head, Lease};
use session_domain::time::Timestamp;

use crate::dialect::{self, failed};
use crate::entity::lease::{ActiveModel, Column, Entity, Model};
use crate::entity::{signed, unsigned};
use crate::{log, rows, sessions};

/// Grants or renews a lease. The head stays locked until the transaction ends, so no entry can
/// slip in between what the grant says and when its row is seen by whoever waits for leases.
pub(crate) async fn grant<C: ConnectionTrait>(
    db: &C,
    request: &GrantRequest,
    lease: Duration,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<GrantReply, PortError> {
    let counter = request.counter;
    let head = log::lock_head(db).await?;
    let known = Entity::find_by_id(request.instance.0)
        .one(db)
        .await
        .map_err(failed("find a lease"))?;
    if known
        .as_ref()
        .is_some_and(|known| signed(counter).is_ok_and(|counter| counter <= known.counter))
    {
        return Err(PortError::fatal(
            "grant a lease",
            "the counter doesn't rise",
        ));
    }
    match standing(request, head, known.as_ref())? {
        Standing::Stranger => return Ok(GrantReply::Rejoin { counter }),
        Standing::Behind => return Ok(GrantReply::Lagging { counter, head }),
        Standing::Good => {}
    }
    let applied = request.applied.map_or(Seq(0), |applied| applied.seq);
    // Read after the request arrived, as the holder counts from before it asked.
    let server_time = dialect::now(db, clock).await?;
    let row = renewed(request, applied, head, lease, known, server_time, entropy)?;
    let secret = rows::secret(row.secret.clone())?;
    upsert(db, row).await?;
    let due = sessions::first_due(db).await?;
    let reaped_through = due.map_or(server_time, |due| due.min(server_time));
    Ok(GrantReply::Granted(Grant {
        counter,
        head,
        lease,
        server_time,
        reaped_through,
        secret,
    }))
}

/// Whether the asker may have a lease.
enum Standing {
    /// It follows another epoch, or numbers that don't exist.
    Stranger,
    /// It hasn't applied what it was granted before.
    Behind,
    /// It may.
    Good,
}

fn standing(
    request: &GrantRequest,
    head: Head,
    known: Option<&Model>,
) -> Result<Standing, PortError> {
    let Some(applied) = request.applied else {
        // It joins, for the first time or anew: it has nothing to have fallen behind with, and its
        // grant counts only once it has applied everything up to the head.
        return Ok(Standing::Good);
    };
    if !request.follows(head.epoch) || applied.seq > head.seq {
        return Ok(Standing::Stranger);
    }
    let granted = known
        .map(|known| unsigned(known.granted_head))
        .transpose()?;
    Ok(if granted.is_some_and(|granted| applied.seq.0 < granted) {
        Standing::Behind
    } else {
        Standing::Good
    })
}

fn renewed(
    request: &GrantRequest,
    applied: Seq,
    head: Head,
    lease: Duration,
    known: Option<Model>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Model, PortError> {
    // Rounded up: whoever waits for a lease may wait too long, never too short.
    let granted = rows::micros(lease.saturating_add(Duration::from_nanos(999)));
    let (secret, duration, activity_through) = match known {
        // The holder may never hear of this grant, or be using the one before it: while a
        // deployment changes the length of leases, that may be the longer one. No clock tells us
        // here when it ran out, so the longest ever granted to this instance counts for as long as
        // it lives; the next process has another id.
        Some(known) => (
            known.secret,
            known.duration.max(granted),
            known.activity_through,
        ),
        // It has answered nobody yet, so there is nothing it could have told of.
        None => (entropy.secret().0.to_vec(), granted, now.0),
    };
    Ok(Model {
        instance: request.instance.0,
        counter: signed(request.counter)?,
        applied: signed(applied.0)?,
        granted_head: signed(head.seq.0)?,
        duration,
        secret,
        activity_through,
    })
}

async fn upsert<C: ConnectionTrait>(db: &C, row: Model) -> Result<(), PortError> {
    let row = ActiveModel {
        instance: Set(row.instance),
        counter: Set(row.counter),
        applied: Set(row.applied),
        granted_head: Set(row.granted_head),
        duration: Set(row.duration),
        secret: Set(row.secret),
        activity_through: Set(row.activity_through),
    };
    let renewed = OnConflict::column(Column::Instance)
        .update_columns([
            Column::Counter,
            Column::Applied,
            Column::GrantedHead,
            Column::Duration,
        ])
        .to_owned();
    let done = Entity::insert(row)
        .on_conflict(renewed)
        .exec_without_returning(db)
        .await;
    done.map_err(failed("write a lease"))?;
    Ok(())
}

/// Notes up to when a holder has told of every use; forward only. Whoever holds no lease answers
/// nobody from memory, so there is nothing to note of it.
pub(crate) async fn hear<C: ConnectionTrait>(db: &C, heard: Heard) -> Result<(), PortError> {
    let update = Entity::update_many()
        .col_expr(Column::ActivityThrough, Expr::value(heard.through.0))
        .filter(Column::Instance.eq(heard.from.0))
        .filter(Column::ActivityThrough.lt(heard.through.0));
    update
        .exec(db)
        .await
        .map_err(failed("note what was heard"))?;
    Ok(())
}

/// Up to when every holder has told of every use; `None` where nobody holds a lease.
pub(crate) async fn heard_through<C: ConnectionTrait>(
    db: &C,
) -> Result<Option<Timestamp>, PortError> {
    let least = Entity::find()
        .select_only()
        .column_as(Column::ActivityThrough.min(), "least")
        .into_tuple::<Option<i64>>()
        .one(db)
        .await
        .map_err(failed("read what was heard"))?;
    Ok(least.flatten().map(Timestamp))
}

/// Gives up a lease if its counter is still `counter`.
pub(crate) async fn release<C: ConnectionTrait>(
    db: &C,
    instance: InstanceId,
    counter: u64,
) -> Result<(), PortError> {
    // A counter no row can have is nobody's.
    let Ok(counter) = i64::try_from(counter) else {
        return Ok(());
    };
    let delete = Entity::delete_many()
        .filter(Column::Instance.eq(instance.0))
        .filter(Column::Counter.eq(counter));
    delete.exec(db).await.map_err(failed("release a lease"))?;
    Ok(())
}

/// Every lease.
pub(crate) async fn all<C: ConnectionTrait>(db: &C) -> Result<Vec<Lease>, PortError> {
    let rows = Entity::find()
        .all(db)
        .await
        .map_err(failed("read leases"))?;
    let lease = |row: Model| {
        Ok(Lease {
            instance: InstanceId(row.instance),
            counter: unsigned(row.counter)?,
            applied: Seq(unsigned(row.applied)?),
            duration: Duration::from_micros(unsigned(row.duration)?),
            secret: rows::secret(row.secret)?,
        })
    };
    rows.into_iter().map(lease).collect()
}
