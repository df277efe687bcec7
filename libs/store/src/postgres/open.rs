//! Connecting, and bringing the schema to where this binary needs it.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbErr};
use session_domain::port::{Clock, Entropy};
use session_migrations::{SchemaError, SchemaState};

use super::patience::{Patience, Pool};
use super::{PostgresOptions, PostgresStore, PostgresUrl};
use crate::dialect::{self, PostgresRefusal, Suspects};
use crate::log;
use crate::open::OpenError;

/// The oldest version that is supported, as the server gives its number.
const VERSION_MIN: i32 = 150_000;

impl PostgresStore {
    /// Connects to a database whose schema is as this binary needs it: [`Self::migrate`] makes it
    /// so. Founds the revocation log where that wasn't done.
    ///
    /// `entropy` draws the log's epoch and the leases' secrets. The authority's time is the
    /// database's own; `clock` is what engines without one go by.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::is_passing`] where it may be tried again.
    pub async fn connect(
        url: &PostgresUrl,
        options: &PostgresOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let (size, patience) = (options.connections_max, options.connection_timeout);
        let suspects = Arc::new(Suspects::default());
        let db = dialect::postgres_pool(url.working(options), size, patience, &suspects)
            .await
            .map_err(refused)?;
        let db = Pool {
            bare: db,
            patience: Patience::of(options),
            suspects,
        };
        if let Err(error) = prepare(&db, &*entropy).await {
            // The pool goes away either way; this one says goodbye to the server.
            db.close().await;
            return Err(error);
        }
        Ok(Self::new(db, clock, entropy))
    }

    /// Brings the schema to where this binary needs it; all steps or none. May be called by many
    /// processes at once: each waits for the others.
    ///
    /// # Errors
    /// [`OpenError`]; then nothing was changed.
    pub async fn migrate(url: &PostgresUrl, options: &PostgresOptions) -> Result<(), OpenError> {
        let patience = options.connection_timeout;
        let suspects = Arc::new(Suspects::default());
        let db = dialect::postgres_pool(url.migrating(), 1, patience, &suspects)
            .await
            .map_err(refused)?;
        let migrated = async {
            supported(&db).await?;
            session_migrations::migrate(&db).await.map_err(unusable)
        };
        let migrated = migrated.await;
        let closed = db.close().await;
        migrated.and(closed.map_err(refused))
    }
}

/// Refuses what this binary must not work on, and founds the log.
async fn prepare(db: &Pool, entropy: &dyn Entropy) -> Result<(), OpenError> {
    supported(db).await?;
    let inspected = db.wait(session_migrations::inspect(&db.bare)).await;
    match inspected.map_err(refused)?.map_err(unusable)? {
        SchemaState::Empty | SchemaState::Behind => return Err(OpenError::Unmigrated),
        SchemaState::Ours => {}
    }
    if !dialect::postgres_syncs(db).await.map_err(refused)? {
        tracing::warn!(
            "the server runs with fsync=off: a crash of its machine loses answered changes"
        );
    }
    log::found(db, entropy).await.map_err(OpenError::Founding)
}

async fn supported(db: &impl ConnectionTrait) -> Result<(), OpenError> {
    let version = dialect::postgres_version(db).await.map_err(refused)?;
    if version < VERSION_MIN {
        return Err(OpenError::TooOld { version });
    }
    Ok(())
}

fn unusable(error: SchemaError) -> OpenError {
    match error {
        SchemaError::Newer { unknown } => OpenError::Newer { unknown },
        SchemaError::Foreign => OpenError::Foreign,
        SchemaError::Database(error) => refused(error),
    }
}

fn refused(error: DbErr) -> OpenError {
    match dialect::postgres_refusal(&error) {
        PostgresRefusal::Access => OpenError::Refused(error),
        PostgresRefusal::Passing => OpenError::Unreachable(error),
        PostgresRefusal::Other => OpenError::Database(error),
    }
}
