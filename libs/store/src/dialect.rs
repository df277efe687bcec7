//! Every difference between the engines that running code knows of. (Those of the schema are in
//! the file of the same name in `session-migrations`.)

mod errors;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    SqliteTransactionMode, SqlxError, SqlxPostgresConnector, SqlxSqliteConnector, Statement,
    TransactionOptions,
};
use session_domain::ids::Serial;
use session_domain::port::{Clock, PortError};
use session_domain::time::Timestamp;

pub(crate) use errors::{
    PostgresRefusal, failed, is_severed, is_sqlite_corrupt, is_sqlite_recovery_needed,
    is_turned_back, may_have_committed, postgres_refusal,
};

use crate::entity::unsigned;

/// How long a connection waits for SQLite's file locks. Only checkpoints hold them against us:
/// there is one writer, and readers never wait for it in WAL mode.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How a writing transaction begins. SQLite's would otherwise start as a reader and could find,
/// at its first write, that it can't become a writer.
pub(crate) const WRITING: TransactionOptions = TransactionOptions {
    isolation_level: None,
    access_mode: None,
    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
};

/// How the file is opened for writing. `FULL` makes a commit durable when it returns: in WAL mode
/// `NORMAL` loses the last ones when power fails.
pub(crate) fn sqlite_writing(path: &Path) -> SqliteConnectOptions {
    sqlite(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
}

/// How the file is opened for reading.
pub(crate) fn sqlite_reading(path: &Path) -> SqliteConnectOptions {
    sqlite(path).read_only(true)
}

/// How the file is opened to look at it only. `immutable` leaves no trace, not even the files
/// SQLite keeps beside it, but reads past a write-ahead log; so not where there is one.
pub(crate) fn sqlite_looking(path: &Path, immutable: bool) -> SqliteConnectOptions {
    sqlite_reading(path).immutable(immutable)
}

fn sqlite(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        // Statements are ours and known; logging each would only cost.
        .disable_statement_logging()
}

/// A pool of at most `size` connections that stay open.
pub(crate) async fn sqlite_pool(
    options: SqliteConnectOptions,
    size: u32,
) -> Result<DatabaseConnection, DbErr> {
    let pool = SqlitePoolOptions::new()
        .max_connections(size)
        .idle_timeout(None)
        .max_lifetime(None)
        // A connection is a file in this process: it doesn't go away while nobody looks.
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// What SQLite says of a damaged file: nothing, or `ok`, is good. `whole` reads all of it.
pub(crate) fn sqlite_check(whole: bool) -> Statement {
    let sql = if whole {
        "PRAGMA quick_check(1)"
    } else {
        "SELECT 'ok' AS quick_check"
    };
    Statement::from_string(DbBackend::Sqlite, sql)
}

/// The names of the tables in a SQLite file.
pub(crate) fn sqlite_tables() -> Statement {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    Statement::from_string(DbBackend::Sqlite, sql)
}

/// Reads the first and the last row of a table in a SQLite file.
pub(crate) fn sqlite_edges(table: &str) -> [Statement; 2] {
    ["ASC", "DESC"].map(|order| {
        let sql = format!("SELECT * FROM \"{table}\" ORDER BY rowid {order} LIMIT 1");
        Statement::from_string(DbBackend::Sqlite, sql)
    })
}

/// How long a connection to PostgreSQL may have been idle and is used without asking whether it is
/// still there. Asking each time would double what a look-up costs.
const UNASKED_WITHIN: Duration = Duration::from_secs(1);

/// How long it may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(2);

/// Makes commits durable where a login's or a database's own settings say otherwise: what was
/// answered must not be lost. Stricter ones than `on` stay.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

/// Begins a new epoch of the log where the database is another than the one before: the first word
/// on every connection, so before anything is written, and any serial drawn, on a server that took
/// over from another. A standby refuses it, and isn't used.
const RECOGNISE: &str = "UPDATE revocation_head SET origin = NULL WHERE id = 1
    AND origin IS DISTINCT FROM revocation_origin('revocation_head'::regclass)";

/// Whether the schema isn't there yet, or not as far: undefined table, column or function.
fn is_unmigrated(error: &dyn DatabaseError) -> bool {
    let code = error.code();
    code.is_some_and(|code| ["42P01", "42703", "42883"].contains(&&*code))
}

/// Whether a connection that is given back is perhaps still waiting for an answer: the pool asks all
/// of them for a sign of life, but waits for it as long as it takes, and can't be used meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Suspects(AtomicU32);

impl Suspects {
    /// More than are given back between a note and the connection it is about.
    const MANY: u32 = 1_000;

    /// Somebody stops waiting for an answer; the connection will be given back at once.
    pub(crate) fn note(&self) {
        self.0.store(Self::MANY, Ordering::Release);
    }

    fn take(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        let taken = self
            .0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, take);
        taken.is_ok()
    }
}

/// A pool of at most `size` connections to PostgreSQL. Waits at most `patience` for one.
pub(crate) async fn postgres_pool(
    options: PgConnectOptions,
    size: u32,
    patience: Duration,
    suspects: &Arc<Suspects>,
) -> Result<DatabaseConnection, DbErr> {
    // Statements are ours and known; logging each would only cost.
    let options = options.disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(patience)
        .after_connect(|connection, _| Box::pin(introduce(connection)))
        .test_before_acquire(false)
        .before_acquire(|connection, known| {
            Box::pin(async move {
                let fresh = known.idle_for < UNASKED_WITHIN;
                Ok(fresh || is_there(connection).await.is_ok())
            })
        })
        .after_release({
            let suspects = Arc::clone(suspects);
            move |connection, _| {
                let suspected = suspects.take();
                Box::pin(async move {
                    if suspected {
                        is_there(connection).await?;
                    }
                    Ok(true)
                })
            }
        });
    let connected = async {
        // One by itself first: of those, a pool would only say that it has waited in vain.
        let greeted = tokio::time::timeout(patience, greet(&options)).await;
        greeted.unwrap_or(Err(SqlxError::PoolTimedOut))?;
        pool.connect_with(options).await
    };
    let pool = connected
        .await
        .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Whether a server can be used with these options, and why not.
async fn greet(options: &PgConnectOptions) -> Result<(), SqlxError> {
    let mut connection = PgConnection::connect_with(options).await?;
    introduce(&mut connection).await?;
    connection.close().await
}

/// What a connection says first.
async fn introduce(connection: &mut PgConnection) -> Result<(), SqlxError> {
    connection.execute(DURABLE).await?;
    match connection.execute(RECOGNISE).await {
        Err(SqlxError::Database(error)) if is_unmigrated(&*error) => Ok(()),
        recognised => recognised.map(|_| ()),
    }
}

/// Whether the server is still there at the other end.
async fn is_there(connection: &mut PgConnection) -> Result<(), SqlxError> {
    let asked = tokio::time::timeout(PONG_WITHIN, connection.ping()).await;
    asked.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

/// Whether a PostgreSQL server waits for the disk at all. No connection can make it.
pub(crate) async fn postgres_syncs<C: ConnectionTrait>(db: &C) -> Result<bool, DbErr> {
    let sql = "SELECT current_setting('fsync') = 'on' AS syncs";
    let row = db
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await?;
    row.map_or(Ok(false), |row| row.try_get("", "syncs"))
}

/// The version of a PostgreSQL server, as a number: 15.4 is 150004.
pub(crate) async fn postgres_version<C: ConnectionTrait>(db: &C) -> Result<i32, DbErr> {
    let sql = "SELECT current_setting('server_version_num')::int AS version";
    let row = db
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await?;
    row.map_or(Ok(0), |row| row.try_get("", "version"))
}

/// The authority's time. PostgreSQL has a clock of its own, so that those of the hosts that ask it
/// don't matter; a SQLite file has its process's. Read when the statement runs, not when the
/// transaction began.
pub(crate) async fn now<C: ConnectionTrait>(
    db: &C,
    clock: &dyn Clock,
) -> Result<Timestamp, PortError> {
    Ok(own_time(db).await?.unwrap_or_else(|| clock.wall()))
}

/// The time by the database's own clock; `None` where it has none.
async fn own_time<C: ConnectionTrait>(db: &C) -> Result<Option<Timestamp>, PortError> {
    const WHAT: &str = "read the time";
    let backend = db.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(None);
    }
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
    let row = db
        .query_one_raw(Statement::from_string(backend, sql))
        .await
        .map_err(failed(WHAT))?;
    let row = row.ok_or_else(|| PortError::fatal(WHAT, "no answer"))?;
    let now = row.try_get("", "now").map_err(failed(WHAT))?;
    Ok(Some(Timestamp(now)))
}

/// Lets one transaction at a time decide about what is named: rows that aren't there yet can't be
/// locked. All names of a transaction at once, and in one order, so that no two transactions wait
/// for each other. SQLite has one writer anyway.
pub(crate) async fn lock_names<C: ConnectionTrait>(
    db: &C,
    names: Vec<String>,
) -> Result<(), PortError> {
    const WHAT: &str = "lock names";
    let backend = db.get_database_backend();
    if backend == DbBackend::Sqlite || names.is_empty() {
        return Ok(());
    }
    // Two names with one hash wait for each other without need, nothing worse.
    let sql = "SELECT pg_advisory_xact_lock(hash) FROM
        (SELECT DISTINCT hashtextextended(name, 0) AS hash FROM unnest($1) AS name ORDER BY 1) AS hashes";
    let statement = Statement::from_sql_and_values(backend, sql, [names.into()]);
    db.query_all_raw(statement).await.map_err(failed(WHAT))?;
    Ok(())
}

/// Has the floors to itself until the transaction ends: waits for everybody who has drawn a serial
/// ([`next_serial`]), and they for this. Comes before the counters and the log's head.
pub(crate) async fn lock_floors<C: ConnectionTrait>(db: &C) -> Result<(), PortError> {
    let backend = db.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(());
    }
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended('floors', 0))";
    let statement = Statement::from_string(backend, sql);
    let done = db.execute_raw(statement).await;
    done.map_err(failed("lock the floors"))?;
    Ok(())
}

/// What every counter of sessions says, those counted with floors included, as a source of rows
/// and a condition to go on from; of the tenant that is the first parameter, or of all.
pub(crate) fn every_counter(of_tenant: bool) -> String {
    let of_tenant = if of_tenant { "tenant = $1" } else { "1 = 1" };
    format!(
        "FROM (SELECT tenant, counter, label, count FROM session_counters UNION ALL
         SELECT tenant, counter, label, count FROM floored_counters) AS every WHERE {of_tenant}"
    )
}

/// Counts all that is active as ended for `reason`, in `floored_counters`.
pub(crate) fn floor_counters(of_tenant: bool, reason: &str) -> String {
    let every = every_counter(of_tenant);
    format!(
        "INSERT INTO floored_counters (tenant, counter, label, part, count)
         SELECT * FROM (
             SELECT tenant, counter, label, 0 AS part, CAST(-SUM(count) AS BIGINT) AS count
             {every} AND counter IN ('active', 'country', 'kind')
             GROUP BY tenant, counter, label
             UNION ALL
             SELECT tenant, 'ended', '{reason}', 0, CAST(SUM(count) AS BIGINT)
             {every} AND counter = 'active'
             GROUP BY tenant
         ) AS floored WHERE count <> 0 ORDER BY tenant, counter, label
         ON CONFLICT (tenant, counter, label, part)
         DO UPDATE SET count = floored_counters.count + excluded.count"
    )
}

/// The earlier of `at` and the database's own time, where it has one.
pub(crate) async fn at_most_now<C: ConnectionTrait>(
    db: &C,
    at: Timestamp,
) -> Result<Timestamp, PortError> {
    Ok(own_time(db).await?.map_or(at, |now| now.min(at)))
}

/// The transactions that are writing events. Only PostgreSQL has some that run side by side; they
/// are known by the lock on the table that each takes before it draws an event's number, and gives
/// up once what it wrote is seen. Nobody waits for that lock, and all may see who holds it.
pub(crate) async fn event_writers<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, PortError> {
    const WHAT: &str = "look who writes events";
    let sql = "SELECT virtualtransaction AS writer FROM pg_locks
        WHERE locktype = 'relation' AND relation = 'session_events'::regclass AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND mode = 'RowExclusiveLock'";
    let rows = db
        .query_all_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await
        .map_err(failed(WHAT))?;
    let writers = rows.into_iter().map(|row| row.try_get("", "writer"));
    writers.collect::<Result<_, DbErr>>().map_err(failed(WHAT))
}

/// Draws the next serial, and holds the floors first, together with others who draw: until the
/// transaction ends, none is raised. So no session turns up below a floor after it was raised, and whoever
/// looks for floors after drawing sees every one that is below what was drawn.
pub(crate) async fn next_serial<C: ConnectionTrait>(db: &C) -> Result<Serial, PortError> {
    const WHAT: &str = "draw a serial";
    let backend = db.get_database_backend();
    let sql = if backend == DbBackend::Sqlite {
        "UPDATE revocation_head SET next_serial = next_serial + 1 RETURNING next_serial - 1 AS serial"
    } else {
        // Drawn for a row that is there once the lock is.
        "WITH held AS MATERIALIZED
            (SELECT pg_advisory_xact_lock_shared(hashtextextended('floors', 0)))
         SELECT nextval('session_serial') AS serial FROM held"
    };
    let row = db
        .query_one_raw(Statement::from_string(backend, sql))
        .await
        .map_err(failed(WHAT))?;
    let row = row.ok_or_else(|| PortError::fatal(WHAT, "the revocation log has no head"))?;
    Ok(Serial(unsigned(
        row.try_get("", "serial").map_err(failed(WHAT))?,
    )?))
}

/// Draws serials for many, as [`next_serial`] does for one. Only where rows are written side by
/// side are many drawn at once: on PostgreSQL.
pub(crate) async fn next_serials<C: ConnectionTrait>(
    db: &C,
    count: usize,
) -> Result<Vec<Serial>, PortError> {
    const WHAT: &str = "draw serials";
    if count == 0 {
        return Ok(Vec::new());
    }
    let sql = "WITH held AS MATERIALIZED
            (SELECT pg_advisory_xact_lock_shared(hashtextextended('floors', 0)))
        SELECT nextval('session_serial') AS serial FROM held, generate_series(1, $1)";
    let count = i64::try_from(count).map_err(|error| PortError::fatal(WHAT, error))?;
    let draw = Statement::from_sql_and_values(DbBackend::Postgres, sql, [count.into()]);
    let rows = db.query_all_raw(draw).await.map_err(failed(WHAT))?;
    rows.iter()
        .map(|row| {
            Ok(Serial(unsigned(
                row.try_get("", "serial").map_err(failed(WHAT))?,
            )?))
        })
        .collect()
}

/// Holds for rows whose `column` is among `ids`. One parameter on PostgreSQL, so that the text,
/// which a connection prepares once, doesn't depend on how many there are.
pub(crate) fn among<C: ConnectionTrait>(
    db: &C,
    column: impl ColumnTrait,
    ids: impl Iterator<Item = uuid::Uuid>,
) -> Expr {
    if db.get_database_backend() == DbBackend::Sqlite {
        column.is_in(ids)
    } else {
        column.into_expr().eq(PgFunc::any(ids.collect::<Vec<_>>()))
    }
}

/// Writes `seen` and `due` of many sessions, each named by its `id`: one statement however many
/// there are, so that its text is always the same.
pub(crate) fn use_of_sessions<C: ConnectionTrait>(db: &C, rows: &serde_json::Value) -> Statement {
    let backend = db.get_database_backend();
    let sql = if backend == DbBackend::Sqlite {
        "UPDATE sessions SET last_seen_at = used.seen, due_at = used.due FROM
            (SELECT unhex(value ->> 'id', '-') AS id, value ->> 'seen' AS seen,
                value ->> 'due' AS due FROM json_each(?)) AS used
            WHERE sessions.id = used.id"
    } else {
        "UPDATE sessions SET last_seen_at = used.seen, due_at = used.due
            FROM jsonb_to_recordset($1::jsonb) AS used (id uuid, seen bigint, due bigint)
            WHERE sessions.id = used.id"
    };
    Statement::from_sql_and_values(backend, sql, [rows.to_string().into()])
}

/// Writes `at` of many devices, each named by its `id`; only forward, and locked in their order,
/// as an update by itself locks in no order of ours.
pub(crate) fn use_of_devices<C: ConnectionTrait>(db: &C, rows: &serde_json::Value) -> Statement {
    let backend = db.get_database_backend();
    let sql = if backend == DbBackend::Sqlite {
        "UPDATE devices SET last_seen_at = used.at FROM
            (SELECT unhex(value ->> 'id', '-') AS id, value ->> 'at' AS at FROM json_each(?)) AS used
            WHERE devices.id = used.id AND devices.last_seen_at < used.at"
    } else {
        "UPDATE devices SET last_seen_at = used.at FROM
            (SELECT devices.id, used.at FROM devices
                JOIN jsonb_to_recordset($1::jsonb) AS used (id uuid, at bigint)
                ON devices.id = used.id WHERE devices.last_seen_at < used.at
                ORDER BY devices.id FOR UPDATE OF devices) AS used
            WHERE devices.id = used.id"
    };
    Statement::from_sql_and_values(backend, sql, [rows.to_string().into()])
}
