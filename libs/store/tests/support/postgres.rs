//! Databases of a test's own on a private server, and stores on them.

use std::sync::Arc;

use session_domain::contract::outbox::Trail;
use session_domain::contract::store::Pair;
use session_store::{OpenError, PostgresOptions, PostgresStore, PostgresUrl};
use session_testkit::servers::{Database, Postgres};

use super::{CountingEntropy, FixedClock};

/// As shipped, but patient: the machine that runs the tests may be busy with others.
pub fn options() -> PostgresOptions {
    PostgresOptions {
        connection_timeout: std::time::Duration::from_secs(30),
        idle_in_transaction_timeout: std::time::Duration::from_secs(10),
        ..PostgresOptions::default()
    }
}

/// A database with our schema in it.
pub fn database() -> Database<'static> {
    Postgres::shared().copy_of("migrated", |url| {
        let url: PostgresUrl = url.parse().unwrap();
        // The caller may be on a runtime already, which must not be blocked within.
        let migrating = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime
                .block_on(PostgresStore::migrate(&url, &options()))
                .unwrap();
        });
        migrating.join().unwrap();
    })
}

/// Opens a store on the database at `url`.
pub async fn try_open(url: &str) -> Result<PostgresStore, OpenError> {
    PostgresStore::connect(
        &url.parse().unwrap(),
        &options(),
        Arc::new(FixedClock),
        Arc::new(CountingEntropy::default()),
    )
    .await
}

/// Opens a store on a database, which must succeed.
pub async fn open(database: &Database<'_>) -> Arc<PostgresStore> {
    Arc::new(try_open(&database.url()).await.unwrap())
}

/// A store for one case of a contract.
pub async fn pair() -> Pair {
    let store = fresh().await;
    (store.clone(), store)
}

/// A store for one case of the outbox's contract.
pub async fn trail() -> Trail {
    let store = fresh().await;
    (store.clone(), store)
}

async fn fresh() -> Arc<PostgresStore> {
    let database = database();
    let store = open(&database).await;
    // Goes away with the test's runtime.
    tokio::spawn(async move {
        let _held = database;
        std::future::pending::<()>().await;
    });
    store
}
