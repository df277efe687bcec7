use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::oneshot;
use futures::stream::{BoxStream, StreamExt};
use session_domain::port::{Bus, BusReply, BusRequest, Incoming, PortError};
use session_domain::revocation::{Acknowledgement, Publication};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream};

/// How many broadcasts a slow subscriber may lag behind before it misses some. It then learns of
/// the gap as it would of a lost message, and fetches.
const BACKLOG: usize = 4_096;

/// How many requests may wait for a server.
const QUEUE: usize = 1_024;

/// A bus within one process: the one `session-standalone` ships with.
#[derive(Debug)]
pub struct InProcessBus {
    publications: broadcast::Sender<Publication>,
    acknowledgements: broadcast::Sender<Acknowledgement>,
    servers: Mutex<Vec<mpsc::Sender<Incoming>>>,
    turn: AtomicUsize,
}

impl InProcessBus {
    /// A bus nobody listens to yet.
    pub fn new() -> Self {
        Self {
            publications: broadcast::Sender::new(BACKLOG),
            acknowledgements: broadcast::Sender::new(BACKLOG),
            servers: Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The server whose turn it is, of those still there.
    fn server(&self) -> Option<mpsc::Sender<Incoming>> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|server| !server.is_closed());
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        servers.get(turn % servers.len().max(1)).cloned()
    }
}

impl Default for InProcessBus {
    fn default() -> Self {
        Self::new()
    }
}

/// The stream of what is sent from now on. What a slow reader missed is left out.
fn subscribe<T: Clone + Send + 'static>(sender: &broadcast::Sender<T>) -> BoxStream<'static, T> {
    BroadcastStream::new(sender.subscribe())
        .filter_map(async |message| message.ok())
        .boxed()
}

#[async_trait]
impl Bus for InProcessBus {
    async fn publish(&self, publication: &Publication) -> Result<(), PortError> {
        // Fails only where nobody listens, which is no failure of a broadcast.
        let _ = self.publications.send(publication.clone());
        Ok(())
    }

    async fn publications(&self) -> Result<BoxStream<'static, Publication>, PortError> {
        Ok(subscribe(&self.publications))
    }

    async fn acknowledge(&self, ack: &Acknowledgement) -> Result<(), PortError> {
        // As above.
        let _ = self.acknowledgements.send(*ack);
        Ok(())
    }

    async fn acknowledgements(&self) -> Result<BoxStream<'static, Acknowledgement>, PortError> {
        Ok(subscribe(&self.acknowledgements))
    }

    async fn request(&self, request: BusRequest, within: Duration) -> Result<BusReply, PortError> {
        let server = self
            .server()
            .ok_or_else(|| PortError::retry("request", "nobody serves requests"))?;
        let exchange = async {
            let (reply, answer) = oneshot::channel();
            let incoming = Incoming { request, reply };
            server
                .send(incoming)
                .await
                .map_err(|_| PortError::retry("request", "the server is gone"))?;
            answer
                .await
                .map_err(|dropped| PortError::retry("the request was not answered", dropped))
        };
        tokio::time::timeout(within, exchange)
            .await
            .map_err(|elapsed| PortError::retry("the request timed out", elapsed))?
    }

    async fn requests(&self) -> Result<BoxStream<'static, Incoming>, PortError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sender);
        Ok(ReceiverStream::new(receiver).boxed())
    }
}
