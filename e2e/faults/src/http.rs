//! A client that keeps its connections and says what became of a request.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How many connections wait for work.
const IDLE_MAX: usize = 256;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nobody took the request: there is no connection, or none any more.
    Unsent,
    /// The connection broke after the request was sent.
    Cut,
    /// It took too long.
    Late,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

type Connection = SendRequest<Full<Bytes>>;

/// A client of one server. Opens as many connections as there are requests at a time.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    idle: Mutex<Vec<Connection>>,
}

impl Client {
    /// A client of whoever listens there.
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Where there is none, for at most `patience`.
    pub async fn ask(
        &self,
        mut request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Answer, Lost> {
        let host = self.address.to_string().try_into();
        request
            .headers_mut()
            .insert(HOST, host.expect("an address is a header's value"));
        let asked = tokio::time::timeout(patience, self.exchange(request)).await;
        asked.unwrap_or(Err(Lost::Late))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let mut connection = self.connection().await?;
        let sent = connection.send_request(request).await;
        // Canceled is what was never written.
        let response = sent.map_err(|error| {
            if error.is_canceled() {
                Lost::Unsent
            } else {
                Lost::Cut
            }
        })?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|_| Lost::Cut)?.to_bytes();
        self.keep(connection);
        Ok(Answer { status, body })
    }

    async fn connection(&self) -> Result<Connection, Lost> {
        while let Some(mut idle) = self.take() {
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|_| Lost::Unsent)?;
        // Without it requests are only slower.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Lost::Unsent)?;
        // Whoever waits for an answer is told what became of it.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|one| !one.is_closed())
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }
}
