//! A link between two processes that can be hurt: cut, frozen, slowed, and, where it carries NATS,
//! made to lose, double and reorder messages.
//!
//! ```no_run
//! use session_testkit::proxy::{Mishap, Proxy, Way};
//!
//! let server = session_testkit::servers::Nats::start();
//! let link = Proxy::of_nats(server.address(), 7);
//! println!("nats://{}", link.address());
//! link.meet(Mishap::to(Way::ToServer, "session.ack").dropped(1_000));
//! link.cut();
//! link.heal();
//! ```

mod frames;
mod link;
mod mishap;
mod pipe;

use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

pub use frames::{Frame, Frames};
pub use mishap::{Mishap, Mishaps};

use crate::sim::rng::Rng;
use link::{Flow, Link};

/// A direction, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// What the client says.
    ToServer,
    /// What the server says.
    ToClient,
}

/// A TCP proxy on a free port of the loopback address. Gone, with its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    messages: Option<Arc<Messages>>,
    thread: Option<JoinHandle<()>>,
}

/// What is to become of messages.
#[derive(Debug)]
struct Messages {
    mishaps: Mutex<Vec<Mishap>>,
    luck: Mutex<(Rng, Mishaps)>,
}

impl Proxy {
    /// One that forwards bytes to `upstream`, which need not be there yet.
    pub fn of(upstream: SocketAddr) -> Self {
        Self::start(upstream, None)
    }

    /// One that forwards the messages of NATS's client protocol, without TLS. `seed` decides which
    /// of them meet with what [`Self::meet`] says.
    pub fn of_nats(upstream: SocketAddr, seed: u64) -> Self {
        let messages = Messages {
            mishaps: Mutex::default(),
            luck: Mutex::new((Rng::new(seed), Mishaps::default())),
        };
        Self::start(upstream, Some(Arc::new(messages)))
    }

    fn start(upstream: SocketAddr, messages: Option<Arc<Messages>>) -> Self {
        let (link, watched) = watch::channel(Link::default());
        let (listening, listens) = sync_channel(1);
        let forwarded = messages.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(link::serve(upstream, watched, forwarded, listening));
        });
        let address = listens.recv().expect("the loopback address has free ports");
        Self {
            address,
            link,
            messages,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every connection, and new ones as soon as they are made.
    pub fn cut(&self) {
        self.link.send_modify(|link| link.cut = true);
    }

    /// Forwards nothing more, either way; connections stay open, and new ones can be made.
    pub fn freeze(&self) {
        self.freeze_way(Way::ToServer);
        self.freeze_way(Way::ToClient);
    }

    /// Forwards nothing more this way.
    pub fn freeze_way(&self, way: Way) {
        self.link
            .send_modify(|link| *link.flow_mut(way) = Flow::Held);
    }

    /// Forwards nothing more on the connections there are, ever, as where a host has lost power or
    /// something between has forgotten them; new ones are as good as any.
    pub fn strand(&self) {
        self.link.send_modify(Link::strand);
    }

    /// Forwards everything, both ways, so much later.
    pub fn slow(&self, by: Duration) {
        self.link.send_modify(|link| {
            *link.flow_mut(Way::ToServer) = Flow::After(by);
            *link.flow_mut(Way::ToClient) = Flow::After(by);
        });
    }

    /// Forwards again as if nothing had been; what was held arrives now.
    pub fn heal(&self) {
        self.link.send_modify(|link| *link = link.healed());
    }

    /// Lets messages meet with this from now on, besides what they meet with already.
    ///
    /// # Panics
    /// Where the proxy knows of no messages.
    pub fn meet(&self, mishap: Mishap) {
        self.messages().lock().push(mishap);
    }

    /// Lets messages arrive as they should.
    pub fn mend(&self) {
        self.messages().lock().clear();
    }

    /// How many messages met with something so far.
    pub fn mishaps(&self) -> Mishaps {
        let luck = &self.messages().luck;
        luck.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn messages(&self) -> &Messages {
        self.messages.as_ref().expect("a proxy of NATS")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.link.send_modify(|link| link.over = true);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

impl Messages {
    fn lock(&self) -> MutexGuard<'_, Vec<Mishap>> {
        self.mishaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often a message arrives, and how late each time.
    fn copies(&self, way: Way, frame: &Frame) -> Vec<Option<Duration>> {
        let subject = frame.subject.as_deref();
        let mishaps = self.lock();
        let met = subject.and_then(|subject| mishaps.iter().find(|one| one.concerns(way, subject)));
        let Some(mishap) = met else {
            return vec![None];
        };
        let mut luck = self.luck.lock().unwrap_or_else(PoisonError::into_inner);
        let copies = mishap.copies(&mut luck.0);
        luck.1.count(&copies);
        copies
    }
}
