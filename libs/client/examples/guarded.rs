//! A service that guards itself: it follows what ends, and asks nobody when it is asked.
//!
//! ```text
//! make run-distributed            # in one terminal; it says where NATS is
//! cargo run -p session-client --example guarded -- NATS_URL ISSUER 127.0.0.1:8090
//! curl -i 127.0.0.1:8090 -H "Authorization: Bearer $TOKEN"
//! ```

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use session_client::{Claims, Config, Link, Policies, Policy, SessionLayer, connect};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tower::{ServiceBuilder, service_fn};

type Request = hyper::Request<Incoming>;
type Response = hyper::Response<Full<Bytes>>;

async fn hello(request: Request) -> Result<Response, Infallible> {
    let name = match request.extensions().get::<Claims>() {
        Some(claims) => claims.subject.as_str(),
        None => "nobody",
    };
    Ok(Response::new(format!("Hello, {name}.\n").into()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |name| arguments.next().ok_or(format!("which {name}?"));
    let (nats, issuer, listen) = (
        argument("NATS URL")?,
        argument("issuer")?,
        argument("address")?,
    );

    let policies = Policies::new(Policy::new(issuer.clone()));
    let link = Link::new(&nats, &issuer)?;
    let (validator, connection) = connect(link, Config::new(&issuer), policies).await?;
    let (answered, stop) = oneshot::channel::<()>();
    let following = tokio::spawn(connection.run(async {
        // Dropped or sent, nobody is answered any more.
        let _ = stop.await;
    }));

    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(validator))
        .service(service_fn(hello));
    let listener = TcpListener::bind(&listen).await?;
    let mut connections = JoinSet::new();
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            Some(_) = connections.join_next() => continue,
            stopped = tokio::signal::ctrl_c() => break stopped?,
        };
        let service = TowerToHyperService::new(service.clone());
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
    // First nobody is answered any more, then the lease goes: nobody who ends a session has to wait
    // for this process.
    connections.shutdown().await;
    drop(answered);
    following.await??;
    Ok(())
}
