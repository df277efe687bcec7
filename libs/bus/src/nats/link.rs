//! The connection, and what is known about it.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use session_domain::port::PortError;

use super::ignored::Ignored;
use super::subjects::SubjectPrefix;

/// How long the client's own queue may take a message. It only fills where the link stands still.
const QUEUE_WITHIN: Duration = Duration::from_secs(1);

/// How often somebody who waits for a connection looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A handle on the connection. Clones are the same connection.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) prefix: SubjectPrefix,
    pub(super) ignored: Ignored,
}

impl Link {
    /// Returns once there is a connection.
    pub(super) async fn connected(&self) {
        while self.client.connection_state() != State::Connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sends a message over the connection there is. Without one it's an error: the client would
    /// keep the message for a later connection, and nobody wants to hear it then.
    pub(super) async fn send(
        &self,
        subject: Subject,
        reply: Option<String>,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PortError> {
        if self.client.connection_state() != State::Connected {
            return Err(PortError::retry("send", "there is no connection to NATS"));
        }
        let client = &self.client;
        let sending = async {
            match (reply, headers.is_empty()) {
                (None, true) => client.publish(subject, payload).await,
                (None, false) => client.publish_with_headers(subject, headers, payload).await,
                (Some(reply), true) => client.publish_with_reply(subject, reply, payload).await,
                (Some(reply), false) => {
                    client
                        .publish_with_reply_and_headers(subject, reply, headers, payload)
                        .await
                }
            }
        };
        match tokio::time::timeout(QUEUE_WITHIN, sending).await {
            Ok(sent) => sent.map_err(|error| PortError::retry("send", error)),
            Err(elapsed) => Err(PortError::retry("the link to NATS stands still", elapsed)),
        }
    }
}
