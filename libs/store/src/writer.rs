//! One writer. SQLite lets one transaction write at a time, and each costs an `fsync`; so changes
//! that arrive while one is being made durable share the next. Each runs in a savepoint and has
//! its own outcome, and nobody is answered before the commit that makes it true.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};
use session_domain::port::{Change, Clock, Entropy, Outcome, PortError};
use session_domain::revocation::{GrantReply, GrantRequest};
use tokio::sync::{mpsc, oneshot};

use crate::dialect::{WRITING, sqlite_pool};
use crate::epochs::{self, LogWork};
use crate::lock::FileLock;
use crate::{change, leases};

/// At most this many changes share a transaction: the last one's answer waits for all of them.
const GROUP_MAX: usize = 256;

/// At most this many changes wait; whoever comes then waits for a place.
const QUEUE_MAX: usize = 1_024;

/// What a caller is told with, and tells its outcome by.
type Reply<T> = oneshot::Sender<Result<T, PortError>>;

/// A change that waits for its turn.
enum Work {
    Commit {
        change: Box<Change>,
        reply: Reply<Outcome>,
    },
    Grant {
        request: GrantRequest,
        lease: Duration,
        reply: Reply<GrantReply>,
    },
    Log {
        work: LogWork,
        reply: Reply<u64>,
    },
    /// Anything else.
    Other(Other),
}

/// A piece of work that brings its own reply.
type Other = Box<
    dyn FnOnce(DatabaseTransaction, Arc<dyn Clock>) -> BoxFuture<'static, Result<Answer, DbErr>>
        + Send,
>;

/// What comes through the queue.
enum Message {
    /// Do this.
    Do(Work),
    /// Finish what came before, close the file, and say so.
    Stop(oneshot::Sender<()>),
}

/// Tells a caller its outcome, once that is durable.
type Answer = Box<dyn FnOnce() + Send>;

/// How much has been written since the store was opened; for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterCounts {
    /// Transactions committed.
    pub transactions: u64,
    /// Changes they carried, failed ones included. Many more than transactions under load.
    pub changes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    transactions: AtomicU64,
    changes: AtomicU64,
}

/// The way to the writer. The writer ends when the last of these is dropped, or by [`Self::stop`].
#[derive(Debug)]
pub(crate) struct WriterHandle {
    queue: mpsc::Sender<Message>,
    counters: Arc<Counters>,
}

impl WriterHandle {
    pub(crate) async fn commit(&self, change: Change) -> Result<Outcome, PortError> {
        let change = Box::new(change);
        self.ask("commit", |reply| Work::Commit { change, reply })
            .await
    }

    pub(crate) async fn grant(
        &self,
        request: GrantRequest,
        lease: Duration,
    ) -> Result<GrantReply, PortError> {
        self.ask("grant a lease", |reply| Work::Grant {
            request,
            lease,
            reply,
        })
        .await
    }

    /// Gives what it counts, or nothing.
    pub(crate) async fn log(&self, work: LogWork) -> Result<u64, PortError> {
        self.ask("keep the log", |reply| Work::Log { work, reply })
            .await
    }

    /// Carries out `work` like any change.
    pub(crate) async fn run<T, F>(&self, what: &'static str, work: F) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(
                &'a DatabaseTransaction,
                &'a dyn Clock,
            ) -> BoxFuture<'a, Result<T, PortError>>
            + Send
            + 'static,
    {
        self.ask(what, |reply| {
            Work::Other(Box::new(move |savepoint, clock| {
                Box::pin(async move {
                    let result = work(&savepoint, &*clock).await;
                    conclude(savepoint, result, reply).await
                })
            }))
        })
        .await
    }

    /// Waits until everything asked for before is done and the file is closed.
    pub(crate) async fn stop(&self) {
        let (reply, stopped) = oneshot::channel();
        if self.queue.send(Message::Stop(reply)).await.is_ok() {
            // An error means that it has stopped already.
            let _ = stopped.await;
        }
    }

    pub(crate) fn counts(&self) -> WriterCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriterCounts {
            transactions: of(&self.counters.transactions),
            changes: of(&self.counters.changes),
        }
    }

    async fn ask<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, PortError> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| PortError::fatal(what, "the writer has stopped");
        self.queue
            .send(Message::Do(work(reply)))
            .await
            .map_err(gone)?;
        // Dropped where the transaction it was part of failed as a whole. Whether the disk has it
        // nevertheless is unknown, so this is "perhaps not done", never "not done".
        answer
            .await
            .map_err(|_| PortError::retry(what, "the transaction failed; the log says why"))?
    }
}

/// The task that writes.
pub(crate) struct Writer {
    /// `None` after a transaction failed as a whole, when nothing is known of its state.
    db: Option<DatabaseConnection>,
    options: SqliteConnectOptions,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    counters: Arc<Counters>,
    /// Nobody else may open the file before the last change is in it.
    lock: Arc<FileLock>,
}

impl Writer {
    /// Starts it on an open connection; `options` make another, should that be needed.
    pub(crate) fn start(
        db: DatabaseConnection,
        options: SqliteConnectOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        lock: Arc<FileLock>,
    ) -> WriterHandle {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let counters = Arc::new(Counters::default());
        let handle = WriterHandle {
            queue,
            counters: Arc::clone(&counters),
        };
        tokio::spawn(
            Self {
                db: Some(db),
                options,
                clock,
                entropy,
                counters,
                lock,
            }
            .run(waiting),
        );
        handle
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Message>) {
        let mut stopping = Vec::new();
        let mut group = Vec::with_capacity(GROUP_MAX);
        while waiting.recv_many(&mut group, GROUP_MAX).await > 0 {
            let mut works = Vec::with_capacity(group.len());
            for message in group.drain(..) {
                match message {
                    // What is in the queue already is still done; nothing more gets in.
                    Message::Stop(reply) => {
                        waiting.close();
                        stopping.push(reply);
                    }
                    Message::Do(work) => works.push(work),
                }
            }
            if works.is_empty() {
                continue;
            }
            if let Err(error) = self.write(works).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a transaction failed as a whole"
                );
                self.disconnect().await;
            }
        }
        if let Some(db) = &self.db
            && let Err(error) = epochs::part(db, &self.lock).await
        {
            // The next to open it takes it for what it is by the word this one began with.
            tracing::warn!(%error, "no word could be left of how the database was closed");
        }
        self.disconnect().await;
        for reply in stopping {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(());
        }
    }

    /// Carries out `works` in one transaction, then answers them. Where it fails they are dropped,
    /// which tells their callers.
    async fn write(&mut self, works: Vec<Work>) -> Result<(), DbErr> {
        let transaction = self.connection().await?.begin_with_options(WRITING).await?;
        let mut answers = Vec::with_capacity(works.len());
        for work in works {
            answers.push(self.carry_out(&transaction, work).await?);
        }
        transaction.commit().await?;
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        self.counters
            .changes
            .fetch_add(answers.len() as u64, Ordering::Relaxed);
        for answer in answers {
            answer();
        }
        Ok(())
    }

    /// Carries out one change in a savepoint of its own: if it fails, it alone is undone.
    async fn carry_out(
        &self,
        transaction: &DatabaseTransaction,
        work: Work,
    ) -> Result<Answer, DbErr> {
        let savepoint = transaction.begin().await?;
        match work {
            Work::Commit { change, reply } => {
                let outcome = change::carry_out(&savepoint, *change).await;
                conclude(savepoint, outcome, reply).await
            }
            Work::Grant {
                request,
                lease,
                reply,
            } => {
                let wish = (request, lease);
                let granted =
                    leases::grant_one(&savepoint, wish, &*self.clock, &*self.entropy).await;
                conclude(savepoint, granted, reply).await
            }
            Work::Log { work, reply } => {
                let done = epochs::carry_out(&savepoint, work, &*self.clock).await;
                conclude(savepoint, done, reply).await
            }
            Work::Other(work) => work(savepoint, Arc::clone(&self.clock)).await,
        }
    }

    async fn connection(&mut self) -> Result<&DatabaseConnection, DbErr> {
        let db = match self.db.take() {
            Some(db) => db,
            None => sqlite_pool(self.options.clone(), 1).await?,
        };
        Ok(self.db.insert(db))
    }

    async fn disconnect(&mut self) {
        if let Some(db) = self.db.take()
            && let Err(error) = db.close().await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "closing the database failed"
            );
        }
    }
}

/// Keeps or undoes a change by how it went, and puts by the answer.
async fn conclude<T: Send + 'static>(
    savepoint: DatabaseTransaction,
    result: Result<T, PortError>,
    reply: Reply<T>,
) -> Result<Answer, DbErr> {
    if result.is_ok() {
        savepoint.commit().await?;
    } else {
        savepoint.rollback().await?;
    }
    // Whoever asked may have stopped waiting; it is done all the same.
    Ok(Box::new(move || drop(reply.send(result))))
}
