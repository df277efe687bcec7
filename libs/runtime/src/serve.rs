//! Serving HTTP on a bound port: what a connection may cost, and how it ends.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, EndpointExt, IntoEndpoint};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::TimedBody;
use crate::listen::Listener;
use crate::shutdown::Shutdown;

/// How long a client may take from when it may send a request until its header fields are there:
/// a connection kept for later, and a slow sender, are worth this much. Longer than the minute
/// that gateways keep connections for, so that they close them and not we.
const HEAD_WITHIN: Duration = Duration::from_secs(75);

/// How often a silent HTTP/2 connection is asked whether its client is still there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long that client may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(15);

/// How many bytes the header fields of a request may have. Gateways pass on what browsers send,
/// which is 64 KiB at most; this counts HTTP/2's overhead for each field, too.
///
/// Over HTTP/1 there may be 100 fields besides, which is hyper's bound and Envoy's: a higher one
/// would cost every request an allocation. What is beyond either is answered 431.
const HEAD_BYTES_MAX: u32 = 128 * 1024;

/// How many requests a client may have under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whether a request has come over a connection yet.
type Spoken = Arc<AtomicBool>;

impl Listener {
    /// Serves a poem endpoint over HTTP/1 and HTTP/2 without TLS until the shutdown closes it, then
    /// lets requests in flight finish for as long as its timing allows.
    ///
    /// # Errors
    /// None today; a server that can't go on ends with one.
    pub async fn serve<E>(self, endpoint: E, shutdown: Shutdown) -> io::Result<()>
    where
        E: IntoEndpoint,
        E::Endpoint: 'static,
    {
        let endpoint = Arc::new(endpoint.into_endpoint().map_to_response());
        let local = LocalAddr(self.address().into());
        let within = self.body_within();
        let connected = move |peer: SocketAddr, spoken: Spoken| {
            let (endpoint, local) = (Arc::clone(&endpoint), local.clone());
            let remote = RemoteAddr(peer.into());
            service_fn(move |request: Request<Incoming>| {
                spoken.store(true, Ordering::Relaxed);
                let has_body = !request.body().is_end_stream();
                let request = (request, local.clone(), remote.clone(), Scheme::HTTP);
                let mut request = poem::Request::from(request);
                if has_body {
                    let body: BoxBody<_, _> = request.take_body().into();
                    request.set_body(BoxBody::new(TimedBody::new(body, within)));
                }
                let endpoint = Arc::clone(&endpoint);
                async move {
                    let response = endpoint.get_response(request).await;
                    Ok::<Response<_>, Infallible>(response.into())
                }
            })
        };
        self.serve_each(connected, shutdown).await
    }

    /// Serves any hyper service the same way.
    ///
    /// # Errors
    /// As [`Self::serve`].
    pub async fn serve_service<S, B>(self, service: S, shutdown: Shutdown) -> io::Result<()>
    where
        S: Service<Request<TimedBody<Incoming>>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let within = self.body_within();
        let connected = move |_: SocketAddr, spoken: Spoken| {
            let service = service.clone();
            service_fn(move |request: Request<Incoming>| {
                spoken.store(true, Ordering::Relaxed);
                service.call(request.map(|body| TimedBody::new(body, within)))
            })
        };
        self.serve_each(connected, shutdown).await
    }

    /// Serves each connection with a service of its own.
    async fn serve_each<S, B>(
        mut self,
        connected: impl Fn(SocketAddr, Spoken) -> S,
        shutdown: Shutdown,
    ) -> io::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let name = self.name();
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.closing() => break,
                (stream, peer) = self.accept() => {
                    let spoken = Spoken::default();
                    let service = connected(peer, Arc::clone(&spoken));
                    let (shutdown, cut) = (shutdown.clone(), cut.clone());
                    connections.spawn(serve_one(stream, service, spoken, shutdown, cut));
                }
            }
        }
        drop(self);
        connections.close();
        let waited = tokio::time::timeout(shutdown.timing().drain, connections.wait()).await;
        if waited.is_err() {
            tracing::warn!(listener = name, connections = connections.len(), "cut off");
            cut.cancel();
            connections.wait().await;
        }
        Ok(())
    }
}

/// What happens to a connection from outside, at most once each.
enum Intervention {
    /// Its client hasn't shown which version it speaks, until when no version's limits hold.
    Silent,
    /// What is under way may finish.
    Closing,
    /// It may not.
    Cut,
}

/// Serves one connection to its end, whatever that is: its client knows, and there is nobody else
/// to tell.
async fn serve_one<S, B>(
    stream: TcpStream,
    service: S,
    spoken: Spoken,
    shutdown: Shutdown,
    cut: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let builder = builder();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let silent = async {
        tokio::time::sleep(HEAD_WITHIN).await;
        if spoken.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Intervention::Silent
    };
    let closing = shutdown.closing().map(|()| Intervention::Closing);
    let cut = cut.cancelled().map(|()| Intervention::Cut);
    // Each is looked at once something has happened to it, and not with every request: looking takes
    // locks that all connections share.
    let mut interventions: FuturesUnordered<_> = [silent.boxed(), closing.boxed(), cut.boxed()]
        .into_iter()
        .collect();
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            Some(intervention) = interventions.next() => match intervention {
                Intervention::Silent | Intervention::Cut => return,
                Intervention::Closing => connection.as_mut().graceful_shutdown(),
            },
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX);
    builder
}
