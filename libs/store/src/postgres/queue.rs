//! What arrives while something is under way shares the next transaction. Nobody waits for others
//! to come: where nothing is under way, a lone one goes at once.

use std::sync::Arc;

use futures::future::BoxFuture;
use session_domain::port::PortError;
use tokio::sync::{Mutex, mpsc, oneshot};

/// At most this many share a transaction: the last one's answer waits for all of them.
pub(super) const GROUP_MAX: usize = 256;

/// At most this many wait; whoever comes then waits for a place.
const QUEUE_MAX: usize = 4_096;

/// Something asked for, and where the answer goes. One that is dropped tells its asker that it is
/// perhaps not done.
#[derive(Debug)]
pub(super) struct Asked<Q, A> {
    pub(super) question: Q,
    reply: oneshot::Sender<Result<A, PortError>>,
}

impl<Q, A> Asked<Q, A> {
    /// Says what came of it.
    pub(super) fn answer(self, answer: Result<A, PortError>) {
        // Whoever asked may have stopped waiting; it is done all the same.
        let _ = self.reply.send(answer);
    }
}

/// The way to what carries groups out. That ends when the last of these is dropped.
#[derive(Debug)]
pub(super) struct Queue<Q, A> {
    sender: mpsc::Sender<Asked<Q, A>>,
    what: &'static str,
}

impl<Q: Send + 'static, A: Send + 'static> Queue<Q, A> {
    /// Lets `lanes` groups at most be under way at a time, each carried out by `work`, which is
    /// told the lane.
    pub(super) fn start<W>(what: &'static str, lanes: u8, work: W) -> Self
    where
        W: Fn(u8, Vec<Asked<Q, A>>) -> BoxFuture<'static, ()> + Send + Sync + Clone + 'static,
    {
        let (sender, waiting) = mpsc::channel(QUEUE_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for lane in 0..lanes {
            let (waiting, work) = (Arc::clone(&waiting), work.clone());
            tokio::spawn(async move {
                loop {
                    let mut group = Vec::new();
                    // Whoever waits for the first of the next group lets the others wait for it.
                    if waiting.lock().await.recv_many(&mut group, GROUP_MAX).await == 0 {
                        return;
                    }
                    // In a task of its own: a panic is that group's alone.
                    let worked = tokio::spawn(work(lane, group)).await;
                    if let Err(error) = worked {
                        tracing::error!(%error, what, "a group failed as a whole");
                    }
                }
            });
        }
        Self { sender, what }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, question: Q) -> Result<A, PortError> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| PortError::fatal(self.what, "the store has stopped");
        let asked = Asked { question, reply };
        self.sender.send(asked).await.map_err(gone)?;
        let lost = |_| PortError::retry(self.what, "its group failed; the log says why");
        answer.await.map_err(lost)?
    }
}
