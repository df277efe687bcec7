use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sea_orm::DbErr;
use session_domain::port::{Clock, Entropy, PortError};
use session_migrations::SchemaError;

use crate::lock::{self, FileLock};
use crate::sqlite::SqliteStore;
use crate::writer::Writer;
use crate::{check, dialect, epochs, log};

/// How many connections read at once. They are files in this process; more than a few per core
/// only take memory.
const READERS: u32 = 8;

/// Why a store can't be opened. Wherever the file itself is why, it was left untouched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this one, has it open.
    #[error("the database is in use by another process")]
    InUse,
    /// It is damaged, or not a database. Restore it from a backup.
    #[error("the database file is damaged")]
    Corrupt {
        /// What was found.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A newer binary has changed its schema.
    #[error("the database was changed by a newer version of this program: {}", .unknown.join(", "))]
    Newer {
        /// What was done to it that this binary doesn't know.
        unknown: Vec<String>,
    },
    /// It is a database, but of another program.
    #[error("the database belongs to another program")]
    Foreign,
    /// It, or what belongs beside it, couldn't be read or made.
    #[error("the database file couldn't be read or made")]
    Io(#[from] io::Error),
    /// The server doesn't let this login in, not to this database, or not do what is needed.
    #[error("the database server refused the login, the database or a privilege")]
    Refused(#[source] DbErr),
    /// The server can't be reached, or not now.
    #[error("the database server can't be reached")]
    Unreachable(#[source] DbErr),
    /// The server is of a version that isn't supported.
    #[error("the database server is too old: PostgreSQL 15 or newer is needed")]
    TooOld {
        /// Its version, as the server gives its number.
        version: i32,
    },
    /// Its schema isn't (yet) as this binary needs it.
    #[error(
        "the database's schema isn't as this program needs it: run `session-api migrate` first"
    )]
    Unmigrated,
    /// The engine couldn't open or prepare it.
    #[error("the database couldn't be opened")]
    Database(#[source] DbErr),
    /// The revocation log couldn't be founded.
    #[error("the revocation log couldn't be founded")]
    Founding(#[source] PortError),
    /// Its clock couldn't be asked.
    #[error("the database couldn't be asked the time")]
    Time(#[source] PortError),
}

impl OpenError {
    /// Whether the same call may succeed later, without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Founding(error) | Self::Time(error) => error.is_retry(),
            Self::InUse
            | Self::Corrupt { .. }
            | Self::Newer { .. }
            | Self::Foreign
            | Self::Io(_)
            | Self::Refused(_)
            | Self::TooOld { .. }
            | Self::Unmigrated
            | Self::Database(_) => false,
        }
    }
}

impl From<DbErr> for OpenError {
    fn from(error: DbErr) -> Self {
        if dialect::is_sqlite_corrupt(&error) {
            Self::Corrupt {
                source: error.into(),
            }
        } else {
            Self::Database(error)
        }
    }
}

impl From<SchemaError> for OpenError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Newer { unknown } => Self::Newer { unknown },
            SchemaError::Foreign => Self::Foreign,
            SchemaError::Database(error) => error.into(),
        }
    }
}

impl SqliteStore {
    /// Opens the store in the file at `path`, and founds it where there is none or an empty one.
    /// Must be called on a tokio runtime, which the store's writer keeps using.
    ///
    /// The authority's time is read from `clock`; `entropy` draws the log's epoch and the leases'
    /// secrets. Beside the file there are `-wal` and `-shm` while it is open, and `-lock`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        path: impl AsRef<Path>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let path = &*lock::resolve(path.as_ref())?;
        // First, so that nobody changes the file between the look at it and its opening.
        let lock = Arc::new(FileLock::take(path)?.ok_or(OpenError::InUse)?);
        check::check(path).await?;
        let writing = dialect::sqlite_writing(path);
        let db = dialect::sqlite_pool(writing.clone(), 1).await?;
        session_migrations::migrate(&db).await?;
        log::found(&db, &*entropy)
            .await
            .map_err(OpenError::Founding)?;
        epochs::recognise(&db, &lock, &*entropy)
            .await
            .map_err(OpenError::Founding)?;
        // Only now: readers can't make the file they read.
        let readers = dialect::sqlite_pool(dialect::sqlite_reading(path), READERS).await?;
        let writer = Writer::start(db, writing, clock, entropy, Arc::clone(&lock));
        Ok(Self::new(readers, writer, lock))
    }
}
