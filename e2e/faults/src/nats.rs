//! The barest client of NATS, to measure a round trip by.

use std::io;
use std::net::SocketAddr;

use session_testkit::proxy::{Frame, Frames};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection, and what has come of a message.
#[derive(Debug)]
pub struct Bare {
    stream: TcpStream,
    frames: Frames,
}

impl Bare {
    /// Connects, and hears `subject` from now on.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn hearing(address: SocketAddr, subject: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut bare = Self {
            stream,
            frames: Frames::default(),
        };
        let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {subject} 1\r\nPING\r\n");
        bare.stream.write_all(hello.as_bytes()).await?;
        while bare.next().await?.bytes != b"PONG\r\n" {}
        Ok(bare)
    }

    /// Says something at a subject.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn say(&mut self, subject: &str) -> io::Result<()> {
        let said = format!("PUB {subject} 64\r\n{}\r\n", "x".repeat(64));
        self.stream.write_all(said.as_bytes()).await
    }

    /// Returns once something was heard.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn hear(&mut self) -> io::Result<()> {
        while self.next().await?.subject.is_none() {}
        Ok(())
    }

    async fn next(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.frames.take() {
                return Ok(frame);
            }
            let mut some = [0; 4_096];
            let length = self.stream.read(&mut some).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.frames.push(&some[..length]);
        }
    }
}
