//! Every difference between the engines that running code knows of. (Those of the schema are in
//! the file of the same name in `session-migrations`.)

use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, RuntimeErr, SqliteTransactionMode,
    SqlxError, SqlxPostgresConnector, SqlxSqliteConnector, Statement, TransactionOptions,
};
use session_domain::ids::{Serial, TenantId, UserId};
use session_domain::port::{Clock, PortError};
use session_domain::time::Timestamp;

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

/// A pool of at most `size` connections to PostgreSQL. Waits at most `patience` for one.
pub(crate) async fn postgres_pool(
    options: PgConnectOptions,
    size: u32,
    patience: Duration,
) -> Result<DatabaseConnection, DbErr> {
    let pool = PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(patience)
        // Statements are ours and known; logging each would only cost.
        .connect_with(options.disable_statement_logging())
        .await
        .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
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
    const WHAT: &str = "read the time";
    let backend = db.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(clock.wall());
    }
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
    let row = db
        .query_one_raw(Statement::from_string(backend, sql))
        .await
        .map_err(failed(WHAT))?;
    let row = row.ok_or_else(|| PortError::fatal(WHAT, "no answer"))?;
    Ok(Timestamp(row.try_get("", "now").map_err(failed(WHAT))?))
}

/// Lets one transaction at a time decide whether a user may have one more session: rows that
/// aren't there yet can't be locked. SQLite has one writer anyway.
pub(crate) async fn lock_user<C: ConnectionTrait>(
    db: &C,
    tenant: &TenantId,
    user: &UserId,
) -> Result<(), PortError> {
    let name = format!("user {} {}", tenant.as_str(), user.as_str());
    lock_name(db, "lock a user", name).await
}

/// Lets one transaction at a time look for a request that was made before, and carry it out.
pub(crate) async fn lock_request<C: ConnectionTrait>(
    db: &C,
    caller: uuid::Uuid,
    key: &str,
) -> Result<(), PortError> {
    lock_name(db, "lock a request", format!("request {caller} {key}")).await
}

async fn lock_name<C: ConnectionTrait>(
    db: &C,
    what: &'static str,
    name: String,
) -> Result<(), PortError> {
    let backend = db.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(());
    }
    // Two names with one hash wait for each other without need, nothing worse.
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    let statement = Statement::from_sql_and_values(backend, sql, [name.into()]);
    db.execute_raw(statement).await.map_err(failed(what))?;
    Ok(())
}

/// Draws the next serial.
pub(crate) async fn next_serial<C: ConnectionTrait>(db: &C) -> Result<Serial, PortError> {
    const WHAT: &str = "draw a serial";
    let backend = db.get_database_backend();
    let sql = if backend == DbBackend::Sqlite {
        "UPDATE revocation_head SET next_serial = next_serial + 1 RETURNING next_serial - 1 AS serial"
    } else {
        "SELECT nextval('session_serial') AS serial"
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

/// Turns a database's error into the port's.
pub(crate) fn failed(what: &'static str) -> impl Fn(DbErr) -> PortError {
    move |error| {
        if is_passing(&error) {
            PortError::retry(what, error)
        } else {
            PortError::fatal(what, error)
        }
    }
}

/// Whether the same call may succeed later.
fn is_passing(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match &**error {
                SqlxError::Database(error) => {
                    error.code().is_some_and(|code| is_passing_code(&code))
                }
                SqlxError::Io(_)
                | SqlxError::Tls(_)
                | SqlxError::PoolTimedOut
                | SqlxError::PoolClosed
                | SqlxError::WorkerCrashed => true,
                _ => false,
            }
        }
        _ => false,
    }
}

/// Whether the engine's code tells of a passing state.
fn is_passing_code(code: &str) -> bool {
    if code.len() == 5 {
        // PostgreSQL (SQLSTATE): connection lost, serialisation failure or deadlock, out of
        // resources, lock not available, shutting down; and, not whole classes, idle for too long
        // in a transaction, and a server that is (still, or no longer) a standby.
        ["08", "40", "53", "55", "57", "25P03", "25006"]
            .iter()
            .any(|class| code.starts_with(class))
    } else {
        // SQLite's extended codes hold the primary one in their low byte: busy, locked, I/O
        // error, disk full, can't open. At most four digits, so never taken for a SQLSTATE.
        code.parse::<u32>()
            .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14))
    }
}

/// Whether a SQLite file's own state is why it can't be read: `CORRUPT`, `NOTADB`.
pub(crate) fn is_sqlite_corrupt(error: &DbErr) -> bool {
    matches!(sqlite_code(error), Some(11 | 26))
}

/// Whether SQLite would first have to write: roll back or recover what a crash left behind.
pub(crate) fn is_sqlite_recovery_needed(error: &DbErr) -> bool {
    sqlite_code(error) == Some(8)
}

fn sqlite_code(error: &DbErr) -> Option<u32> {
    let code: u32 = engine_code(error)?.parse().ok()?;
    Some(code & 0xff)
}

/// The code an engine gave an error.
fn engine_code(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))
    | DbErr::Conn(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Whether PostgreSQL turned a whole transaction back in favour of another one (deadlock,
/// serialisation failure): nothing of it is left, and the same may well go through next time.
pub(crate) fn is_turned_back(error: &PortError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source
        .and_then(engine_code)
        .is_some_and(|code| code == "40P01" || code == "40001")
}

/// Why a PostgreSQL server can't be used.
pub(crate) enum PostgresRefusal {
    /// It doesn't let this login in, not to this database, or not do what is needed.
    Access,
    /// It can't be reached, or not now.
    Passing,
    /// Something else.
    Other,
}

/// Sorts out why a PostgreSQL server can't be used.
pub(crate) fn postgres_refusal(error: &DbErr) -> PostgresRefusal {
    match engine_code(error) {
        // Wrong password and the like; no such database; no such schema; no privilege.
        Some(code)
            if code.starts_with("28") || ["3D000", "3F000", "42501"].contains(&code.as_str()) =>
        {
            PostgresRefusal::Access
        }
        Some(code) if !is_passing_code(&code) => PostgresRefusal::Other,
        Some(_) => PostgresRefusal::Passing,
        None => match error {
            // What can be wrong with the address or the certificate isn't mended by waiting, but
            // sqlx tells neither from a server that is about to come back.
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => PostgresRefusal::Passing,
            error if is_passing(error) => PostgresRefusal::Passing,
            _ => PostgresRefusal::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::is_passing_code;

    #[test]
    fn a_full_disk_passes_and_a_broken_rule_does_not() {
        for passing in ["5", "517", "10", "1034", "13", "40001", "57P01", "25P03"] {
            assert!(is_passing_code(passing), "{passing}");
        }
        for fatal in [
            "11", "19", "2067", "1555", "26", "23505", "42P01", "25P02", "XX000",
        ] {
            assert!(!is_passing_code(fatal), "{fatal}");
        }
    }
}
