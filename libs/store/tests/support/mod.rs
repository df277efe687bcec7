//! A clock and an entropy whose values tests know, and stores in directories of their own.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod postgres;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{Database, DatabaseConnection};
use session_domain::contract::outbox::Trail;
use session_domain::contract::sample;
use session_domain::contract::store::Pair;
use session_domain::event::Actor;
use session_domain::ids::TenantId;
use session_domain::port::{
    Clock, End, EndOutcome, Entropy, SessionStore, Start, StartOutcome, Targets, Why,
};
use session_domain::session::{EndReason, Session};
use session_domain::time::{BootInstant, Timestamp};
use session_store::{OpenError, SqliteStore};

/// A clock that stands still an hour after the sample sessions start.
pub struct FixedClock;

impl Clock for FixedClock {
    fn wall(&self) -> Timestamp {
        sample::START.plus(std::time::Duration::from_hours(1))
    }

    fn boot(&self) -> BootInstant {
        BootInstant(0)
    }
}

/// Counts up, so that no two draws are the same.
#[derive(Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let drawn = self.0.fetch_add(1, Ordering::Relaxed) + 0x0123_4567_89ab_cdef;
        bytes
            .iter_mut()
            .zip(drawn.to_le_bytes().iter().cycle())
            .for_each(|(to, from)| *to = *from);
    }
}

/// Opens the store at `path`.
pub async fn try_open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(
        path,
        Arc::new(FixedClock),
        Arc::new(CountingEntropy::default()),
    )
    .await
}

/// Opens the store at `path`, which must succeed.
pub async fn open(path: &Path) -> Arc<SqliteStore> {
    Arc::new(try_open(path).await.unwrap())
}

/// A directory that goes away with this, and the path of a database in it.
pub fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions.db");
    (directory, path)
}

/// A store for one case of a contract.
pub async fn pair() -> Pair {
    let store = fresh().await;
    (store.clone(), store)
}

async fn fresh() -> Arc<SqliteStore> {
    let (directory, path) = directory();
    let store = open(&path).await;
    // Goes away with the test's runtime.
    tokio::spawn(async move {
        let _held = directory;
        std::future::pending::<()>().await;
    });
    store
}

/// A store for one case of the outbox's contract.
pub async fn trail() -> Trail {
    let store = fresh().await;
    (store.clone(), store)
}

/// Starts session `number` of user `user`.
pub async fn start(store: &Arc<SqliteStore>, number: u128, user: &str) -> Session {
    let store: Arc<dyn SessionStore> = store.clone();
    let session = sample::new_session(number, user);
    let start = Start {
        session,
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    match store.apply(start).await.unwrap() {
        StartOutcome::Started { session, .. } => *session,
        other => panic!("not started: {other:?}"),
    }
}

/// Ends session `number`.
pub async fn end(store: &Arc<SqliteStore>, number: u128) -> EndOutcome {
    let store: Arc<dyn SessionStore> = store.clone();
    let targets = Targets::One {
        tenant: TenantId::default(),
        id: sample::session_id(number),
    };
    let why = Why::Because {
        reason: EndReason::Logout,
        note: None,
    };
    let change = End {
        targets,
        why,
        at: FixedClock.wall(),
        actor: Actor::System,
        batch: 1,
    };
    store.apply(change).await.unwrap()
}

/// Opens a database as another program would.
pub async fn raw(path: &Path) -> DatabaseConnection {
    Database::connect(format!("sqlite://{}?mode=rwc", path.display()))
        .await
        .unwrap()
}
