//! The keys that live outside the database, as a small folder of files:
//!
//! | file | what it is |
//! |---|---|
//! | `key-encryption-key` | seals the private signing keys in the database |
//! | `refresh-key-1`, `refresh-key-2` … up to 255 | derive refresh tokens, see [`refresh`](crate::refresh) |
//!
//! Each holds 64 hexadecimal digits (256 bits) and perhaps a newline, and may be readable by its
//! owner only. A new folder is filled on first use; after that nothing here is ever written again,
//! because replacing a key would make what it protects worthless without a word.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use session_domain::port::Entropy;
use zeroize::Zeroizing;

use crate::refresh::{RefreshKey, RefreshKeys};
use crate::seal::KeyEncryptionKey;

const KEK_FILE: &str = "key-encryption-key";
const REFRESH_PREFIX: &str = "refresh-key-";

/// 64 digits and a newline.
const FILE_BYTES_MAX: usize = 65;

/// A text that isn't 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct NotAKey;

/// Why the secrets can't be had. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Others than its owner may read or change it.
    #[error("{} may be used by others than its owner (mode {mode:03o}); it must be 600 or 400", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It isn't a regular file holding a key.
    #[error("{} does not hold 64 hexadecimal digits", .0.display())]
    NotAKey(PathBuf),
    /// It is named like a refresh key, but not numbered 1 to 255 in the plain way.
    #[error("{} is not one of refresh-key-1 to refresh-key-255", .0.display())]
    Name(PathBuf),
    /// Some of the files are there and one isn't. It is not made anew: either it was lost, and a
    /// new one would silently make every signing key unreadable or end every session; or this is
    /// the wrong folder.
    #[error(
        "{} is missing although its companions are there; restore it, or empty the folder to \
         start over with new keys", .0.display()
    )]
    Missing(PathBuf),
}

impl SecretsError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The keys that live outside the database.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Seals signing keys.
    pub kek: KeyEncryptionKey,
    /// Derive refresh tokens; at least one.
    pub refresh_keys: RefreshKeys,
}

impl Secrets {
    /// Reads the keys in the folder `dir`, or, where it holds none at all (or doesn't exist),
    /// makes them. Any number of processes may do so at once: all get the same keys.
    ///
    /// What was made is on disk, names and all, when this returns: nothing is ever sealed or
    /// derived with a key that a crash could lose.
    pub fn load_or_create(dir: &Path, entropy: &dyn Entropy) -> Result<Self, SecretsError> {
        if let Some(secrets) = Self::load(dir).or_else(none_or_incomplete)? {
            return Ok(secrets);
        }
        create_dir(dir)?;
        // Locked from here to the end, and released by the kernel if this process dies. Reading
        // complete keys takes no lock: read-only mounts may not offer one.
        let folder = File::open(dir).map_err(SecretsError::io("open", dir))?;
        folder.lock().map_err(SecretsError::io("lock", dir))?;
        if let Some(secrets) = Self::load(dir)? {
            return Ok(secrets);
        }
        let kek = KeyEncryptionKey::generate(entropy);
        let refresh = RefreshKey::generate(entropy);
        // Both are complete on disk before either gets its name, so a crash hardly ever leaves
        // one without the other; if it does, that is refused rather than guessed about.
        let first = format!("{REFRESH_PREFIX}1");
        let kek_file = stage(dir, KEK_FILE, &kek.to_hex())?;
        let refresh_file = stage(dir, &first, &refresh.to_hex())?;
        for (staged, name) in [(kek_file, KEK_FILE), (refresh_file, first.as_str())] {
            fs::rename(&staged, dir.join(name)).map_err(SecretsError::io("rename", &staged))?;
        }
        folder.sync_all().map_err(SecretsError::io("sync", dir))?;
        Ok(Self {
            kek,
            refresh_keys: RefreshKeys::from([(1, refresh)]),
        })
    }

    /// The keys in the folder; `None` where there is none.
    fn load(dir: &Path) -> Result<Option<Self>, SecretsError> {
        let numbers = refresh_numbers(dir)?;
        let kek: Option<KeyEncryptionKey> = read_key(&dir.join(KEK_FILE))?;
        let missing = |name: &str| SecretsError::Missing(dir.join(name));
        match (kek, numbers.is_empty()) {
            (None, true) => Ok(None),
            (None, false) => Err(missing(KEK_FILE)),
            (Some(_), true) => Err(missing("refresh-key-1")),
            (Some(kek), false) => {
                let mut refresh_keys = RefreshKeys::new();
                for number in numbers {
                    let name = format!("{REFRESH_PREFIX}{number}");
                    let key = read_key(&dir.join(&name))?.ok_or_else(|| missing(&name))?;
                    refresh_keys.insert(number, key);
                }
                Ok(Some(Self { kek, refresh_keys }))
            }
        }
    }
}

/// Without the lock, one missing file may be one that another process is about to name; whether
/// it really is missing is seen under the lock.
fn none_or_incomplete(error: SecretsError) -> Result<Option<Secrets>, SecretsError> {
    match error {
        SecretsError::Missing(_) => Ok(None),
        other => Err(other),
    }
}

/// The numbers of the refresh keys in the folder.
fn refresh_numbers(dir: &Path) -> Result<Vec<u8>, SecretsError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(SecretsError::io("list", dir))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(SecretsError::io("list", dir))?.file_name();
        let Some(number) = name
            .to_str()
            .and_then(|name| name.strip_prefix(REFRESH_PREFIX))
        else {
            continue;
        };
        let plain = |&value: &u8| value > 0 && value.to_string() == number;
        let value = number.parse().ok().filter(plain);
        numbers.push(value.ok_or_else(|| SecretsError::Name(dir.join(&name)))?);
    }
    Ok(numbers)
}

/// The key in a file; `None` where there is no such file.
fn read_key<K: FromStr<Err = NotAKey>>(path: &Path) -> Result<Option<K>, SecretsError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(SecretsError::io("open", path))?,
    };
    // Asked of the open file: what is checked is what is read.
    let metadata = file.metadata().map_err(SecretsError::io("inspect", path))?;
    if !metadata.is_file() {
        return Err(SecretsError::NotAKey(path.to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretsError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    file.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut text)
        .map_err(SecretsError::io("read", path))?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .map(Some)
        .ok_or_else(|| SecretsError::NotAKey(path.to_owned()))
}

fn create_dir(dir: &Path) -> Result<(), SecretsError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(SecretsError::io("create", dir))?;
    // The folder's own name must last, too.
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(SecretsError::io("sync", parent))
}

/// Writes a key to a file that hasn't its final name yet, and waits until it is on disk.
fn stage(dir: &Path, name: &str, digits: &[u8]) -> Result<PathBuf, SecretsError> {
    let path = dir.join(format!(".{name}.new"));
    // Left by a process that died while it held the lock; nobody ever used it.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(SecretsError::io("remove", &path)(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(SecretsError::io("create", &path))?;
    file.write_all(digits)
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(SecretsError::io("write", &path))?;
    Ok(path)
}
