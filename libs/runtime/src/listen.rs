//! Binding ports, all or none. What is served on them is in `serve.rs`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// How long accepting pauses when the system has no more descriptors to give; without the pause
/// the loop would take a whole core and make matters worse.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a request's body may take, once its header fields are there. The largest is 64 KiB, or
/// what a gateway tells of a request.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A bound port.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    address: SocketAddr,
    socket: TcpListener,
    body_within: Duration,
}

impl Listener {
    /// With another bound on how long a request's body may take than half a minute.
    #[must_use]
    pub fn with_body_within(self, body_within: Duration) -> Self {
        Self {
            body_within,
            ..self
        }
    }

    pub(crate) const fn body_within(&self) -> Duration {
        self.body_within
    }

    /// Where it listens; the port is the real one even where 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name it was bound for.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The next connection. Waits out the system's troubles.
    pub(crate) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    // Answers are small and written at once: waiting for more to send is wasted.
                    // A socket that refuses the option still works.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                // The client gave up while it was waiting.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "can't accept connections");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Binds every address, each for a name used in messages, or none of them.
///
/// # Errors
/// Every address that can't be bound, and why.
pub async fn bind<const N: usize>(
    wanted: [(&'static str, SocketAddr); N],
) -> Result<[Listener; N], BindError> {
    let mut bound = Vec::with_capacity(N);
    let mut failed = Vec::new();
    for (name, address) in wanted {
        match bind_one(name, address).await {
            Ok(listener) => bound.push(listener),
            Err(error) => failed.push((name, address, error)),
        }
    }
    // As many were bound as were wanted unless one failed.
    bound.try_into().map_err(|_| BindError(failed))
}

async fn bind_one(name: &'static str, address: SocketAddr) -> io::Result<Listener> {
    let socket = TcpListener::bind(address).await?;
    Ok(Listener {
        name,
        address: socket.local_addr()?,
        socket,
        body_within: BODY_WITHIN,
    })
}

/// The addresses that couldn't be bound: name, address, reason.
#[derive(Debug)]
pub struct BindError(pub Vec<(&'static str, SocketAddr, io::Error)>);

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("can't listen:")?;
        for (name, address, error) in &self.0 {
            write!(f, "\n  {name} on {address}: {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use poem::{Route, handler};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::shutdown::{Shutdown, Timing};

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[tokio::test]
    async fn port_zero_is_told() {
        let [one, two] = bind([("one", loopback()), ("two", loopback())])
            .await
            .unwrap();
        assert_ne!(one.address().port(), 0);
        assert_ne!(one.address(), two.address());
    }

    #[tokio::test]
    async fn every_failure_is_told_and_nothing_stays_bound() {
        let [taken] = bind([("taken", loopback())]).await.unwrap();
        let [free] = bind([("free", loopback())]).await.unwrap();
        let free_address = free.address();
        drop(free);
        let wanted = [
            ("api", taken.address()),
            ("free", free_address),
            ("private", taken.address()),
        ];
        let error = bind(wanted).await.unwrap_err();
        let names: Vec<_> = error.0.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, ["api", "private"]);
        assert!(
            error
                .to_string()
                .contains(&format!("api on {}", taken.address()))
        );
        bind([("free", free_address)]).await.unwrap();
    }

    #[handler]
    async fn slow() -> &'static str {
        tokio::time::sleep(Duration::from_millis(200)).await;
        "finished"
    }

    async fn get(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await?;
        let mut answer = String::new();
        // The connection is closed because the server is draining, not because we asked.
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_request_in_flight_finishes_and_a_later_one_is_refused() {
        let [listener] = bind([("test", loopback())]).await.unwrap();
        let address = listener.address();
        let shutdown = Shutdown::manual(Timing::default());
        let server = tokio::spawn(listener.serve(Route::new().at("/slow", slow), shutdown.clone()));
        let request = tokio::spawn(get(address));
        tokio::time::sleep(Duration::from_millis(50)).await;
        shutdown.drain();
        assert!(request.await.unwrap().unwrap().ends_with("finished"));
        server.await.unwrap().unwrap();
        assert!(get(address).await.is_err());
    }

    #[tokio::test]
    async fn a_silent_connection_does_not_hold_the_shutdown_up() {
        let [listener] = bind([("test", loopback())]).await.unwrap();
        let address = listener.address();
        let shutdown = Shutdown::manual(Timing {
            drain: Duration::from_millis(100),
            ..Timing::default()
        });
        let server = tokio::spawn(listener.serve(Route::new().at("/slow", slow), shutdown.clone()));
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET /slow HTTP/1.1\r\nHost:")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        shutdown.drain();
        let ended = tokio::time::timeout(Duration::from_secs(5), server).await;
        ended.unwrap().unwrap().unwrap();
    }

    #[handler]
    async fn count(body: poem::Body) -> poem::Result<String> {
        Ok(body.into_bytes_limit(64).await?.len().to_string())
    }

    /// Begins a body of ten bytes and goes on with one byte now and then; the answer, whenever it
    /// comes.
    async fn drip(address: SocketAddr, every: Duration) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
        stream.write_all(head).await.unwrap();
        for _ in 0..10 {
            tokio::time::sleep(every).await;
            if stream.write_all(b"x").await.is_err() {
                break;
            }
        }
        let mut answer = vec![0; 4_096];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
        let length = read.expect("an answer, or the end").unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_body_that_takes_too_long_is_given_up_and_its_connection_with_it() {
        let [listener] = bind([("test", loopback())]).await.unwrap();
        let address = listener.address();
        let listener = listener.with_body_within(Duration::from_millis(500));
        let routes = Route::new().at("/length", poem::post(count));
        let shutdown = Shutdown::manual(Timing::default());
        let _server = tokio::spawn(listener.serve(routes, shutdown.clone()));
        let (whole, broken) = tokio::join!(
            drip(address, Duration::from_millis(5)),
            drip(address, Duration::from_millis(150)),
        );
        assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
        assert!(whole.ends_with("10"), "{whole}");
        // Answered as broken, or just gone where the answer was lost with the connection.
        let refused = ["HTTP/1.1 4", "HTTP/1.1 5"];
        let refused = refused.iter().any(|status| broken.starts_with(status));
        assert!(broken.is_empty() || refused, "{broken}");
        // Nobody reads this one: it is answered at once, and isn't waited for.
        let begun = tokio::time::Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    /// Whether the server has closed the connection, once nothing else can happen any more.
    async fn is_closed(mut stream: TcpStream) -> bool {
        let mut answer = Vec::new();
        let within =
            tokio::time::timeout(Duration::from_secs(300), stream.read_to_end(&mut answer));
        within.await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_silent_clients_hold_nobody_up_and_are_given_up() {
        let [listener] = bind([("test", loopback())]).await.unwrap();
        let address = listener.address();
        let shutdown = Shutdown::manual(Timing::default());
        let routes = Route::new().at("/slow", slow);
        let _server = tokio::spawn(listener.serve(routes, shutdown.clone()));
        let mut waiting = Vec::new();
        for begun in ["", "P", "GET /slow HTTP/1.1\r\nHost:", "PRI * HT"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            waiting.push((begun, stream));
        }
        // One that goes on sending, a byte now and then, is as slow.
        let mut dripping = TcpStream::connect(address).await.unwrap();
        dripping
            .write_all(b"GET /slow HTTP/1.1\r\nX: ")
            .await
            .unwrap();
        let drips = async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(3)).await;
                if dripping.write_all(b"x").await.is_err() {
                    return true;
                }
            }
            false
        };
        let quick = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        assert!(quick.await.ends_with("finished"));
        assert!(drips.await, "a dripping client is given up");
        for (begun, stream) in waiting {
            assert!(is_closed(stream).await, "{begun:?}");
        }
    }
}
