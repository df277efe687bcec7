//! A transaction whose last words are ours: what is written under the log's head and the commit
//! are one call to the server. Were they two, everybody would wait for the head while the answer to
//! the first and the second are under way, and for 500 ms where this process is stopped between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::{PgArguments, PgRow};
use sea_orm::sqlx::{AssertSqlSafe, Executor, Postgres, Row, query_with, raw_sql};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, SqlxError, Statement,
};
use sea_query_sqlx::SqlxValues;
use session_domain::ids::{LogEpoch, Seq};
use session_domain::port::PortError;
use session_domain::revocation::Head;
use tokio::sync::Mutex;

use super::patience::{Patience, Pool};
use super::seal;
use crate::closing::{Closed, Closing};
use crate::dialect::{failed, may_have_committed};
use crate::entity::unsigned;

/// How often a transaction is begun anew on another connection, where that of the first has broken
/// while nobody used it.
const BEGINNINGS: u32 = 3;

/// An open transaction. One that is dropped takes its connection with it, and the server undoes it.
#[derive(Debug)]
pub(super) struct Transaction {
    connection: Mutex<PoolConnection<Postgres>>,
    open: bool,
    /// An answer didn't come, so the connection is of no more use.
    silent: AtomicBool,
    patience: Patience,
    calls: Arc<AtomicU64>,
}

/// Why a transaction didn't come to a good end.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing of it is left.
    Undone(PortError),
    /// Nobody knows whether it was committed.
    Unknown(PortError),
}

impl Failure {
    pub(super) fn into_error(self) -> PortError {
        match self {
            Self::Undone(error) | Self::Unknown(error) => error,
        }
    }
}

impl Transaction {
    /// Begins one. `calls` counts how often the server is called.
    pub(super) async fn begin(pool: &Pool, calls: &Arc<AtomicU64>) -> Result<Self, PortError> {
        let mut beginning = 1;
        loop {
            let connection = pool.bare.get_postgres_connection_pool().acquire().await;
            let connection = connection.map_err(|error| failed("connect")(acquiring(error)))?;
            let mut begun = Self {
                connection: Mutex::new(connection),
                open: true,
                silent: AtomicBool::new(false),
                patience: pool.patience,
                calls: Arc::clone(calls),
            };
            begun.count();
            let connection = begun.connection.get_mut();
            let asked = connection.execute(raw_sql("BEGIN"));
            match pool.patience.wait(asked).await {
                Ok(Ok(_)) => return Ok(begun),
                Ok(Err(SqlxError::Io(_))) if beginning < BEGINNINGS => beginning += 1,
                Ok(Err(error)) | Err(error) => return Err(failed("begin")(executing(error))),
            }
        }
    }

    /// Writes what is left under the log's head, and commits.
    pub(super) async fn close(mut self, closing: &Closing) -> Result<Closed, Failure> {
        const WHAT: &str = "commit";
        let words = seal::words(closing).map_err(Failure::Undone)?;
        self.count();
        let connection = self.connection.get_mut();
        let said = raw_sql(AssertSqlSafe(words)).fetch_all(&mut **connection);
        match self.patience.wait(said).await.flatten() {
            Ok(rows) => {
                self.open = false;
                // It is committed; what can't be read now can't be told.
                let before = head_before(&rows).map_err(Failure::Unknown)?;
                Ok(before.map_or_else(Closed::default, |before| {
                    Closed::new(before, closing.entries())
                }))
            }
            Err(error) => {
                let error = executing(error);
                if may_have_committed(&error) {
                    return Err(Failure::Unknown(PortError::retry(WHAT, error)));
                }
                self.undo().await;
                Err(Failure::Undone(failed(WHAT)(error)))
            }
        }
    }

    /// Undoes it.
    pub(super) async fn undo(mut self) {
        if *self.silent.get_mut() {
            return;
        }
        self.count();
        let connection = self.connection.get_mut();
        let undone = connection.execute(raw_sql("ROLLBACK"));
        match self.patience.wait(undone).await.flatten() {
            Ok(_) => self.open = false,
            // The connection is given up, and the server undoes it.
            Err(error) => tracing::debug!(%error, "a transaction could not be rolled back"),
        }
    }

    /// The rows a statement gives. Its text is always the same, so that the server knows it.
    pub(super) async fn rows(
        &self,
        sql: impl Into<String>,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, DbErr> {
        self.count();
        let query = query_with(AssertSqlSafe(sql.into()), arguments);
        let mut connection = self.connection.lock().await;
        let rows = self.hear(query.fetch_all(&mut **connection)).await;
        rows.map_err(querying)
    }

    /// How many rows a statement wrote.
    pub(super) async fn write(
        &self,
        sql: impl Into<String>,
        arguments: PgArguments,
    ) -> Result<u64, DbErr> {
        self.count();
        let query = query_with(AssertSqlSafe(sql.into()), arguments);
        let mut connection = self.connection.lock().await;
        let done = self.hear(query.execute(&mut **connection)).await;
        let done = done.map_err(executing)?;
        Ok(done.rows_affected())
    }

    /// Waits for an answer.
    async fn hear<T>(
        &self,
        asked: impl Future<Output = Result<T, SqlxError>>,
    ) -> Result<T, SqlxError> {
        let answered = self.patience.wait(asked).await;
        self.silent.fetch_or(answered.is_err(), Ordering::Relaxed);
        answered.flatten()
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open {
            self.connection.get_mut().close_on_drop();
        }
    }
}

/// So that what is written for any engine can be part of it.
#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.count();
        let query = query_with(AssertSqlSafe(statement.sql), values(statement.values));
        let mut connection = self.connection.lock().await;
        let done = self.hear(query.execute(&mut **connection)).await;
        let done = done.map_err(executing)?;
        Ok(done.into())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.count();
        let mut connection = self.connection.lock().await;
        let words = raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = self.hear(connection.execute(words)).await;
        let done = done.map_err(executing)?;
        Ok(done.into())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.count();
        let query = query_with(AssertSqlSafe(statement.sql), values(statement.values));
        let mut connection = self.connection.lock().await;
        let row = self.hear(query.fetch_optional(&mut **connection)).await;
        Ok(row.map_err(querying)?.map(Into::into))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.count();
        let query = query_with(AssertSqlSafe(statement.sql), values(statement.values));
        let mut connection = self.connection.lock().await;
        let rows = self.hear(query.fetch_all(&mut **connection)).await;
        let rows = rows.map_err(querying)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

fn values(values: Option<sea_orm::sea_query::Values>) -> SqlxValues {
    SqlxValues(values.unwrap_or_else(|| sea_orm::sea_query::Values(Vec::new())))
}

/// The head before the entries that were written, where there were any.
fn head_before(rows: &[PgRow]) -> Result<Option<Head>, PortError> {
    const WHAT: &str = "read the log's head";
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let read = |column| row.try_get::<i64, _>(column);
    let read = |column| read(column).map_err(|error| PortError::retry(WHAT, error));
    Ok(Some(Head {
        epoch: LogEpoch(read("epoch")?.cast_unsigned()),
        seq: Seq(unsigned(read("before")?)?),
    }))
}

fn acquiring(error: SqlxError) -> DbErr {
    match error {
        SqlxError::PoolTimedOut => DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
        SqlxError::PoolClosed => {
            DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::ConnectionClosed)
        }
        other => DbErr::Conn(RuntimeErr::SqlxError(other.into())),
    }
}

pub(super) fn executing(error: SqlxError) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn querying(error: SqlxError) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}
