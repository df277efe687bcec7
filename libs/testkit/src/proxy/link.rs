//! The connections of a proxy, and what holds for all of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Messages, Way, pipe};

/// How one way flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Flow {
    /// As it comes.
    #[default]
    Free,
    /// Not at all.
    Held,
    /// So much later.
    After(Duration),
}

/// The state of the link.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Link {
    /// The proxy is going away.
    pub(super) over: bool,
    /// Nobody is connected.
    pub(super) cut: bool,
    /// How often all there was has been stranded.
    strandings: u64,
    to_server: Flow,
    to_client: Flow,
}

impl Link {
    /// Strands all there is.
    pub(super) const fn strand(&mut self) {
        self.strandings += 1;
    }

    /// Free, for what comes and for what isn't stranded.
    pub(super) fn healed(&self) -> Self {
        Self {
            strandings: self.strandings,
            ..Self::default()
        }
    }

    pub(super) const fn flow(&self, way: Way) -> Flow {
        match way {
            Way::ToServer => self.to_server,
            Way::ToClient => self.to_client,
        }
    }

    pub(super) const fn flow_mut(&mut self, way: Way) -> &mut Flow {
        match way {
            Way::ToServer => &mut self.to_server,
            Way::ToClient => &mut self.to_client,
        }
    }

    const fn is_down(&self) -> bool {
        self.over || self.cut
    }
}

/// Returns once it is so; also once there is no proxy any more.
async fn until(watched: &mut watch::Receiver<Link>, so: impl FnMut(&Link) -> bool) {
    // A sender that is gone is a proxy that is gone.
    let _ = watched.wait_for(so).await;
}

/// Forwards connections until the proxy goes away.
pub(super) async fn serve(
    upstream: SocketAddr,
    mut watched: watch::Receiver<Link>,
    messages: Option<Arc<Messages>>,
    listening: SyncSender<SocketAddr>,
) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    listening.send(address).expect("somebody waits for it");
    loop {
        let over = watched.clone();
        let accepted = tokio::select! {
            () = until(&mut watched, |link| link.over) => return,
            accepted = listener.accept() => accepted,
        };
        // Whoever hung up before it was accepted isn't there to be forwarded.
        let Ok((client, _)) = accepted else {
            continue;
        };
        tokio::spawn(forward(client, upstream, over, messages.clone()));
    }
}

/// Forwards one connection, until either side ends it or the link is cut.
async fn forward(
    mut client: TcpStream,
    upstream: SocketAddr,
    mut watched: watch::Receiver<Link>,
    messages: Option<Arc<Messages>>,
) {
    let whole = watched.clone();
    let born = watched.borrow().strandings;
    let mut stranding = watched.clone();
    // Closed with this, a connection is reset: nobody takes it for a polite goodbye.
    let _ = client.set_zero_linger();
    let both = async {
        let mut server = TcpStream::connect(upstream).await?;
        let _ = server.set_zero_linger();
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = pipe::pipe(
            from_client,
            to_server,
            Way::ToServer,
            whole.clone(),
            messages.clone(),
        );
        let back = pipe::pipe(from_server, to_client, Way::ToClient, whole, messages);
        // Once one way is over, so is what the two talk about.
        tokio::select! {
            over = there => over,
            over = back => over,
        }
    };
    tokio::select! {
        biased;
        () = until(&mut watched, Link::is_down) => {}
        () = until(&mut stranding, |link| link.strandings > born) => {
            until(&mut stranding, Link::is_down).await;
        }
        // Whoever talks here notices by itself that it's over.
        _ = both => {}
    }
}
