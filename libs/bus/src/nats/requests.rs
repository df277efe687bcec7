//! The serving side of requests: a stream of what is asked, and the way back for each answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_nats::{Message, Subject, Subscriber};
use futures::channel::oneshot;
use futures::stream::{Stream, StreamExt};
use session_domain::port::{BusReply, BusRequest, Incoming};
use tokio::runtime::Handle;

use super::ignored::Unusable;
use super::link::Link;
use super::wire::{Answer, decode, encode_answer};
use super::{subjects, trace};

/// How long a server that leaves hands back what was sent to it before the others knew.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Requests to this process. Once it is dropped, the server sends the next ones to others, and
/// what had arrived is handed back to be asked elsewhere.
pub(super) struct Requests {
    link: Link,
    subscriber: Option<Subscriber>,
}

impl Requests {
    pub(super) const fn new(link: Link, subscriber: Subscriber) -> Self {
        Self {
            link,
            subscriber: Some(subscriber),
        }
    }
}

impl Stream for Requests {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Incoming>> {
        loop {
            let Some(subscriber) = &mut self.subscriber else {
                return Poll::Ready(None);
            };
            let Some(message) = ready!(subscriber.poll_next_unpin(context)) else {
                return Poll::Ready(None);
            };
            if let Some(incoming) = take(&self.link, &message) {
                return Poll::Ready(Some(incoming));
            }
        }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        // Without a runtime there is no connection either, over which anything could be said.
        if let (Some(subscriber), Ok(runtime)) = (self.subscriber.take(), Handle::try_current()) {
            let leaving = leave(self.link.clone(), subscriber);
            runtime.spawn(async move { tokio::time::timeout(LEAVE_WITHIN, leaving).await });
        }
    }
}

/// Tells the server first, so that nobody who is told to ask elsewhere is sent here again.
async fn leave(link: Link, mut subscriber: Subscriber) {
    if subscriber.drain().await.is_err() {
        return;
    }
    while let Some(message) = subscriber.next().await {
        if let Some(asker) = Asker::of(&message) {
            asker.answer(&link, None).await;
        }
    }
}

/// What is asked, if it can be read and was asked where it belongs.
fn take(link: &Link, message: &Message) -> Option<Incoming> {
    let request = link.ignored.or_count(read(link, message))?;
    let asker = Asker::of(message)?;
    let (reply, answer) = oneshot::channel();
    let link = link.clone();
    tokio::spawn(async move {
        // Dropped unanswered where this process is about to stop: another may know.
        let answer: Option<BusReply> = answer.await.ok();
        asker.answer(&link, answer).await;
    });
    Some(Incoming { request, reply })
}

fn read(link: &Link, message: &Message) -> Result<BusRequest, Unusable> {
    let request: BusRequest = decode(&message.payload)?;
    // Permissions are given by subject; what is asked must not be something else.
    let belongs = link.prefix.request(subjects::kind(&request));
    if message.subject.as_str() == belongs && message.reply.is_some() {
        Ok(request)
    } else {
        Err(Unusable::Malformed)
    }
}

/// Where an answer goes.
struct Asker {
    subject: Subject,
    headers: async_nats::HeaderMap,
}

impl Asker {
    fn of(message: &Message) -> Option<Self> {
        Some(Self {
            subject: message.reply.clone()?,
            headers: trace::carried(message.headers.as_ref()),
        })
    }

    async fn answer(self, link: &Link, answer: Answer) {
        let payload = match encode_answer(answer) {
            Ok(payload) => Ok(payload),
            Err(reason) => {
                link.ignored.count(reason);
                tracing::error!(%reason, "an answer can't be sent");
                encode_answer(Some(BusReply::Unavailable))
            }
        };
        // Whoever gets no answer asks again.
        if let Ok(payload) = payload {
            let _ = link.send(self.subject, None, self.headers, payload).await;
        }
    }
}
