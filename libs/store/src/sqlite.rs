mod outbox;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DatabaseConnection;
use session_domain::bulk::Revocation;
use session_domain::ids::{InstanceId, LogEpoch, RevocationId, Serial, SessionId, TenantId};
use session_domain::known_device::KnownDevice;
use session_domain::port::{
    Change, DeviceQuery, ListQuery, MatchPage, MatchQuery, Outcome, PortError, RevocationLog,
    ServiceKey, SessionStore, StoredSigningKey,
};
use session_domain::revocation::{
    GrantReply, GrantRequest, Head, Holders, LogRun, Snapshot, SnapshotMark,
};
use session_domain::service_key::KeyHash;
use session_domain::session::{Seeded, Session};
use session_domain::stats::SessionStats;
use session_domain::time::Timestamp;

use crate::epochs::LogWork;
use crate::lock::FileLock;
use crate::writer::{WriterCounts, WriterHandle};
use crate::{counters, devices, epochs, keys, leases, log, revocations, serials, sessions};

/// The store in a SQLite file, for one process.
///
/// Readers and the one writer don't wait for each other (WAL); what a call returned is durable
/// (`synchronous=FULL`) and seen by every later call.
#[derive(Debug)]
pub struct SqliteStore {
    readers: DatabaseConnection,
    writer: WriterHandle,
    lock: Arc<FileLock>,
}

impl SqliteStore {
    pub(crate) fn new(
        readers: DatabaseConnection,
        writer: WriterHandle,
        lock: Arc<FileLock>,
    ) -> Self {
        Self {
            readers,
            writer,
            lock,
        }
    }

    /// How much has been written since the store was opened.
    pub fn counts(&self) -> WriterCounts {
        self.writer.counts()
    }

    /// Closes the store: what was asked for before is done, the file is complete without the ones
    /// beside it, and another process may open it. Calls made afterwards fail. A store that is
    /// merely dropped, or whose process is killed, loses nothing either; but its file is let go a
    /// little later, and its last changes stay in the write-ahead log until it is opened again.
    ///
    /// # Errors
    /// Where the lock couldn't be given up; it is when the process ends.
    pub async fn close(&self) -> io::Result<()> {
        // Readers first: the last connection to close puts the write-ahead log into the file,
        // which a reader can't.
        if let Err(error) = self.readers.close_by_ref().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "closing the database's readers failed"
            );
        }
        self.writer.stop().await;
        self.lock.give_up()
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn commit(&self, change: Change) -> Result<Outcome, PortError> {
        self.writer.commit(change).await
    }

    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Session>, PortError> {
        sessions::find(&self.readers, tenant, id).await
    }

    async fn find_for_refresh(&self, id: SessionId) -> Result<Option<Seeded>, PortError> {
        sessions::find_anywhere(&self.readers, id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Session>, PortError> {
        sessions::list(&self.readers, query).await
    }

    async fn stats(&self, tenant: Option<&TenantId>) -> Result<SessionStats, PortError> {
        counters::read(&self.readers, tenant).await
    }

    async fn revocation(&self, id: RevocationId) -> Result<Option<Revocation>, PortError> {
        revocations::find(&self.readers, id).await
    }

    async fn matching(&self, query: &MatchQuery) -> Result<MatchPage, PortError> {
        sessions::matching(&self.readers, query).await
    }

    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<KnownDevice>, PortError> {
        devices::list(&self.readers, query).await
    }

    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, PortError> {
        keys::signing_keys(&self.readers).await
    }

    async fn service_key(&self, hash: &KeyHash) -> Result<Option<ServiceKey>, PortError> {
        keys::service_key(&self.readers, hash).await
    }

    async fn service_keys(&self) -> Result<Vec<ServiceKey>, PortError> {
        keys::service_keys(&self.readers).await
    }
}

#[async_trait]
impl RevocationLog for SqliteStore {
    async fn head(&self) -> Result<Head, PortError> {
        log::head(&self.readers).await
    }

    async fn grant(
        &self,
        request: &GrantRequest,
        lease: Duration,
    ) -> Result<GrantReply, PortError> {
        let reply = self.writer.grant(*request, lease).await?;
        if let Some(applied) = epochs::ahead(request, &reply) {
            self.writer
                .log(LogWork::BeginUnlessReached(applied))
                .await?;
        }
        Ok(reply)
    }

    async fn release(&self, instance: InstanceId, counter: u64) -> Result<(), PortError> {
        self.writer.log(LogWork::Release(instance, counter)).await?;
        Ok(())
    }

    async fn forget(&self, instance: InstanceId, counter: u64) -> Result<(), PortError> {
        self.writer.log(LogWork::Forget(instance, counter)).await?;
        Ok(())
    }

    async fn holders(&self) -> Result<Holders, PortError> {
        epochs::holders(&self.readers).await
    }

    async fn settle(&self, epoch: LogEpoch) -> Result<(), PortError> {
        self.writer.log(LogWork::Settle(epoch)).await?;
        Ok(())
    }

    async fn heard_through(&self) -> Result<Option<Timestamp>, PortError> {
        leases::heard_through(&self.readers).await
    }

    async fn entries(&self, after: Head, limit: u32) -> Result<LogRun, PortError> {
        log::entries(&self.readers, after, limit).await
    }

    async fn prune(&self, keep: Duration, limit: u32) -> Result<u64, PortError> {
        self.writer.log(LogWork::Prune(keep, limit)).await
    }

    async fn snapshot(&self, mark: Option<&SnapshotMark>) -> Result<Snapshot, PortError> {
        log::snapshot(&self.readers, mark).await
    }

    async fn ended_serials(&self, from: Serial, to: Serial) -> Result<Vec<Serial>, PortError> {
        serials::ended(&self.readers, from, to, None).await
    }
}
