mod open;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionTrait};
use session_domain::ids::{InstanceId, Seq, Serial, SessionId, TenantId};
use session_domain::known_device::KnownDevice;
use session_domain::port::{
    Change, Clock, DeviceQuery, Entropy, ListQuery, Outcome, PortError, RevocationLog, ServiceKey,
    SessionStore, StoredSigningKey,
};
use session_domain::revocation::{GrantReply, GrantRequest, Head, Lease, LogEntry, Snapshot};
use session_domain::service_key::KeyHash;
use session_domain::session::{Seeded, Session};
use session_domain::stats::SessionStats;
use session_domain::time::Timestamp;

pub use settings::{InvalidPostgresUrl, PostgresOptions, PostgresUrl};

use crate::dialect::{failed, is_turned_back};
use crate::{change, counters, devices, keys, leases, log, serials, sessions};

/// How often a transaction is carried out that PostgreSQL turns back in favour of another. Locks
/// are taken in one order, so even the second time is rare.
const ATTEMPTS: u32 = 6;

/// The longest pause before the second attempt; doubled before each one after.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// The store in a PostgreSQL database (15 or newer), shared by any number of processes.
///
/// Each change is a transaction of its own (READ COMMITTED): it locks the session rows in the
/// order of their ids, and last the log's head, so entries are numbered in the order of commits.
/// What a call returned is durable as far as the server's `synchronous_commit` says.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    db: DatabaseConnection,
    clock: Shared<dyn Clock>,
    entropy: Shared<dyn Entropy>,
}

/// A port among the fields of what people may print.
struct Shared<T: ?Sized>(Arc<T>);

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl PostgresStore {
    /// Closes its connections, once what they do is done. Calls made afterwards fail.
    pub async fn close(&self) {
        if let Err(error) = self.db.close_by_ref().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "closing the database failed"
            );
        }
    }

    /// Carries out `work` in a transaction, again where PostgreSQL turns it back. In a task of its
    /// own: whoever asked may stop waiting, and must not leave others waiting for the locks of a
    /// transaction that nobody drives any more.
    async fn write<T, F>(&self, what: &'static str, work: F) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Self, &'a DatabaseTransaction) -> BoxFuture<'a, Result<T, PortError>>
            + Send
            + Sync
            + 'static,
    {
        let store = self.clone();
        let writing = tokio::spawn(async move {
            let mut attempt = 1;
            loop {
                match store.attempt(what, &work).await {
                    Err(error) if is_turned_back(&error) && attempt < ATTEMPTS => {
                        tracing::debug!(what, attempt, "turned back; trying again");
                        tokio::time::sleep(store.pause(attempt)).await;
                        attempt += 1;
                    }
                    settled => return settled,
                }
            }
        });
        writing
            .await
            .map_err(|error| PortError::fatal(what, error))?
    }

    async fn attempt<T, F>(&self, what: &'static str, work: &F) -> Result<T, PortError>
    where
        F: for<'a> Fn(&'a Self, &'a DatabaseTransaction) -> BoxFuture<'a, Result<T, PortError>>,
    {
        let transaction = self.db.begin().await.map_err(failed(what))?;
        match work(self, &transaction).await {
            Ok(done) => {
                // Where this fails the outcome is unknown, which is "perhaps not done". It isn't
                // tried again here: the caller's precondition may no longer hold because it was.
                let committed = transaction.commit().await;
                committed.map_err(|error| PortError::retry(what, error))?;
                Ok(done)
            }
            Err(error) => {
                // A connection that can't even do this is given up, and the server undoes it.
                if let Err(error) = transaction.rollback().await {
                    tracing::debug!(what, %error, "a transaction could not be rolled back");
                }
                Err(error)
            }
        }
    }

    /// A random part of a time that doubles with each attempt, so that those who were in each
    /// other's way don't meet again.
    fn pause(&self, attempt: u32) -> Duration {
        let most = PAUSE_MAX * 2_u32.saturating_pow(attempt - 1);
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.entropy.0.number() % micros)
    }
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn commit(&self, change: Change) -> Result<Outcome, PortError> {
        self.write("commit", move |_, db| {
            Box::pin(change::apply(db, change.clone()))
        })
        .await
    }

    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Session>, PortError> {
        sessions::find(&self.db, tenant, id).await
    }

    async fn find_for_refresh(&self, id: SessionId) -> Result<Option<Seeded>, PortError> {
        sessions::find_anywhere(&self.db, id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Session>, PortError> {
        sessions::list(&self.db, query).await
    }

    async fn stats(&self, tenant: Option<&TenantId>) -> Result<SessionStats, PortError> {
        counters::read(&self.db, tenant).await
    }

    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<KnownDevice>, PortError> {
        devices::list(&self.db, query).await
    }

    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, PortError> {
        keys::signing_keys(&self.db).await
    }

    async fn service_key(&self, hash: &KeyHash) -> Result<Option<ServiceKey>, PortError> {
        keys::service_key(&self.db, hash).await
    }

    async fn service_keys(&self) -> Result<Vec<ServiceKey>, PortError> {
        keys::service_keys(&self.db).await
    }
}

#[async_trait]
impl RevocationLog for PostgresStore {
    async fn head(&self) -> Result<Head, PortError> {
        log::head(&self.db).await
    }

    async fn grant(
        &self,
        request: &GrantRequest,
        lease: Duration,
    ) -> Result<GrantReply, PortError> {
        let request = *request;
        self.write("grant a lease", move |store, db| {
            let (clock, entropy) = (&*store.clock.0, &*store.entropy.0);
            Box::pin(async move { leases::grant(db, &request, lease, clock, entropy).await })
        })
        .await
    }

    async fn release(&self, instance: InstanceId, counter: u64) -> Result<(), PortError> {
        leases::release(&self.db, instance, counter).await
    }

    async fn leases(&self) -> Result<Vec<Lease>, PortError> {
        leases::all(&self.db).await
    }

    async fn heard_through(&self) -> Result<Option<Timestamp>, PortError> {
        leases::heard_through(&self.db).await
    }

    async fn entries(&self, after: Seq, limit: u32) -> Result<Vec<LogEntry>, PortError> {
        log::entries(&self.db, after, limit).await
    }

    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        log::snapshot(&self.db).await
    }

    async fn ended_serials(&self, from: Serial, to: Serial) -> Result<Vec<Serial>, PortError> {
        serials::ended(&self.db, from, to, None).await
    }
}
