use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use maxminddb::{MaxMindDbError, Reader};
use session_domain::time::Timestamp;

use super::sealed::{self, Bytes};

/// The largest file taken; the largest databases sold are well below half of it. A bound, so that
/// a wrong path can't eat the machine's memory.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// How often a file that changes while it is read is read again before the next round must do.
const READS_MAX: u32 = 3;

/// One database: where it is, and what was last read of it.
pub(super) struct Database {
    path: PathBuf,
    /// What its type is expected to mention.
    kinds: &'static [&'static str],
    reader: ArcSwapOption<Reader<Bytes>>,
    watch: Mutex<Watch>,
    /// Whether a failed look-up was reported: once tells the operator, more would fill the disk.
    complained: AtomicBool,
}

/// What is known of the file from looking at it.
#[derive(Default)]
struct Watch {
    /// The state of it that was judged, for good or bad. The same state isn't read again.
    judged: Option<Stamp>,
    /// What was last reported of it: said once, however often it is found.
    complaint: Option<String>,
}

impl Database {
    pub(super) fn new(path: &Path, kinds: &'static [&'static str]) -> Self {
        Self {
            path: path.to_owned(),
            kinds,
            reader: ArcSwapOption::empty(),
            watch: Mutex::default(),
            complained: AtomicBool::new(false),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn built_at(&self) -> Option<Timestamp> {
        let reader = self.reader.load();
        reader.as_deref().map(built_at)
    }

    /// Takes the file as it now is, if that is something new and whole.
    pub(super) fn refresh(&self) {
        // Nothing that holds it panics halfway through a change.
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let read = Stamp::of_path(&self.path).and_then(|stamp| {
            let is_new = watch.judged != Some(stamp);
            is_new.then(|| read(&self.path)).transpose()
        });
        match read {
            Ok(None) => {}
            Ok(Some((stamp, reader))) => {
                self.accept(reader);
                *watch = Watch {
                    judged: Some(stamp),
                    complaint: None,
                };
            }
            Err(refusal) => {
                let complaint = refusal.to_string();
                let mut is_news = watch.complaint.as_ref() != Some(&complaint);
                if let Refusal::Damaged { stamp, .. } = refusal {
                    watch.judged = Some(stamp);
                    is_news = true;
                }
                if is_news {
                    self.complain(&complaint);
                }
                watch.complaint = Some(complaint);
            }
        }
    }

    fn accept(&self, reader: Reader<Bytes>) {
        let (path, kind) = (&self.path, &reader.metadata().database_type);
        let built_unix_seconds = reader.metadata().build_epoch;
        tracing::info!(?path, kind, built_unix_seconds, "GeoIP database read");
        if !self.kinds.iter().any(|expected| kind.contains(expected)) {
            let expected = self.kinds;
            tracing::warn!(?path, kind, ?expected, "GeoIP database of another kind");
        }
        self.reader.store(Some(Arc::new(reader)));
        self.complained.store(false, Ordering::Relaxed);
    }

    fn complain(&self, complaint: &str) {
        let path = &self.path;
        if self.reader.load().is_some() {
            tracing::warn!(
                ?path,
                complaint,
                "GeoIP database can't be read; the one before stays in use"
            );
        } else {
            tracing::warn!(?path, complaint, "GeoIP database can't be read");
        }
    }

    /// The answer to a question, if there is a database and it knows.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Reader<Bytes>) -> Result<Option<T>, MaxMindDbError>,
    ) -> Option<T> {
        let reader = self.reader.load();
        question(reader.as_deref()?).unwrap_or_else(|error| {
            // An IPv6 address in a database of IPv4 ones is nobody's fault.
            let ours = !matches!(error, MaxMindDbError::InvalidInput { .. });
            if ours && !self.complained.swap(true, Ordering::Relaxed) {
                let path = &self.path;
                tracing::warn!(?path, %error, "GeoIP database is damaged");
            }
            None
        })
    }
}

fn built_at(reader: &Reader<Bytes>) -> Timestamp {
    let seconds = i64::try_from(reader.metadata().build_epoch).unwrap_or(i64::MAX);
    Timestamp::from_unix_seconds(seconds)
}

/// What tells one state of a file from another. The change time is in it because copying tools
/// like to set the modification time back; nobody can set that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of_path(path: &Path) -> Result<Self, Refusal> {
        match fs::metadata(path) {
            Ok(metadata) => Self::of(&metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Refusal::Missing),
            Err(error) => Err(error.into()),
        }
    }

    fn of(metadata: &Metadata) -> Result<Self, Refusal> {
        // Opening a pipe would wait for somebody to write.
        if !metadata.is_file() {
            return Err(Refusal::NoFile);
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Why a database isn't taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no such file")]
    Missing,
    #[error("it isn't a regular file")]
    NoFile,
    #[error("it keeps changing while it is read")]
    Changing,
    #[error("it is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    File(#[from] io::Error),
    /// Read as it is and found wanting: only another file is worth another look.
    #[error("{source}")]
    Damaged {
        stamp: Stamp,
        source: Box<MaxMindDbError>,
    },
}

/// The whole file in one state, checked from end to end.
fn read(path: &Path) -> Result<(Stamp, Reader<Bytes>), Refusal> {
    for _ in 0..READS_MAX {
        let file = File::open(path)?;
        let before = Stamp::of(&file.metadata()?)?;
        if before.bytes > FILE_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let bytes = sealed::copy(&file, FILE_BYTES_MAX)?;
        // Half an old file and half a new one may well look whole.
        if Stamp::of(&file.metadata()?)? == before {
            let reader = check(bytes).map_err(|source| Refusal::Damaged {
                stamp: before,
                source: Box::new(source),
            })?;
            return Ok((before, reader));
        }
    }
    Err(Refusal::Changing)
}

/// Every node and every record is looked at now, so that damage shows here and not in look-ups.
/// The verifier's work is bounded by the file's length.
fn check(bytes: Bytes) -> Result<Reader<Bytes>, MaxMindDbError> {
    let reader = Reader::from_source(bytes)?;
    reader.verify()?;
    Ok(reader)
}
