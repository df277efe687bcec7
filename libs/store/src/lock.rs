//! One process per file. SQLite itself would let several share it; but the reaper, the leases'
//! waiting and the in-process bus of the others would not know of each other.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Longer than any word of ours.
const WORD_BYTES_MAX: u64 = 256;

/// An exclusive lock, held until it is dropped or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct FileLock(File);

impl FileLock {
    /// Takes the lock that belongs to the database at `path`; `None` where somebody holds it.
    ///
    /// On a file beside it: SQLite takes locks of its own on the database, and closing any handle
    /// of a file gives up POSIX locks on it. It stays there when the lock is given up, since a
    /// file that is removed could be locked by one process and made anew by the next.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(beside(path, "-lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What the last holder left word of.
    pub(crate) fn word(&self) -> io::Result<String> {
        let (mut file, mut word) = (&self.0, String::new());
        file.rewind()?;
        file.take(WORD_BYTES_MAX).read_to_string(&mut word)?;
        Ok(word)
    }

    /// Leaves word for the next holder.
    pub(crate) fn leave_word(&self, word: &str) -> io::Result<()> {
        let mut file = &self.0;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(word.as_bytes())?;
        file.sync_data()
    }

    /// Gives it up early.
    pub(crate) fn give_up(&self) -> io::Result<()> {
        self.0.unlock()
    }
}

/// The one path of the file meant by `path`, which need not exist yet: two names of one file must
/// not have two locks.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        resolved => return resolved,
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a path without a file name",
        ));
    };
    // The parent of a bare name is the empty path, which means here.
    let here = directory.as_os_str().is_empty();
    let directory = if here { Path::new(".") } else { directory };
    Ok(directory.canonicalize()?.join(name))
}

/// The path of the file that belongs to the one at `path` by the ending `suffix`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
