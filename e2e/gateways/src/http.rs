//! HTTP/1 by hand, so that what a well-behaved client would never send can be sent.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any gateway here waits for anybody.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request to be written as it stands.
#[derive(Debug, Clone)]
pub struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// One without headers but those every request has.
    pub fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A plain GET of a page.
    pub fn get() -> Self {
        Self::new("GET", "/page")
    }

    /// With a header, whatever its name.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// With a body of known length.
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        let length = body.len().to_string();
        self.with("Content-Length", &length)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        text.push_str("Host: app.example\r\n");
        for (name, value) in &self.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// All values of a header in a list of them.
pub fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    headers
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
        .collect()
}

/// A connection, kept alive.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self {
            stream,
            rest: Vec::new(),
        })
    }

    /// Sends a request and reads the answer to it.
    pub async fn ask(&mut self, request: &Request) -> Result<Answer> {
        self.stream.write_all(&request.bytes()).await?;
        let answer = read_answer(&mut self.stream, &mut self.rest, request.method);
        tokio::time::timeout(PATIENCE, answer)
            .await
            .context("no answer in time")?
    }

    /// Sends bytes through what has become a tunnel, and reads as many back.
    pub async fn echo(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.stream.write_all(bytes).await?;
        let mut back = std::mem::take(&mut self.rest);
        let reading = async {
            while back.len() < bytes.len() {
                if self.stream.read_buf(&mut back).await? == 0 {
                    break;
                }
            }
            Ok(back)
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .context("nothing came back in time")?
    }
}

/// Sends one request over a connection of its own.
pub async fn ask(address: SocketAddr, request: &Request) -> Result<Answer> {
    Connection::open(address).await?.ask(request).await
}

async fn read_answer(stream: &mut TcpStream, rest: &mut Vec<u8>, method: &str) -> Result<Answer> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut head = httparse::Response::new(&mut headers);
        if let httparse::Status::Complete(length) = head.parse(rest)? {
            let status = head.code.context("a status")?;
            let headers = owned(head.headers);
            rest.drain(..length);
            let empty = method == "HEAD" || matches!(status, 100..200 | 204 | 304);
            let body = if empty {
                Vec::new()
            } else {
                read_body(stream, rest, &headers, true).await?
            };
            return Ok(Answer {
                status,
                headers,
                body,
            });
        }
        if stream.read_buf(rest).await? == 0 {
            bail!("the connection was closed after {} bytes", rest.len());
        }
    }
}

/// The headers of a message as text.
pub fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_owned(), value)
        })
        .collect()
}

/// Reads a body: by its length, in chunks, or (`until_closed`) to the connection's end.
pub async fn read_body(
    stream: &mut TcpStream,
    rest: &mut Vec<u8>,
    headers: &[(String, String)],
    until_closed: bool,
) -> Result<Vec<u8>> {
    if values(headers, "transfer-encoding").contains(&"chunked") {
        return read_chunks(stream, rest).await;
    }
    let length = match values(headers, "content-length").first() {
        Some(length) => Some(length.parse::<usize>()?),
        None if until_closed => None,
        None => Some(0),
    };
    while length.is_none_or(|length| rest.len() < length) {
        if stream.read_buf(rest).await? == 0 {
            break;
        }
    }
    let length = length.unwrap_or(rest.len()).min(rest.len());
    Ok(rest.drain(..length).collect())
}

async fn read_chunks(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        if let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest) {
            let size = usize::try_from(size)?;
            // The chunk and the line's end after it.
            if rest.len() >= start + size + 2 {
                body.extend_from_slice(&rest[start..start + size]);
                rest.drain(..start + size + 2);
                if size == 0 {
                    return Ok(body);
                }
                continue;
            }
        }
        if stream.read_buf(rest).await? == 0 {
            bail!("the connection was closed in the middle of a body");
        }
    }
}
