//! A server that has gone without a word: its host lost power, something between forgot the
//! connection. What the server itself cuts short says so; here is for when it says nothing. Every
//! statement has an end on this side, too, or whoever waits for one would wait for ever.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    SqlxError, Statement,
};

use super::PostgresOptions;
use crate::dialect::Suspects;

/// How much later than it had to give up by itself a server is given up here.
const GRACE: Duration = Duration::from_secs(2);

/// How long a pool may take to say goodbye to the server.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How long the answer to a statement is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience(Duration);

impl Patience {
    /// A little longer than the server may take by these options.
    pub(super) fn of(options: &PostgresOptions) -> Self {
        Self(options.statement_timeout + GRACE)
    }

    /// What comes of `asked`, or the error that nothing came in time. Whatever connection it was
    /// asked on must not be used again then.
    pub(super) async fn wait<T>(self, asked: impl Future<Output = T>) -> Result<T, SqlxError> {
        let answered = tokio::time::timeout(self.0, asked).await;
        answered
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the server says nothing").into())
    }
}

/// Connections whose statements all have an end.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    /// Without it.
    pub(super) bare: DatabaseConnection,
    pub(super) patience: Patience,
    pub(super) suspects: Arc<Suspects>,
}

/// What somebody stopped waiting for an answer to.
struct Unanswered<'a>(Option<&'a Suspects>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(suspects) = self.0 {
            suspects.note();
        }
    }
}

impl Pool {
    /// Closes its connections: once what they do is done, if that is soon.
    pub(super) async fn close(&self) {
        match tokio::time::timeout(CLOSE_WITHIN, self.bare.close_by_ref()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "closing the database failed");
            }
            Err(_) => tracing::warn!("the database was left without a goodbye"),
        }
    }

    /// [`Patience::wait`], with the error of a connection.
    pub(super) async fn wait<T>(&self, asked: impl Future<Output = T>) -> Result<T, DbErr> {
        let answered = self.patience.wait(asked).await;
        answered.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))
    }

    async fn ask<T>(&self, asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let asked = async {
            let mut asked = pin!(asked);
            // Dropped before that, where nobody waits any longer, so that it is known by the time
            // the connection is given back.
            let mut unanswered = Unanswered(Some(&self.suspects));
            let answer = asked.as_mut().await;
            unanswered.0 = None;
            answer
        };
        self.wait(asked).await.flatten()
    }
}

#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        self.bare.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.ask(self.bare.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.ask(self.bare.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.ask(self.bare.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.ask(self.bare.query_all_raw(statement)).await
    }
}
