//! Where answers to our requests arrive: one subscription for all of them, told apart by the last
//! word of the subject.
//!
//! The client library has the same, but keeps an entry for every request that was never answered;
//! a validator that asks thousands of times a second through an outage would fill its memory.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_nats::{Client, Message, SubscribeError};
use futures::channel::oneshot;
use futures::stream::StreamExt;
use tokio::task::JoinHandle;

/// The requests that await an answer, by number.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<u64, oneshot::Sender<Message>>>);

impl Waiting {
    /// Lets go of everybody who waits: the connection their answers would come over is gone.
    pub(super) fn give_up(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Message>>> {
        // Whoever panicked with it had only put something in or taken it out.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subscription, for as long as this lives.
#[derive(Debug)]
pub(super) struct Inbox {
    subject: String,
    waiting: Arc<Waiting>,
    next: AtomicU64,
    /// Holds the subscription, which holds the connection: both end with the inbox.
    reading: JoinHandle<()>,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Inbox {
    /// Subscribes; in effect before whatever is sent afterwards, on this connection and each after
    /// it.
    pub(super) async fn open(
        client: &Client,
        waiting: Arc<Waiting>,
    ) -> Result<Self, SubscribeError> {
        let subject = client.new_inbox();
        let mut answers = client.subscribe(format!("{subject}.*")).await?;
        let readers = Arc::clone(&waiting);
        let reading = tokio::spawn(async move {
            while let Some(answer) = answers.next().await {
                let number = answer
                    .subject
                    .rsplit('.')
                    .next()
                    .and_then(|n| n.parse().ok());
                // Late, doubled or never asked for: nobody waits.
                if let Some(asker) = number.and_then(|number: u64| readers.lock().remove(&number)) {
                    let _ = asker.send(answer);
                }
            }
        });
        Ok(Self {
            subject,
            waiting,
            next: AtomicU64::new(0),
            reading,
        })
    }

    /// An address for one answer.
    pub(super) fn expect(&self) -> Expected<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(number, sender);
        Expected {
            inbox: self,
            number,
            receiver,
        }
    }
}

/// An answer to come. Not waited for any longer once this is dropped.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    inbox: &'a Inbox,
    number: u64,
    receiver: oneshot::Receiver<Message>,
}

impl Expected<'_> {
    /// Where it is to be sent.
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.inbox.subject, self.number)
    }
}

impl Future for Expected<'_> {
    type Output = Result<Message, oneshot::Canceled>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.inbox.waiting.lock().remove(&self.number);
    }
}
