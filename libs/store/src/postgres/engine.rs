//! What carries changes and grants out: alone, or many in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use session_domain::port::{Change, Clock, Entropy, Outcome, PortError};
use session_domain::revocation::GrantReply;

use super::patience::Pool;
use super::queue::Asked;
use super::transaction::{Failure, Transaction};
use super::{Shared, group};

use crate::change::{self, Applied};
use crate::closing::Closing;
use crate::counters;
use crate::dialect::{is_severed, is_turned_back};
use crate::leases::{self, Wish};

/// How many groups of changes are under way at a time: while one waits for the disk, the next is
/// decided.
pub(super) const LANES: u8 = 2;

/// How often a transaction is carried out that PostgreSQL turns back in favour of another. Locks
/// are taken in one order, so even the second time is rare.
const ATTEMPTS: u32 = 6;

/// The longest pause before the second attempt; doubled before each one after.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// How many changes of a group that failed are carried out by themselves at a time.
const SINGLY_AT_A_TIME: usize = 4;

/// How much has been written since the store was opened; for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresCounts {
    /// Transactions begun to change something.
    pub transactions: u64,
    /// Changes carried out in them. Many more than transactions under load.
    pub changes: u64,
    /// Calls to the server that these transactions took.
    pub calls: u64,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    db: Pool,
    clock: Shared<dyn Clock>,
    entropy: Shared<dyn Entropy>,
    counts: Arc<Counts>,
    /// Where among the parts of a counter this process begins.
    part: u8,
}

#[derive(Debug, Default)]
struct Counts {
    calls: Arc<AtomicU64>,
    transactions: AtomicU64,
    changes: AtomicU64,
}

impl Engine {
    pub(super) fn new(db: Pool, clock: Shared<dyn Clock>, entropy: Shared<dyn Entropy>) -> Self {
        let [part, ..] = entropy.0.number().to_le_bytes();
        Self {
            db,
            clock,
            entropy,
            counts: Arc::default(),
            part,
        }
    }

    /// How much has been written.
    pub(super) fn counts(&self) -> PostgresCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PostgresCounts {
            transactions: of(&self.counts.transactions),
            changes: of(&self.counts.changes),
            calls: of(&self.counts.calls),
        }
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction, PortError> {
        self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        Transaction::begin(&self.db, &self.counts.calls).await
    }

    /// The part of each counter that a lane moves, so that lanes, and mostly processes, too, don't
    /// wait for each other's counters.
    pub(super) const fn part(&self, lane: u8) -> u8 {
        self.part.wrapping_add(lane) % counters::PARTS
    }

    /// Carries out a change in a transaction of its own, again where PostgreSQL turns it back.
    pub(super) async fn carry_out(&self, change: &Change) -> Result<Outcome, PortError> {
        self.counts.changes.fetch_add(1, Ordering::Relaxed);
        let mut attempt = 1;
        loop {
            match self.attempt(change.clone()).await {
                Err(Failure::Undone(error)) if is_turned_back(&error) && attempt < ATTEMPTS => {
                    self.pause(&mut attempt).await;
                }
                settled => return settled.map_err(Failure::into_error),
            }
        }
    }

    async fn attempt(&self, change: Change) -> Result<Outcome, Failure> {
        let db = self.begin().await.map_err(Failure::Undone)?;
        match change::apply(&db, change).await {
            Ok(Applied { closing, tell }) => Ok(tell(&db.close(&closing).await?)),
            Err(error) => {
                db.undo().await;
                Err(Failure::Undone(error))
            }
        }
    }

    /// Carries out changes that arrived together, and answers them.
    pub(super) async fn carry_out_together(&self, lane: u8, asked: Vec<Asked<Change, Outcome>>) {
        let changes: Vec<Change> = asked.iter().map(|asked| asked.question.clone()).collect();
        let mut attempt = 1;
        loop {
            match group::carry_out(self, lane, &changes).await {
                Ok(outcomes) => {
                    let count = changes.len() as u64;
                    self.counts.changes.fetch_add(count, Ordering::Relaxed);
                    for (asked, outcome) in asked.into_iter().zip(outcomes) {
                        asked.answer(outcome);
                    }
                    return;
                }
                Err(Failure::Undone(error)) if is_turned_back(&error) && attempt < ATTEMPTS => {
                    self.pause(&mut attempt).await;
                }
                Err(Failure::Undone(error)) if !is_severed(&error) && asked.len() > 1 => {
                    warn_of(&error);
                    return self.carry_out_singly(asked).await;
                }
                Err(failure) => return answer_all("commit", asked, failure.into_error()),
            }
        }
    }

    /// One of them is why the others failed, too. By themselves they don't.
    async fn carry_out_singly(&self, asked: Vec<Asked<Change, Outcome>>) {
        let singly = stream::iter(asked).for_each_concurrent(SINGLY_AT_A_TIME, |asked| async {
            let outcome = self.carry_out(&asked.question).await;
            asked.answer(outcome);
        });
        singly.await;
    }

    /// Decides about leases that were asked for together, under one lock of the log's head, and
    /// answers.
    pub(super) async fn grant_together(&self, asked: Vec<Asked<Wish, GrantReply>>) {
        const WHAT: &str = "grant a lease";
        let mut attempt = 1;
        loop {
            let wishes: Vec<Wish> = asked.iter().map(|asked| asked.question).collect();
            match self.grant(&wishes).await {
                Ok(replies) => {
                    for (asked, reply) in asked.into_iter().zip(replies) {
                        asked.answer(reply);
                    }
                    return;
                }
                Err(Failure::Undone(error)) if is_turned_back(&error) && attempt < ATTEMPTS => {
                    self.pause(&mut attempt).await;
                }
                Err(failure) => return answer_all(WHAT, asked, failure.into_error()),
            }
        }
    }

    async fn grant(&self, wishes: &[Wish]) -> Result<Vec<Result<GrantReply, PortError>>, Failure> {
        let db = self.begin().await.map_err(Failure::Undone)?;
        match leases::grant(&db, wishes, &*self.clock.0, &*self.entropy.0).await {
            Ok(replies) => {
                db.close(&Closing::default()).await?;
                Ok(replies)
            }
            Err(error) => {
                db.undo().await;
                Err(Failure::Undone(error))
            }
        }
    }

    /// Waits a random part of a time that doubles with each attempt, so that those who were in
    /// each other's way don't meet again.
    async fn pause(&self, attempt: &mut u32) {
        let most = PAUSE_MAX * 2_u32.saturating_pow(*attempt - 1);
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(attempt, "turned back; trying again");
        *attempt += 1;
        tokio::time::sleep(Duration::from_micros(self.entropy.0.number() % micros)).await;
    }
}

fn warn_of(error: &PortError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "a group failed; carrying its changes out singly");
}

/// Tells everybody the same: each may try again if that can help.
fn answer_all<Q, A>(what: &'static str, asked: Vec<Asked<Q, A>>, error: PortError) {
    let error = Arc::new(error);
    for asked in asked {
        let source = Arc::clone(&error);
        asked.answer(Err(if error.is_retry() {
            PortError::retry(what, source)
        } else {
            PortError::fatal(what, source)
        }));
    }
}
