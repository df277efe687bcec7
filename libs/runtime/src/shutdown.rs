//! Stopping, in two stages. The first signal (`SIGTERM` or `SIGINT`) drains: readiness turns
//! false, then nothing new is accepted and what is in flight may finish. The second signal, or the
//! end of the time allowed, aborts. A task that dies on its own stops the process too: half a
//! process that looks healthy is worse than none.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::config::{Mistaken, Reader};

/// How long tasks have beyond the requests' time to put their things away.
const TIDY: Duration = Duration::from_secs(1);

/// How long each stage of a shutdown takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From "not ready" until new connections are refused: the time load balancers take to notice.
    pub announce: Duration,
    /// From then on: how long requests in flight may take to finish.
    pub drain: Duration,
}

impl Timing {
    /// Reads `shutdown.announce` and `shutdown.drain`.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let announce = reader
            .value("shutdown.announce")
            .doc("How long the process still accepts connections after it stopped being ready.")
            .default("0")
            .duration_within("0", "5m");
        let drain = reader
            .value("shutdown.drain")
            .doc("How long requests in flight may take to finish when the process stops.")
            .default("10s")
            .duration_within("0", "5m");
        Ok(Self {
            announce: announce?,
            drain: drain?,
        })
    }
}

impl Default for Timing {
    /// No announcement, ten seconds to drain.
    fn default() -> Self {
        Self {
            announce: Duration::ZERO,
            drain: Duration::from_secs(10),
        }
    }
}

/// The state of the shutdown, shared by all parts of the process. Clones are the same shutdown.
#[derive(Debug, Clone)]
pub struct Shutdown {
    draining: CancellationToken,
    closing: CancellationToken,
    aborted: CancellationToken,
    timing: Timing,
}

impl Shutdown {
    /// One that follows this process's signals. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The handlers can't be installed.
    pub fn on_signals(timing: Timing) -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::manual(timing);
        let stages = shutdown.clone();
        tokio::spawn(async move {
            for stage in [Self::drain, Self::abort] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                stage(&stages);
            }
        });
        Ok(shutdown)
    }

    /// One that only its own calls move: for tests, and for processes within a process. Must be
    /// called within a tokio runtime.
    pub fn manual(timing: Timing) -> Self {
        let shutdown = Self {
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            aborted: CancellationToken::new(),
            timing,
        };
        tokio::spawn(shutdown.clone().advance());
        shutdown
    }

    /// Starts draining. Again is no change.
    pub fn drain(&self) {
        if !self.is_draining() {
            tracing::info!("draining");
        }
        self.draining.cancel();
    }

    /// Ends the patience: what still runs is cut off.
    pub fn abort(&self) {
        self.draining.cancel();
        self.closing.cancel();
        self.aborted.cancel();
    }

    /// Whether the process is on its way out: it isn't ready for more.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Returns when draining starts.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Returns when new connections and new work are to be refused.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Returns when what still runs is to be cut off.
    pub async fn aborted(&self) {
        self.aborted.cancelled().await;
    }

    /// How long its stages take.
    pub const fn timing(&self) -> Timing {
        self.timing
    }

    async fn advance(self) {
        self.draining().await;
        let stages = async {
            tokio::time::sleep(self.timing.announce).await;
            self.closing.cancel();
            tokio::time::sleep(self.timing.drain + TIDY).await;
        };
        tokio::select! {
            () = stages => {}
            () = self.aborted() => {}
        }
        self.abort();
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

/// The long-running parts of a process. They live and die together.
#[derive(Debug)]
pub struct Tasks {
    shutdown: Shutdown,
    running: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, String>,
}

impl Tasks {
    /// None yet. They are to end, by themselves, when `shutdown` says so.
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            shutdown: shutdown.clone(),
            running: JoinSet::new(),
            names: HashMap::new(),
        }
    }

    /// Starts a part. `name` is for messages.
    pub fn spawn<E: Into<BoxError>>(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = async move { task.await.map_err(Into::into) };
        let id = self.running.spawn(task).id();
        self.names.insert(id, name.into());
    }

    /// Runs until the shutdown is complete. The first part to die starts it.
    ///
    /// # Errors
    /// The first thing that went wrong; the others are logged.
    pub async fn run(mut self) -> Result<(), TaskError> {
        let mut failed = None;
        let shutdown = self.shutdown.clone();
        while !self.running.is_empty() {
            let ended = tokio::select! {
                biased;
                Some(ended) = self.running.join_next_with_id() => ended,
                () = shutdown.aborted() => break,
            };
            if let Err(error) = self.judge(ended) {
                tracing::error!(%error, source = error.source(), "a part of the process died");
                failed.get_or_insert(error);
                shutdown.drain();
            }
        }
        if !self.names.is_empty() {
            let mut names: Vec<_> = self.names.into_values().collect();
            names.sort_unstable();
            tracing::warn!(?names, "cut off");
            failed.get_or_insert(TaskError::Unfinished { names });
            self.running.shutdown().await;
        } else if failed.is_none() {
            shutdown.draining().await;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether a part ended as it should: without an error, and because it was told to.
    fn judge(
        &mut self,
        ended: Result<(Id, Result<(), BoxError>), JoinError>,
    ) -> Result<(), TaskError> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id).unwrap_or_default();
        match ended {
            Ok((_, Ok(()))) if self.shutdown.is_draining() => Ok(()),
            Ok((_, Ok(()))) => Err(TaskError::EndedEarly { name }),
            Ok((_, Err(source))) => Err(TaskError::Failed { name, source }),
            Err(_) => Err(TaskError::Panicked { name }),
        }
    }
}

/// Why a process didn't run and stop as it should.
#[derive(Debug)]
pub enum TaskError {
    /// A part returned an error.
    Failed {
        /// The part.
        name: String,
        /// Its error.
        source: BoxError,
    },
    /// A part panicked; the panic itself is in the log.
    Panicked {
        /// The part.
        name: String,
    },
    /// A part ended although nobody asked it to.
    EndedEarly {
        /// The part.
        name: String,
    },
    /// Parts were cut off: a second signal came, or their time was over.
    Unfinished {
        /// The parts.
        names: Vec<String>,
    },
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { name, .. } => write!(f, "{name} failed"),
            Self::Panicked { name } => write!(f, "{name} panicked"),
            Self::EndedEarly { name } => write!(f, "{name} ended although nobody asked it to"),
            Self::Unfinished { names } => write!(f, "cut off: {}", names.join(", ")),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(source.as_ref()),
            Self::Panicked { .. } | Self::EndedEarly { .. } | Self::Unfinished { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn tasks() -> (Shutdown, Tasks) {
        let shutdown = Shutdown::manual(Timing {
            announce: Duration::from_secs(5),
            drain: Duration::from_secs(10),
        });
        let tasks = Tasks::new(&shutdown);
        (shutdown, tasks)
    }

    async fn until_closing(shutdown: Shutdown) -> Result<(), io::Error> {
        shutdown.closing().await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn stages_follow_each_other() {
        let (shutdown, _) = tasks();
        assert!(!shutdown.is_draining());
        let start = Instant::now();
        shutdown.drain();
        assert!(shutdown.is_draining());
        shutdown.closing().await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        shutdown.aborted().await;
        assert_eq!(start.elapsed(), Duration::from_secs(16));
    }

    #[tokio::test(start_paused = true)]
    async fn all_parts_end_in_time_and_all_is_well() {
        let (shutdown, mut tasks) = tasks();
        tasks.spawn("one", until_closing(shutdown.clone()));
        tasks.spawn("two", until_closing(shutdown.clone()));
        shutdown.drain();
        assert!(tasks.run().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_fails_takes_the_others_along() {
        let (shutdown, mut tasks) = tasks();
        tasks.spawn("other", until_closing(shutdown.clone()));
        tasks.spawn("weak", async { Err(io::Error::other("no disk")) });
        let error = tasks.run().await.unwrap_err();
        assert_eq!(error.to_string(), "weak failed");
        assert_eq!(error.source().unwrap().to_string(), "no disk");
        assert!(shutdown.is_draining());
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_unasked_or_panics_has_died() {
        let (_, mut early) = tasks();
        early.spawn("short", async { Ok::<_, io::Error>(()) });
        let error = early.run().await.unwrap_err();
        assert!(matches!(error, TaskError::EndedEarly { name } if name == "short"));

        let (_, mut panics) = tasks();
        panics.spawn("loud", async {
            assert!(std::hint::black_box(false), "on purpose");
            Ok::<_, io::Error>(())
        });
        let error = panics.run().await.unwrap_err();
        assert!(matches!(error, TaskError::Panicked { name } if name == "loud"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_will_not_end_is_cut_off() {
        let (shutdown, mut tasks) = tasks();
        tasks.spawn("stuck", std::future::pending::<Result<(), io::Error>>());
        shutdown.drain();
        let start = Instant::now();
        let error = tasks.run().await.unwrap_err();
        assert_eq!(error.to_string(), "cut off: stuck");
        assert_eq!(start.elapsed(), Duration::from_secs(16));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_does_not_wait() {
        let (shutdown, mut tasks) = tasks();
        tasks.spawn("stuck", std::future::pending::<Result<(), io::Error>>());
        shutdown.drain();
        shutdown.abort();
        let start = Instant::now();
        assert!(matches!(
            tasks.run().await,
            Err(TaskError::Unfinished { .. })
        ));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn signals_move_it() {
        let shutdown = Shutdown::on_signals(Timing::default()).unwrap();
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::TERM).unwrap();
        shutdown.draining().await;
        rustix::process::kill_process(this, rustix::process::Signal::INT).unwrap();
        shutdown.aborted().await;
    }
}
