//! Takes new policies without a restart: when the process is told to (`SIGHUP`), and when the
//! configuration file changes.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::Meter;
use session_client::{Policies, Validator};
use session_runtime::config::Mistakes;
use session_runtime::private::Readiness;
use session_runtime::shutdown::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

use crate::metrics::Reloads;

/// How often the file is looked at. Watching would miss what container platforms do with links.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Under what operators find it in `/readyz` that the policies in force aren't the file's.
const NOTE: &str = "policies";

/// How policies are read anew: all settings are, so that any mistake is found, and only the
/// policies are taken.
#[derive(Clone)]
pub struct Reload {
    file: Option<PathBuf>,
    read: Arc<dyn Fn() -> Result<Policies, Mistakes> + Send + Sync>,
}

impl Reload {
    /// Reads by `read`, and looks at `file`, where there is one, for changes.
    pub fn new(
        file: Option<PathBuf>,
        read: impl Fn() -> Result<Policies, Mistakes> + Send + Sync + 'static,
    ) -> Self {
        Self {
            file,
            read: Arc::new(read),
        }
    }

    /// Keeps `validator`'s policies those of the configuration until the shutdown. Where there is a
    /// mistake anywhere in it the old ones stay in force, and operators are told.
    ///
    /// # Errors
    /// Signals can't be listened to.
    pub(crate) async fn keep(
        self,
        validator: Validator,
        meter: &Meter,
        readiness: Readiness,
        shutdown: Shutdown,
    ) -> io::Result<()> {
        let mut told = signal(SignalKind::hangup())?;
        let reloads = Reloads::new(meter);
        let mut seen = self.stamp();
        loop {
            tokio::select! {
                () = shutdown.draining() => return Ok(()),
                _ = told.recv() => seen = self.stamp(),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let now = self.stamp();
                    if now == seen {
                        continue;
                    }
                    seen = now;
                }
            }
            let read = Arc::clone(&self.read);
            match tokio::task::spawn_blocking(move || read()).await {
                Ok(Ok(policies)) => {
                    let names: Vec<_> = policies.iter().map(|(name, _)| name).collect();
                    tracing::info!(?names, "policies read anew");
                    validator.set_policies(policies);
                    reloads.count("taken");
                    readiness.note(NOTE, None);
                }
                Ok(Err(mistakes)) => {
                    tracing::error!(%mistakes, "the old policies stay in force");
                    reloads.count("refused");
                    readiness.note(NOTE, Some(format!("the old ones are in force: {mistakes}")));
                }
                // Reading panicked, which says nothing about the policies in force.
                Err(error) => tracing::error!(%error, "policies could not be read"),
            }
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        Stamp::of(self.file.as_deref()?)
    }
}

/// What tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// `None` for a file that isn't there, which is a state, too.
    fn of(file: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}
