//! The database schema of the session service: one history, written for both SQLite and
//! PostgreSQL 15 or later.
//!
//! Every change of the schema is a file of its own, `mYYYYMMDD_HHMMSS_what.rs`, and never edited
//! once released. Changes expand first and contract a release later, so that the previous binary
//! keeps working on the new schema; one that can't raises `schema_info.min_binary`. Every
//! difference between the engines is in `dialect.rs`.
//!
//! All times are microseconds since 1970 in 64-bit integers, the finest both engines keep. JSON is
//! kept as text: PostgreSQL's own type would refuse `\u0000` and reorder what callers gave us, and
//! nothing queries inside it.

mod dialect;
mod m20261121_000001_foundation;
mod m20261121_000002_bulk_revocations;
mod m20261121_000003_outbox;
mod m20261121_000005_log_epochs;

pub use sea_orm_migration::prelude::MigratorTrait;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{
    DatabaseConnection, DbBackend, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};

/// The generation of schema this binary was written for. Raised together with
/// `schema_info.min_binary` by a migration that older binaries can't live with.
pub const GENERATION: i64 = 1;

/// The history.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_foundation::Migration),
            Box::new(m20261121_000002_bulk_revocations::Migration),
            Box::new(m20261121_000003_outbox::Migration),
            Box::new(m20261121_000005_log_epochs::Migration),
        ]
    }
}

/// How far a database's schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    /// There is nothing in it.
    Empty,
    /// It is ours, and not yet as far as this binary.
    Behind,
    /// It is ours, and as far as this binary; or further, in ways that this one can live with.
    Ours,
}

/// Why a database's schema can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer binary has been at it, and this one can't live with what it did.
    #[error("the schema is newer than this binary: {}", .unknown.join(", "))]
    Newer {
        /// What was done to it that this binary doesn't know; or the generation it demands.
        unknown: Vec<String>,
    },
    /// It belongs to another program.
    #[error(
        "the database belongs to another program: it has tables, but no migration history of ours"
    )]
    Foreign,
    /// The database couldn't answer.
    #[error("the schema couldn't be read or changed")]
    Database(#[from] DbErr),
}

/// Looks how far the schema is, without changing anything.
///
/// # Errors
/// [`SchemaError`], where this binary must not work on it.
pub async fn inspect<'c, C>(db: C) -> Result<SchemaState, SchemaError>
where
    C: IntoSchemaManagerConnection<'c>,
{
    let manager = SchemaManager::new(db);
    let (db, backend) = (manager.get_connection(), manager.get_database_backend());
    if !manager.has_table("seaql_migrations").await? {
        return match dialect::count_of_everything(backend) {
            Some(sql) if number(db, backend, sql, "n").await?.unwrap_or(0) > 0 => {
                Err(SchemaError::Foreign)
            }
            _ => Ok(SchemaState::Empty),
        };
    }
    let known: Vec<String> = Migrator::migrations()
        .iter()
        .map(|known| known.name().to_owned())
        .collect();
    let rows = db
        .query_all_raw(Statement::from_string(
            backend,
            "SELECT version FROM seaql_migrations",
        ))
        .await?;
    let applied = rows
        .iter()
        .map(|row| row.try_get("", "version"))
        .collect::<Result<Vec<String>, DbErr>>()?;
    let behind = known.iter().any(|known| !applied.contains(known));
    let mut unknown: Vec<_> = applied
        .into_iter()
        .filter(|applied| !known.contains(applied))
        .collect();
    if manager.has_table("schema_info").await? {
        let needed = number(
            db,
            backend,
            "SELECT min_binary FROM schema_info",
            "min_binary",
        )
        .await?;
        if let Some(needed) = needed.filter(|needed| *needed > GENERATION) {
            unknown.push(format!("generation {needed}"));
            return Err(SchemaError::Newer { unknown });
        }
    }
    match (behind, unknown.is_empty()) {
        // A newer binary has expanded the schema, and says that this one may go on: during a
        // rolling upgrade, and after it was taken back.
        (false, _) => Ok(SchemaState::Ours),
        (true, true) => Ok(SchemaState::Behind),
        // Two histories that forked; nobody knows what the other one's steps need of ours.
        (true, false) => Err(SchemaError::Newer { unknown }),
    }
}

/// Brings the schema to where this binary needs it; all steps or none. May be called by many
/// processes at once.
///
/// # Errors
/// [`SchemaError`]; then nothing was changed.
pub async fn migrate(db: &DatabaseConnection) -> Result<(), SchemaError> {
    let immediate = Some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions {
        sqlite_transaction_mode: immediate,
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    if let Some(lock) = dialect::migration_lock(transaction.get_database_backend()) {
        transaction.execute_unprepared(lock).await?;
    }
    match inspect(&transaction).await? {
        SchemaState::Empty | SchemaState::Behind => Migrator::up(&transaction, None).await?,
        SchemaState::Ours => {}
    }
    transaction.commit().await?;
    Ok(())
}

async fn number(
    db: &SchemaManagerConnection<'_>,
    backend: DbBackend,
    sql: &str,
    column: &str,
) -> Result<Option<i64>, DbErr> {
    let row = db
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    row.map(|row| row.try_get("", column)).transpose()
}
