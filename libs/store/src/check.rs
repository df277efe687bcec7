//! Looks at a file before anything may write to it. What must be refused is left as it was found:
//! neither SQLite nor this crate opens it for writing.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use session_migrations::SchemaState;

use crate::dialect;
use crate::lock::beside;
use crate::open::OpenError;

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Files up to this size are read as a whole. That takes well under a second; of a larger one only
/// the header, the schema and both ends of each table are read, because a check that grows with
/// the file would make starting take minutes on a large site. Damage it doesn't find is found when
/// the damaged page is read, and that call fails rather than answers.
const WHOLE_CHECK_BYTES_MAX: u64 = 64 << 20;

/// Refuses a file that is damaged, newer than this binary, or not ours. An absent or empty one is
/// fine: it will be founded.
pub(crate) async fn check(path: &Path) -> Result<(), OpenError> {
    let size = size(path)?;
    if size == 0 {
        return Ok(());
    }
    let header = Header::read(path)?;
    // What a killed process committed last is still in its write-ahead log, and part of the truth.
    // With it there, a file of odd length may have been caught in the middle of taking it in.
    let has_log = self::size(&beside(path, "-wal"))? > 0;
    if !has_log && !header.fits(size) {
        return Err(OpenError::Corrupt {
            source: "its end is missing".into(),
        });
    }
    let db = match dialect::sqlite_pool(dialect::sqlite_looking(path, !has_log), 1).await {
        Ok(db) => db,
        Err(error) => return unless_recovering(error),
    };
    let looked = look(&db, size).await;
    db.close().await.map_err(OpenError::Database)?;
    match looked {
        Err(OpenError::Database(error)) => unless_recovering(error),
        looked => looked,
    }
}

/// Sorts out why a file couldn't be read. Where a crash left work half done that SQLite has to
/// undo before anybody can read, nothing speaks against the file: the writing side undoes it, and
/// finds the rest then.
fn unless_recovering(error: DbErr) -> Result<(), OpenError> {
    if dialect::is_sqlite_recovery_needed(&error) {
        Ok(())
    } else {
        Err(OpenError::from(error))
    }
}

async fn look(db: &DatabaseConnection, size: u64) -> Result<(), OpenError> {
    let state = session_migrations::inspect(db).await?;
    let whole = size <= WHOLE_CHECK_BYTES_MAX;
    for row in db.query_all_raw(dialect::sqlite_check(whole)).await? {
        let said: String = row.try_get("", "quick_check")?;
        if said != "ok" {
            return Err(OpenError::Corrupt {
                source: said.into(),
            });
        }
    }
    for row in db.query_all_raw(dialect::sqlite_tables()).await? {
        let table: String = row.try_get("", "name")?;
        for edge in dialect::sqlite_edges(&table) {
            db.query_one_raw(edge).await?;
        }
    }
    match state {
        SchemaState::Empty | SchemaState::Behind | SchemaState::Ours => Ok(()),
    }
}

/// What a SQLite file says of itself (<https://sqlite.org/fileformat.html>).
struct Header {
    /// Bytes per page.
    page_size: u64,
    /// How many pages there are; `None` where the file was last written by something that doesn't
    /// say.
    pages: Option<u64>,
}

impl Header {
    fn read(path: &Path) -> Result<Self, OpenError> {
        let no_database = || OpenError::Corrupt {
            source: "it isn't a SQLite file".into(),
        };
        let mut bytes = [0; 100];
        match File::open(path)?.read_exact(&mut bytes) {
            Ok(()) if bytes.starts_with(MAGIC) => {}
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error.into()),
            Ok(()) | Err(_) => return Err(no_database()),
        }
        let number = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        // 1 stands for 65536, which two bytes can't hold.
        let page_size = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65_536,
            size if size.is_power_of_two() && size >= 512 => size.into(),
            _ => return Err(no_database()),
        };
        // The count holds only if it was written with the newest change.
        let pages = (number(24) == number(92)).then(|| number(28).into());
        Ok(Self { page_size, pages })
    }

    /// Whether a file of `size` bytes has all of its pages.
    fn fits(&self, size: u64) -> bool {
        size.is_multiple_of(self.page_size)
            && self
                .pages
                .is_none_or(|pages| size / self.page_size >= pages)
    }
}

/// The size of a file in bytes; 0 where there is none.
fn size(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}
