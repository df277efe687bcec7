//! Domain events for other systems, in a stream of `JetStream`.
//!
//! Whatever happens to single messages, the stream gets them in order: each but the first of a run
//! names the one it follows (`Nats-Expected-Last-Msg-Id`), and the server refuses it anywhere else.
//! What is published twice is dropped by its id (`Nats-Msg-Id`) for as long as the server remembers
//! it, and by those who listen afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{Context, ContextBuilder};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use session_domain::cloud_event::{CloudEvent, MEDIA_TYPE};
use session_domain::port::{EventPublisher, PortError};

use super::link::Link;
use super::stream::EventStream;

/// How long the server may take to confirm that it keeps an event. Shorter than anybody leads, so
/// that a leader can still say that it failed.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

/// At most this many events are under way at once.
const RUN_MAX: usize = 256;

/// Publishes events to a stream, which it makes where it is missing. By way of the bus's own
/// connection.
#[derive(Debug)]
pub struct NatsEvents {
    link: Link,
    context: Context,
    stream: EventStream,
    /// Whether the stream was there the last time that somebody looked.
    is_there: AtomicBool,
}

/// Why a run of events wasn't published as a whole.
enum Broken {
    /// No stream takes such events (any more).
    Missing,
    /// One of them would have come after one that isn't there.
    OutOfOrder,
    /// Something else.
    Failed(PortError),
}

impl NatsEvents {
    pub(super) fn new(link: Link, stream: EventStream) -> Self {
        let context = ContextBuilder::new()
            .timeout(CONFIRM_WITHIN)
            .build(link.client.clone());
        Self {
            link,
            context,
            stream,
            is_there: AtomicBool::new(false),
        }
    }

    async fn make_stream(&self) -> Result<(), PortError> {
        let events = self.link.prefix.events();
        self.stream.ready(&self.context, events).await?;
        self.is_there.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn publish_run(&self, run: &[Message]) -> Result<(), PortError> {
        match self.all_at_once(run).await {
            Ok(()) => return Ok(()),
            Err(Broken::Failed(error)) => return Err(error),
            Err(Broken::Missing) => {
                self.is_there.store(false, Ordering::Relaxed);
                self.make_stream().await?;
            }
            Err(Broken::OutOfOrder) => {}
        }
        // Whoever waits for each needs to say nothing of what it follows; so this gets on whatever
        // the stream holds last, be it what another process published meanwhile.
        for message in run {
            let alone = std::slice::from_ref(message);
            self.all_at_once(alone)
                .await
                .map_err(|broken| match broken {
                    Broken::Failed(error) => error,
                    Broken::Missing => PortError::retry("publish events", "no stream takes them"),
                    Broken::OutOfOrder => {
                        PortError::retry("publish events", "the stream refuses their order")
                    }
                })?;
        }
        Ok(())
    }

    /// Sends all of them, and then waits until each is kept.
    async fn all_at_once(&self, run: &[Message]) -> Result<(), Broken> {
        let mut confirmations = Vec::with_capacity(run.len());
        for (place, message) in run.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| run[before].id.as_str());
            let publish = message.publish(self.stream.name(), before);
            let sent = self.context.send_publish(message.subject.clone(), publish);
            let sent = sent.await.map_err(|error| broken(error.kind(), error))?;
            confirmations.push(sent.into_future());
        }
        // The first that failed says why: those after it were refused because of it.
        for confirmed in join_all(confirmations).await {
            confirmed.map_err(|error| broken(error.kind(), error))?;
        }
        Ok(())
    }
}

fn broken(kind: PublishErrorKind, error: async_nats::jetstream::context::PublishError) -> Broken {
    match kind {
        PublishErrorKind::StreamNotFound => Broken::Missing,
        PublishErrorKind::WrongLastMessageId => Broken::OutOfOrder,
        PublishErrorKind::WrongLastSequence
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::MaxPayloadExceeded
        | PublishErrorKind::Other => Broken::Failed(PortError::retry("publish events", error)),
    }
}

/// An event, ready to be sent.
struct Message {
    id: String,
    subject: String,
    payload: Bytes,
}

impl Message {
    fn publish(&self, stream: &str, before: Option<&str>) -> PublishMessage {
        let publish = PublishMessage::build()
            .payload(self.payload.clone())
            .message_id(&self.id)
            .expected_stream(stream)
            .header("content-type", MEDIA_TYPE);
        match before {
            Some(before) => publish.expected_last_message_id(before),
            None => publish,
        }
    }
}

#[async_trait]
impl EventPublisher for NatsEvents {
    async fn publish(&self, events: &[CloudEvent]) -> Result<(), PortError> {
        if events.is_empty() {
            return Ok(());
        }
        // The client would keep them for a later connection, when they may have been told already.
        if self.link.client.connection_state() != State::Connected {
            let why = "there is no connection to NATS";
            return Err(PortError::retry("publish events", why));
        }
        if !self.is_there.load(Ordering::Relaxed) {
            self.make_stream().await?;
        }
        let message = |event: &CloudEvent| {
            let payload = serde_json::to_vec(event)
                .map_err(|error| PortError::fatal("write an event as JSON", error))?;
            Ok::<_, PortError>(Message {
                id: event.id.to_string(),
                subject: self.link.prefix.event(event.tenant.as_ref(), event.kind),
                payload: payload.into(),
            })
        };
        let messages = events.iter().map(message).collect::<Result<Vec<_>, _>>()?;
        for run in messages.chunks(RUN_MAX) {
            self.publish_run(run).await?;
        }
        Ok(())
    }
}
