//! What the product is measured against: the same libraries answering the same, with nothing behind
//! them.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::ValueEnum;
use envoy_types::ext_authz::v3::pb::{
    Authorization, AuthorizationServer, CheckRequest, CheckResponse,
};
use envoy_types::pb::google::rpc;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use poem::listener::TcpAcceptor;
use poem::{Response, Server, handler};
use tokio::net::TcpListener;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bare {
    /// A poem handler: 200 and the fields of an allow.
    Poem,
    /// The same by hyper alone.
    Hyper,
    /// A tonic service: `OK`.
    Tonic,
}

/// The fields of an allow, with values as long as they usually are.
fn fields() -> HeaderMap {
    let values = [
        ("x-session-subject", "alice"),
        ("x-session-id", "019a5f3e-7c00-7000-8000-000000000001"),
        ("x-session-tenant", "default"),
        ("x-session-acr", "-"),
        ("x-session-auth-time", "1790000000"),
        ("x-session-expires", "1790000600"),
        ("x-session-scope", "-"),
        ("cache-control", "no-store"),
    ];
    let field = |(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    values.map(field).into_iter().collect()
}

#[handler]
fn ok() -> Response {
    let mut response = Response::default();
    *response.headers_mut() = fields();
    response
}

/// Says yes to everybody.
struct Yes;

#[tonic::async_trait]
impl Authorization for Yes {
    async fn check(
        &self,
        _: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        Ok(tonic::Response::new(CheckResponse {
            status: Some(rpc::Status::default()),
            ..CheckResponse::default()
        }))
    }
}

/// Serves until it is killed, on a free port that it prints.
pub async fn serve(bare: Bare) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    match bare {
        Bare::Poem => {
            let acceptor = TcpAcceptor::from_tokio(listener)?;
            Server::new_with_acceptor(acceptor).run(ok).await?;
        }
        Bare::Hyper => loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let service = service_fn(async |_| {
                    let mut response = http::Response::new(Full::<Bytes>::default());
                    *response.headers_mut() = fields();
                    Ok::<_, Infallible>(response)
                });
                let builder = Builder::new(TokioExecutor::new());
                let io = TokioIo::new(stream);
                // However it ends: whoever asked knows.
                let _ = builder.serve_connection(io, service).await;
            });
        },
        Bare::Tonic => {
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            tonic::transport::Server::builder()
                .add_service(AuthorizationServer::new(Yes))
                .serve_with_incoming(incoming.with_nodelay(Some(true)))
                .await?;
        }
    }
    Ok(())
}

/// A side without the product, in a process of its own. Killed when dropped.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Process {
    /// Starts one, and returns once it listens.
    pub fn start(bare: Bare) -> Result<Self> {
        let name = bare.to_possible_value().context("it has a name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", name.get_name()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().context("a pipe")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().context("no address was told")?;
        Ok(Self { child, address })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
