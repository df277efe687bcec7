//! The bus between processes, over core NATS.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | where the servers are, and in whose name to connect |
//! | `subjects.rs` | who is spoken to where |
//! | `wire.rs` | what messages look like |
//! | `link.rs` | the connection |
//! | `inbox.rs` | the asking side of requests |
//! | `requests.rs` | the serving side of requests |
//! | `events.rs`, `stream.rs` | domain events for other systems, and the stream that keeps them |
//! | `trace.rs` | trace context in headers |
//! | `ignored.rs` | what can't be used is counted |

mod config;
mod events;
mod ignored;
mod inbox;
mod link;
mod requests;
mod stream;
mod subjects;
mod trace;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerError, StatusCode,
    Subscriber,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use opentelemetry::metrics::Meter;
use session_domain::port::{Bus, BusReply, BusRequest, Incoming, PortError};
use session_domain::revocation::{Acknowledgement, Publication};

pub use config::{InvalidServers, NatsConfig, NatsServers};
pub use events::NatsEvents;
pub use stream::{EventStream, InvalidStreamName, StreamName};
pub use subjects::{InvalidPrefix, SubjectPrefix};

use ignored::{Ignored, Unusable};
use inbox::{Inbox, Waiting};
use link::Link;
use requests::Requests;
use wire::{Answer, Content, decode, encode, encode_run};

/// How long the server may take to confirm that it has read what was sent.
const SYNC_WITHIN: Duration = Duration::from_secs(2);

/// The pause before a confirmation is asked for again.
const SYNC_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How long saying goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// A bus between processes, over core NATS. It connects again by itself whenever the connection
/// is lost, for ever, and its subscriptions come along; what is published meanwhile is missed, as
/// the port allows.
#[derive(Debug)]
pub struct NatsBus {
    link: Link,
    inbox: Inbox,
}

impl NatsBus {
    /// A bus on the servers `config` names. Where none can be reached it keeps trying in the
    /// background: subscribing waits until one can, everything else fails and may be tried again.
    /// Messages that can't be used are counted in `session.bus.ignored` of `meter`.
    ///
    /// # Errors
    /// What trying again doesn't mend: files that can't be read, credentials the server refuses.
    pub async fn connect(config: &NatsConfig, meter: &Meter) -> Result<Self, PortError> {
        let waiting = Arc::new(Waiting::default());
        let client = connect(config, &waiting).await?;
        let inbox = Inbox::open(&client, waiting)
            .await
            .map_err(|error| PortError::fatal("can't subscribe to answers", error))?;
        let link = Link {
            client,
            prefix: config.prefix.clone(),
            ignored: Ignored::new(meter),
        };
        Ok(Self { link, inbox })
    }

    /// A publisher of domain events on the bus's connection, to `stream`.
    pub fn events(&self, stream: EventStream) -> NatsEvents {
        NatsEvents::new(self.link.clone(), stream)
    }

    /// Whether the server answers now.
    ///
    /// # Errors
    /// It doesn't, or there is no connection.
    pub async fn answers(&self) -> Result<(), PortError> {
        self.sync().await
    }

    /// Sends what is still to be sent and says goodbye, in a bounded time. Streams end; whoever
    /// uses the bus afterwards gets errors.
    pub async fn close(&self) {
        let goodbye = async {
            self.link.client.flush().await.ok();
            self.link.client.drain().await.ok();
        };
        if tokio::time::timeout(CLOSE_WITHIN, goodbye).await.is_err() {
            tracing::warn!("NATS was left without a goodbye");
        }
    }

    /// A subscription in effect: made, and confirmed by the server's word about something sent
    /// after it. Waits for a connection where there is none.
    async fn subscribe(&self, subject: String, queue: bool) -> Result<Subscriber, PortError> {
        self.link.connected().await;
        let client = &self.link.client;
        let subscriber = if queue {
            let queue = subjects::QUEUE.to_owned();
            client.queue_subscribe(subject, queue).await
        } else {
            client.subscribe(subject).await
        };
        let subscriber = subscriber.map_err(|error| PortError::retry("subscribe", error))?;
        while let Err(error) = self.sync().await {
            // A connection lost in between takes the subscription along to the next one.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "NATS doesn't confirm a subscription"
            );
            tokio::time::sleep(SYNC_AGAIN_AFTER).await;
            self.link.connected().await;
        }
        Ok(subscriber)
    }

    /// Returns once the server has read everything sent before.
    async fn sync(&self) -> Result<(), PortError> {
        let exchange = async {
            let answer = self.inbox.expect();
            let (to, reply) = (self.link.prefix.sync().into(), answer.subject());
            self.link
                .send(to, Some(reply), trace::current(), Bytes::new())
                .await?;
            // "Nobody listens there" is as good a confirmation as any.
            answer.await.map_err(|lost| PortError::retry("sync", lost))
        };
        match tokio::time::timeout(SYNC_WITHIN, exchange).await {
            Ok(answered) => answered.map(|_| ()),
            Err(elapsed) => Err(PortError::retry("sync", elapsed)),
        }
    }

    /// What is broadcast at a subject from now on, as far as it can be read.
    async fn hear<T: Content + Send + 'static>(
        &self,
        subject: String,
    ) -> Result<BoxStream<'static, T>, PortError> {
        let subscriber = self.subscribe(subject, false).await?;
        let ignored = self.link.ignored.clone();
        let heard = subscriber.filter_map(move |message| {
            std::future::ready(ignored.or_count(decode::<T>(&message.payload)))
        });
        Ok(heard.boxed())
    }

    async fn broadcast(&self, subject: String, payload: Bytes) -> Result<(), PortError> {
        self.link
            .send(subject.into(), None, trace::current(), payload)
            .await
    }

    /// Asks one server. `None` where it is about to leave and another is to be asked.
    async fn ask(&self, subject: String, payload: Bytes) -> Result<Answer, PortError> {
        let answer = self.inbox.expect();
        let reply = Some(answer.subject());
        self.link
            .send(subject.into(), reply, trace::current(), payload)
            .await?;
        let message = answer
            .await
            .map_err(|lost| PortError::retry("the connection to NATS was lost", lost))?;
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(PortError::retry("request", "nobody serves requests"));
        }
        let read = decode::<Answer>(&message.payload);
        read.map_err(|reason| {
            self.link.ignored.count(reason);
            PortError::retry("the answer can't be used", reason)
        })
    }

    async fn ask_until_answered(&self, request: &BusRequest) -> Result<BusReply, PortError> {
        let subject = self.link.prefix.request(subjects::kind(request));
        let payload = encode(request).map_err(unsendable)?;
        // Once more where the one asked was leaving; who leaves after that is asked by the next
        // request.
        for _ in 0..2 {
            if let Some(reply) = self.ask(subject.clone(), payload.clone()).await? {
                return Ok(reply);
            }
        }
        Err(PortError::retry("request", "the request was not answered"))
    }
}

#[async_trait]
impl Bus for NatsBus {
    async fn publish(&self, publication: &Publication) -> Result<(), PortError> {
        for payload in encode_run(publication).map_err(unsendable)? {
            self.broadcast(self.link.prefix.log(), payload).await?;
        }
        Ok(())
    }

    async fn publications(&self) -> Result<BoxStream<'static, Publication>, PortError> {
        self.hear(self.link.prefix.log()).await
    }

    async fn acknowledge(&self, ack: &Acknowledgement) -> Result<(), PortError> {
        let payload = encode(ack).map_err(unsendable)?;
        self.broadcast(self.link.prefix.ack(), payload).await
    }

    async fn acknowledgements(&self) -> Result<BoxStream<'static, Acknowledgement>, PortError> {
        self.hear(self.link.prefix.ack()).await
    }

    async fn request(&self, request: BusRequest, within: Duration) -> Result<BusReply, PortError> {
        tokio::time::timeout(within, self.ask_until_answered(&request))
            .await
            .map_err(|elapsed| PortError::retry("the request timed out", elapsed))?
    }

    async fn requests(&self) -> Result<BoxStream<'static, Incoming>, PortError> {
        let subscriber = self.subscribe(self.link.prefix.requests(), true).await?;
        Ok(Requests::new(self.link.clone(), subscriber).boxed())
    }
}

fn unsendable(reason: Unusable) -> PortError {
    PortError::fatal("can't be sent", reason)
}

/// Connects now, or where no server can be reached, in the background as soon as one can.
async fn connect(config: &NatsConfig, waiting: &Arc<Waiting>) -> Result<Client, PortError> {
    let options = || async { Ok(with_events(config.options().await?, Arc::clone(waiting))) };
    match options().await?.connect(config.addresses()).await {
        Ok(client) => Ok(client),
        Err(error) if is_final(&error) => Err(PortError::fatal(what_is_wrong(&error), error)),
        Err(error) => {
            tracing::warn!(servers = %config.servers, %error, "NATS can't be reached; trying on");
            let options = options().await?.retry_on_initial_connect();
            let connecting = options.connect(config.addresses()).await;
            connecting.map_err(|error| PortError::fatal("can't connect to NATS", error))
        }
    }
}

/// Whether trying again doesn't help: somebody has to change something first.
fn is_final(error: &ConnectError) -> bool {
    match error.kind() {
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Tls => true,
        ConnectErrorKind::Dns
        | ConnectErrorKind::TimedOut
        | ConnectErrorKind::Io
        | ConnectErrorKind::MaxReconnects => false,
    }
}

fn what_is_wrong(error: &ConnectError) -> &'static str {
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            "NATS refuses the credentials"
        }
        ConnectErrorKind::Tls => "the TLS settings for NATS can't be used",
        _ => "can't connect to NATS",
    }
}

fn with_events(options: ConnectOptions, waiting: Arc<Waiting>) -> ConnectOptions {
    options.event_callback(move |event| {
        note(&event, &waiting);
        std::future::ready(())
    })
}

/// Tells the operators what happened to the connection, and those who wait for answers.
fn note(event: &Event, waiting: &Waiting) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => {
            tracing::warn!("the connection to NATS was lost");
            waiting.give_up();
        }
        // Permissions, most often: `docs/nats-permissions.md`.
        Event::ServerError(ServerError::Other(error)) => {
            tracing::error!(error, "NATS refuses what this process does");
        }
        Event::ServerError(error) => tracing::error!(%error, "NATS complains"),
        Event::SlowConsumer(_) => tracing::warn!("messages from NATS came too fast and were lost"),
        Event::ClientError(error) => tracing::warn!(%error, "can't connect to NATS"),
        Event::LameDuckMode | Event::Draining | Event::Closed => tracing::info!(%event, "NATS"),
    }
}
