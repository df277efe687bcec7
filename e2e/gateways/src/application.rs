//! The application behind the gateways: remembers what reached it, and says so.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{owned, read_body, values};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Arrived {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.headers, name)
    }
}

/// Listens until dropped with its runtime.
#[derive(Debug)]
pub struct Application {
    pub address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Application {
    /// Starts on a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                // A gateway that goes away in the middle is no concern of the application.
                tokio::spawn(async move { serve(stream, &kept).await });
            }
        });
        Ok(Self { address, arrived })
    }

    /// What has arrived since this was asked last.
    pub fn take(&self) -> Vec<Arrived> {
        std::mem::take(&mut *locked(&self.arrived))
    }
}

fn locked(arrived: &Mutex<Vec<Arrived>>) -> MutexGuard<'_, Vec<Arrived>> {
    arrived.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(mut stream: TcpStream, arrived: &Mutex<Vec<Arrived>>) -> Result<()> {
    let mut rest = Vec::new();
    while let Some(request) = read(&mut stream, &mut rest).await? {
        let upgrade = request
            .all("sec-websocket-key")
            .first()
            .map(|key| accept(key));
        let length = request.body.len();
        let head = request.method == "HEAD";
        locked(arrived).push(request);
        if let Some(accept) = upgrade {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await?;
            return echo(stream, rest).await;
        }
        let body = format!("application: {length}");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}",
            body.len(),
            if head { "" } else { &body }
        );
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// The next request of a connection; `None` at its end.
async fn read(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Result<Option<Arrived>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut head = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = head.parse(rest)? {
            let (method, target) = (head.method.context("a method")?, head.path);
            let (method, target) = (method.to_owned(), target.context("a target")?.to_owned());
            let headers = owned(head.headers);
            rest.drain(..length);
            let body = read_body(stream, rest, &headers, false).await?;
            return Ok(Some(Arrived {
                method,
                target,
                headers,
                body,
            }));
        }
        if stream.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    }
}

/// Sends back what comes: frames or not, to a tunnel it is all the same.
async fn echo(mut stream: TcpStream, mut rest: Vec<u8>) -> Result<()> {
    loop {
        stream.write_all(&rest).await?;
        rest.clear();
        if stream.read_buf(&mut rest).await? == 0 {
            return Ok(());
        }
    }
}

/// The proof that a WebSocket handshake was understood (RFC 6455 §4.2.2).
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    STANDARD.encode(hash)
}
