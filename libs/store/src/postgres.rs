mod bulk;
mod engine;
mod group;
mod open;
mod outbox;
mod patience;
mod queue;
mod seal;
mod settings;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::FutureExt;
use session_domain::bulk::Revocation;
use session_domain::ids::{InstanceId, LogEpoch, RevocationId, Serial, SessionId, TenantId};
use session_domain::known_device::KnownDevice;
use session_domain::port::{
    Change, Clock, DeviceQuery, Entropy, ListQuery, MatchPage, MatchQuery, Outcome, PortError,
    RevocationLog, ServiceKey, SessionStore, StoredSigningKey,
};
use session_domain::revocation::{
    GrantReply, GrantRequest, Head, Holders, LogRun, Snapshot, SnapshotMark,
};
use session_domain::service_key::KeyHash;
use session_domain::session::{Seeded, Session};
use session_domain::stats::SessionStats;
use session_domain::time::Timestamp;

pub use engine::PostgresCounts;
pub use settings::{InvalidPostgresUrl, PostgresOptions, PostgresUrl};

use crate::leases::Wish;
use crate::{
    counters, devices, dialect, epochs, keys, leases, log, revocations, serials, sessions,
};
use engine::{Engine, LANES};
use patience::Pool;
use queue::Queue;

/// The store in a PostgreSQL database (15 or newer), shared by any number of processes.
///
/// Starts, refreshes and single ends that arrive while others are under way share a transaction;
/// any other change has one of its own (READ COMMITTED). Each locks the session rows in the order
/// of their ids, and last the log's head, so entries are numbered in the order of commits; from the
/// head's lock to the commit it is one call to the server. What a call returned is durable as far
/// as the server's `synchronous_commit` says.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    db: Pool,
    clock: Shared<dyn Clock>,
    horizon: outbox::Waiting,
    /// The longest lease that was granted here.
    noted: Arc<epochs::Longest>,
    engine: Engine,
    changes: Arc<Queue<Change, Outcome>>,
    grants: Arc<Queue<Wish, GrantReply>>,
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
    /// Closes its connections, once what they do is done; after two seconds all the same. Calls
    /// made afterwards fail.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// What the database's own clock says now: the one everything is stamped by.
    ///
    /// # Errors
    /// Where it can't be asked.
    pub async fn time(&self) -> Result<Timestamp, PortError> {
        dialect::now(&self.db, &*self.clock.0).await
    }

    /// How much has been written since it was opened.
    pub fn counts(&self) -> PostgresCounts {
        self.engine.counts()
    }

    fn new(db: Pool, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let clock = Shared(clock);
        let engine = Engine::new(db.clone(), clock.clone(), Shared(entropy));
        let changes = {
            let engine = engine.clone();
            Queue::start("commit", LANES, move |lane, asked| {
                let engine = engine.clone();
                async move { engine.carry_out_together(lane, asked).await }.boxed()
            })
        };
        let grants = {
            let engine = engine.clone();
            // One at a time: they would only wait for each other at the log's head.
            Queue::start("grant a lease", 1, move |_, asked| {
                let engine = engine.clone();
                async move { engine.grant_together(asked).await }.boxed()
            })
        };
        Self {
            db,
            clock,
            noted: Arc::default(),
            horizon: outbox::Waiting::default(),
            engine,
            changes: Arc::new(changes),
            grants: Arc::new(grants),
        }
    }
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn commit(&self, change: Change) -> Result<Outcome, PortError> {
        if group::takes(&change) {
            return self.changes.ask(change).await;
        }
        // In a task of its own: whoever asked may stop waiting, and must not leave others waiting
        // for the locks of a transaction that nobody drives any more.
        let engine = self.engine.clone();
        let writing = tokio::spawn(async move { engine.carry_out(&change).await });
        let panicked = |error| PortError::fatal("commit", error);
        writing.await.map_err(panicked)?
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

    async fn revocation(&self, id: RevocationId) -> Result<Option<Revocation>, PortError> {
        revocations::find(&self.db, id).await
    }

    async fn matching(&self, query: &MatchQuery) -> Result<MatchPage, PortError> {
        sessions::matching(&self.db, query).await
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
        if self.noted.is_news(lease) {
            epochs::note_length(&self.db, lease).await?;
            self.noted.note(lease);
        }
        let reply = self.grants.ask((*request, lease)).await?;
        if let Some(applied) = epochs::ahead(request, &reply) {
            epochs::begin_unless_reached(&self.db, applied).await?;
        }
        Ok(reply)
    }

    async fn release(&self, instance: InstanceId, counter: u64) -> Result<(), PortError> {
        epochs::release(&self.db, instance, counter, &*self.clock.0).await
    }

    async fn forget(&self, instance: InstanceId, counter: u64) -> Result<(), PortError> {
        epochs::forget(&self.db, instance, counter).await
    }

    async fn holders(&self) -> Result<Holders, PortError> {
        let holders = epochs::holders(&self.db).await?;
        // What this process grants, it knows; the database may have lost it.
        let longest = holders.longest.max(self.noted.get());
        Ok(Holders { longest, ..holders })
    }

    async fn settle(&self, epoch: LogEpoch) -> Result<(), PortError> {
        epochs::settle(&self.db, epoch).await
    }

    async fn heard_through(&self) -> Result<Option<Timestamp>, PortError> {
        leases::heard_through(&self.db).await
    }

    async fn entries(&self, after: Head, limit: u32) -> Result<LogRun, PortError> {
        log::entries(&self.db, after, limit).await
    }

    async fn prune(&self, keep: Duration, limit: u32) -> Result<u64, PortError> {
        epochs::prune(&self.db, keep, limit, &*self.clock.0).await
    }

    async fn snapshot(&self, mark: Option<&SnapshotMark>) -> Result<Snapshot, PortError> {
        log::snapshot(&self.db, mark).await
    }

    async fn ended_serials(&self, from: Serial, to: Serial) -> Result<Vec<Serial>, PortError> {
        serials::ended(&self.db, from, to, None).await
    }
}
