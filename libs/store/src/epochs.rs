//! The log's epochs: who holds leases in the one in force, how the next begins, and what is left
//! behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    Statement,
};
use session_domain::ids::{InstanceId, LogEpoch, Seq, Serial};
use session_domain::port::{Clock, Entropy, PortError};
use session_domain::revocation::{GrantReply, GrantRequest, Head, Holders, Lease, SerialRange};
use session_domain::time::Timestamp;
use uuid::Uuid;

use crate::dialect::{self, failed};
use crate::entity::{entry, lease, signed, unsigned};
use crate::lock::FileLock;
use crate::rows;

/// How long it is remembered that a lease was given up: a request of before that takes longer to
/// arrive was given up by the bus long ago.
const RELEASES_KEPT: Duration = Duration::from_mins(5);

/// Who holds leases: in one statement, so that the leases are of the epoch that is told with them.
pub(crate) async fn holders<C: ConnectionTrait>(db: &C) -> Result<Holders, PortError> {
    const WHAT: &str = "read leases";
    let sql = "SELECT head.epoch, head.seq, head.settled, head.lease_max,
            lease.instance, lease.counter, lease.applied, lease.duration, lease.secret
        FROM revocation_head AS head LEFT JOIN leases AS lease ON lease.released_at IS NULL
        WHERE head.id = 1";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let found = db.query_all_raw(statement).await.map_err(failed(WHAT))?;
    let first = found.first();
    let first = first.ok_or_else(|| rows::damaged("the revocation log has no head"))?;
    let number = |column| first.try_get::<i64>("", column).map_err(failed(WHAT));
    Ok(Holders {
        head: Head {
            epoch: LogEpoch(number("epoch")?.cast_unsigned()),
            seq: Seq(unsigned(number("seq")?)?),
        },
        settled: number("settled")? != 0,
        longest: Duration::from_micros(unsigned(number("lease_max")?)?),
        leases: found
            .iter()
            .filter_map(|row| lease(row).transpose())
            .collect::<Result<_, _>>()?,
    })
}

fn lease(row: &QueryResult) -> Result<Option<Lease>, PortError> {
    const WHAT: &str = "read a lease";
    let instance: Option<Uuid> = row.try_get("", "instance").map_err(failed(WHAT))?;
    let Some(instance) = instance else {
        return Ok(None);
    };
    let number = |column| unsigned(row.try_get::<i64>("", column).map_err(failed(WHAT))?);
    let secret = row.try_get::<Vec<u8>>("", "secret").map_err(failed(WHAT))?;
    Ok(Some(Lease {
        instance: InstanceId(instance),
        counter: number("counter")?,
        applied: Seq(number("applied")?),
        duration: Duration::from_micros(number("duration")?),
        secret: rows::secret(secret)?,
    }))
}

/// Notes that leases of this length are granted.
pub(crate) async fn note_length<C: ConnectionTrait>(
    db: &C,
    lease: Duration,
) -> Result<(), PortError> {
    let length = rows::micros(lease);
    let sql = format!("UPDATE revocation_head SET lease_max = {length} WHERE lease_max < {length}");
    execute(db, sql, "note the length of leases").await
}

/// Notes that every lease has run out that epochs before `epoch` may have granted.
pub(crate) async fn settle<C: ConnectionTrait>(db: &C, epoch: LogEpoch) -> Result<(), PortError> {
    let epoch = epoch.0.cast_signed();
    let sql = format!("UPDATE revocation_head SET settled = 1 WHERE epoch = {epoch}");
    execute(db, sql, "settle an epoch").await
}

/// Begins a new epoch, if somebody who has applied everything up to `applied` is ahead of the log:
/// what it has applied is lost, and its numbers must not be given to anything else.
pub(crate) async fn begin_unless_reached<C: ConnectionTrait>(
    db: &C,
    applied: Head,
) -> Result<(), PortError> {
    let (epoch, seq) = (applied.epoch.0.cast_signed(), signed(applied.seq.0)?);
    let sql =
        format!("UPDATE revocation_head SET origin = NULL WHERE epoch = {epoch} AND seq < {seq}");
    execute(db, sql, "begin an epoch").await
}

/// Begins a new epoch, whatever is known.
async fn begin<C: ConnectionTrait>(db: &C) -> Result<(), PortError> {
    let sql = "UPDATE revocation_head SET origin = NULL".to_owned();
    execute(db, sql, "begin an epoch").await
}

/// The longest lease a process has granted, noted in the database before the first was.
#[derive(Debug, Default)]
pub(crate) struct Longest(AtomicU64);

impl Longest {
    pub(crate) fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn is_news(&self, lease: Duration) -> bool {
        lease > self.get()
    }

    pub(crate) fn note(&self, lease: Duration) {
        let length = u64::try_from(rows::micros(lease)).unwrap_or(u64::MAX);
        self.0.fetch_max(length, Ordering::Relaxed);
    }
}

/// What a request says of the log, if it was refused for being ahead of it.
pub(crate) fn ahead(request: &GrantRequest, reply: &GrantReply) -> Option<Head> {
    let refused = matches!(reply, GrantReply::Rejoin { .. });
    request.applied.filter(|_| refused)
}

/// Something to write about the log, besides entries and grants.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LogWork {
    /// [`release`].
    Release(InstanceId, u64),
    /// [`forget`].
    Forget(InstanceId, u64),
    /// [`settle`].
    Settle(LogEpoch),
    /// [`begin_unless_reached`].
    BeginUnlessReached(Head),
    /// [`prune`].
    Prune(Duration, u32),
}

/// Writes it; gives what it counts, or nothing.
pub(crate) async fn carry_out<C: ConnectionTrait>(
    db: &C,
    work: LogWork,
    clock: &dyn Clock,
) -> Result<u64, PortError> {
    match work {
        LogWork::Release(instance, counter) => release(db, instance, counter, clock).await?,
        LogWork::Forget(instance, counter) => forget(db, instance, counter).await?,
        LogWork::Settle(epoch) => settle(db, epoch).await?,
        LogWork::BeginUnlessReached(applied) => begin_unless_reached(db, applied).await?,
        LogWork::Prune(keep, limit) => return prune(db, keep, limit, clock).await,
    }
    Ok(0)
}

async fn execute<C: ConnectionTrait>(
    db: &C,
    sql: String,
    what: &'static str,
) -> Result<(), PortError> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.execute_raw(statement).await.map_err(failed(what))?;
    Ok(())
}

/// The serials that were skipped when epochs began.
pub(crate) async fn skipped<C: ConnectionTrait>(db: &C) -> Result<Vec<SerialRange>, PortError> {
    const WHAT: &str = "read skipped serials";
    let sql = "SELECT first_serial, last_serial FROM skipped_serials ORDER BY first_serial";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.map_err(failed(WHAT))?;
    let range = |row: QueryResult| {
        let serial = |column| {
            let number: i64 = row.try_get("", column).map_err(failed(WHAT))?;
            Ok::<_, PortError>(Serial(unsigned(number)?))
        };
        Ok(SerialRange {
            first: serial("first_serial")?,
            last: serial("last_serial")?,
        })
    };
    rows.into_iter().map(range).collect()
}

/// Its holder gives a lease up. What stays refuses every request up to `counter` that arrives
/// later; nobody waits for it.
pub(crate) async fn release<C: ConnectionTrait>(
    db: &C,
    instance: InstanceId,
    counter: u64,
    clock: &dyn Clock,
) -> Result<(), PortError> {
    // A counter no row can have is nobody's.
    let Ok(counter) = i64::try_from(counter) else {
        return Ok(());
    };
    let at = dialect::now(db, clock).await?;
    let backend = db.get_database_backend();
    let insert = Query::insert()
        .into_table(lease::Entity)
        .columns([
            "instance",
            "counter",
            "applied",
            "granted_head",
            "duration",
            "secret",
            "activity_through",
            "released_at",
        ])
        .values_panic([
            instance.0.into(),
            counter.into(),
            0_i64.into(),
            0_i64.into(),
            0_i64.into(),
            vec![0_u8; 32].into(),
            i64::MAX.into(),
            at.0.into(),
        ])
        .on_conflict(
            OnConflict::column(lease::Column::Instance)
                .update_columns([lease::Column::Counter, lease::Column::Duration])
                .update_column(lease::Column::ActivityThrough)
                .value("released_at", at.0)
                .action_and_where(Expr::cust("leases.counter <= excluded.counter"))
                .to_owned(),
        )
        .to_owned();
    let done = db.execute_raw(backend.build(&insert)).await;
    done.map_err(failed("release a lease"))?;
    Ok(())
}

/// Deletes a lease, if its counter is still `counter`.
pub(crate) async fn forget<C: ConnectionTrait>(
    db: &C,
    instance: InstanceId,
    counter: u64,
) -> Result<(), PortError> {
    let Ok(counter) = i64::try_from(counter) else {
        return Ok(());
    };
    let delete = lease::Entity::delete_many()
        .filter(lease::Column::Instance.eq(instance.0))
        .filter(lease::Column::Counter.eq(counter))
        .filter(Expr::cust("released_at IS NULL"));
    delete.exec(db).await.map_err(failed("forget a lease"))?;
    Ok(())
}

/// Deletes entries nobody needs any more, at most `limit`.
///
/// Entries don't say when they were written. So it is noted where the log stands, and when `keep`
/// has passed, what is up to there is at least as old.
pub(crate) async fn prune<C: ConnectionTrait>(
    db: &C,
    keep: Duration,
    limit: u32,
    clock: &dyn Clock,
) -> Result<u64, PortError> {
    const WHAT: &str = "prune the log";
    let now = dialect::now(db, clock).await?;
    forget_releases(db, now.minus(RELEASES_KEPT)).await?;
    let sql = "SELECT seq, prune_seq, prune_at,
            (SELECT MIN(applied) FROM leases WHERE released_at IS NULL) AS applied
        FROM revocation_head WHERE id = 1";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.map_err(failed(WHAT))?;
    let row = row.ok_or_else(|| rows::damaged("the revocation log has no head"))?;
    let number = |column| row.try_get::<i64>("", column).map_err(failed(WHAT));
    let (seq, marked, marked_at) = (number("seq")?, number("prune_seq")?, number("prune_at")?);
    let applied = row
        .try_get::<Option<i64>>("", "applied")
        .map_err(failed(WHAT))?;
    if marked_at > 0 && marked_at > now.minus(keep).0 {
        return Ok(0);
    }
    let through = applied.map_or(marked, |applied| Ord::min(applied, marked));
    let pruned = delete_through(db, through, limit).await?;
    if marked_at == 0 || pruned < u64::from(limit) {
        // Not where somebody else has moved the mark meanwhile, or another epoch has begun.
        let sql = format!(
            "UPDATE revocation_head SET prune_seq = {seq}, prune_at = {}
             WHERE prune_at = {marked_at} AND prune_seq = {marked}",
            now.0
        );
        execute(db, sql, WHAT).await?;
    }
    Ok(pruned)
}

async fn delete_through<C: ConnectionTrait>(
    db: &C,
    through: i64,
    limit: u32,
) -> Result<u64, PortError> {
    const WHAT: &str = "delete log entries";
    // The oldest ones; as their numbers have no gaps, the last of them bounds them.
    let last = entry::Entity::find()
        .select_only()
        .column(entry::Column::Seq)
        .filter(entry::Column::Seq.lte(through))
        .order_by_asc(entry::Column::Seq)
        .limit(u64::from(limit))
        .into_tuple::<i64>()
        .all(db)
        .await
        .map_err(failed(WHAT))?;
    let Some(last) = last.last() else {
        return Ok(0);
    };
    let delete = entry::Entity::delete_many().filter(entry::Column::Seq.lte(*last));
    let done = delete.exec(db).await.map_err(failed(WHAT))?;
    Ok(done.rows_affected)
}

async fn forget_releases<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<(), PortError> {
    let delete = lease::Entity::delete_many().filter(Expr::cust("released_at").lt(before.0));
    delete.exec(db).await.map_err(failed("forget releases"))?;
    Ok(())
}

/// How a file and the word beside it tell that it is the one that was written last.
#[derive(Debug)]
struct Place {
    epoch: i64,
    seq: i64,
    next_serial: i64,
    origin: Option<String>,
}

impl Place {
    async fn read<C: ConnectionTrait>(db: &C) -> Result<Self, PortError> {
        const WHAT: &str = "read where the log stands";
        let sql = "SELECT epoch, seq, next_serial, origin FROM revocation_head WHERE id = 1";
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await.map_err(failed(WHAT))?;
        let row = row.ok_or_else(|| rows::damaged("the revocation log has no head"))?;
        let number = |column| row.try_get::<i64>("", column).map_err(failed(WHAT));
        Ok(Self {
            epoch: number("epoch")?,
            seq: number("seq")?,
            next_serial: number("next_serial")?,
            origin: row.try_get("", "origin").map_err(failed(WHAT))?,
        })
    }

    fn is_fresh(&self) -> bool {
        self.seq == 0 && self.next_serial == 1
    }

    /// The word that is left when the file is closed.
    fn closed(&self) -> String {
        format!("closed {:x} {} {}", self.epoch, self.seq, self.next_serial)
    }
}

/// The word that is left while the file is open.
fn open(run: &str) -> String {
    format!("open {run}")
}

/// Begins a new epoch in a file that isn't the one that was written last: one that was restored
/// from a backup, or came without the word beside it. From now on it is this process's.
pub(crate) async fn recognise<C: ConnectionTrait>(
    db: &C,
    lock: &FileLock,
    entropy: &dyn Entropy,
) -> Result<(), PortError> {
    const WHAT: &str = "recognise the database";
    let unreadable = |error| PortError::fatal(WHAT, error);
    let (place, word) = (Place::read(db).await?, lock.word().map_err(unreadable)?);
    // A process that was killed has left the word it began with.
    let same =
        word == place.closed() || place.origin.as_deref().is_some_and(|run| word == open(run));
    if !same && !place.is_fresh() {
        begin(db).await?;
    }
    let run = format!("{:016x}", entropy.number());
    execute(
        db,
        format!("UPDATE revocation_head SET origin = '{run}'"),
        WHAT,
    )
    .await?;
    lock.leave_word(&open(&run)).map_err(unreadable)
}

/// Leaves word of how the file was closed.
pub(crate) async fn part<C: ConnectionTrait>(db: &C, lock: &FileLock) -> Result<(), PortError> {
    let place = Place::read(db).await?;
    let left = lock.leave_word(&place.closed());
    left.map_err(|error| PortError::fatal("leave word of the database", error))
}
