//! Wait until every follower knows: the driver of [`Fences`].

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, FutureExt};
use futures::stream::StreamExt;
use futures::{pin_mut, select_biased};

use crate::ids::Seq;
use crate::port::{Bus, Clock, Fence, PortError, RevocationLog, Timer};
use crate::revocation::{FenceId, Fences, FencesAction, Head, Publication};

/// What fencing needs from the world.
#[derive(Clone)]
pub struct FencePorts {
    /// Where leases are read.
    pub log: Arc<dyn RevocationLog>,
    /// Where entries are published and acknowledgements come from.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Waiting.
    pub timer: Arc<dyn Timer>,
}

/// One process's fence. [`Self::run`] must be running for [`Fence::wait`] to return.
pub struct FenceKeeper {
    ports: FencePorts,
    shared: Mutex<Shared>,
    /// Tells [`Self::run`] that there is something new to wait for.
    nudge: mpsc::UnboundedSender<()>,
    nudged: Mutex<Option<mpsc::UnboundedReceiver<()>>>,
}

#[derive(Default)]
struct Shared {
    fences: Fences,
    waiters: HashMap<FenceId, oneshot::Sender<()>>,
}

impl FenceKeeper {
    /// A fence nobody waits at yet.
    pub fn new(ports: FencePorts) -> Self {
        let (nudge, nudged) = mpsc::unbounded();
        Self {
            ports,
            shared: Mutex::default(),
            nudge,
            nudged: Mutex::new(Some(nudged)),
        }
    }

    /// Hears acknowledgements and lets waiters go, until `stop` is ready. Runs once.
    ///
    /// # Errors
    /// Where the bus takes no subscription; every waiter is then told to try again.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<(), PortError> {
        let result = self.keep(stop).await;
        // Dropping the senders tells everybody who still waits that nothing is confirmed.
        self.lock().waiters.clear();
        result
    }

    async fn keep(&self, stop: impl Future<Output = ()>) -> Result<(), PortError> {
        let nudged = self
            .nudged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut nudged = nudged
            .ok_or_else(|| PortError::fatal("fence", "run was called twice"))?
            .fuse();
        let stop = stop.fuse();
        pin_mut!(stop);
        // A bus without a connection subscribes once it has one; stopping doesn't wait for that.
        let mut acks = select_biased! {
            () = stop => return Ok(()),
            subscribed = self.ports.bus.acknowledgements().fuse() => subscribed?.fuse(),
        };
        loop {
            let actions = self.lock().fences.poll(self.ports.clock.boot());
            for action in actions {
                self.carry_out(action).await;
            }
            let mut wake = self.wake().fuse();
            select_biased! {
                () = stop => return Ok(()),
                ack = acks.next() => match ack {
                    Some(ack) => self.lock().fences.on_acknowledgement(&ack),
                    None => return Err(PortError::retry("the bus closed a subscription", "end of stream")),
                },
                _ = nudged.next() => {}
                () = wake => {}
            }
            while let Some(Some(ack)) = acks.next().now_or_never() {
                self.lock().fences.on_acknowledgement(&ack);
            }
            while let Some(Some(())) = nudged.next().now_or_never() {}
        }
    }

    fn wake(&self) -> impl Future<Output = ()> + '_ {
        match self.lock().fences.wake_at() {
            Some(at) => Either::Left(self.ports.timer.sleep_until(at)),
            None => Either::Right(futures::future::pending()),
        }
    }

    async fn carry_out(&self, action: FencesAction) {
        match action {
            FencesAction::Open(id) => {
                if let Some(waiter) = self.lock().waiters.remove(&id) {
                    // Gone where the caller hung up.
                    let _ = waiter.send(());
                }
            }
            FencesAction::Resend(head) => {
                // What can't be sent again now is due again soon.
                let _ = self.resend(head).await;
            }
            FencesAction::Forget { instance, counter } => {
                // What can't be forgotten now is seen again with the next fence.
                let _ = self.ports.log.release(instance, counter).await;
            }
        }
    }

    async fn resend(&self, head: Head) -> Result<(), PortError> {
        let after = Seq(head.seq.0.saturating_sub(1));
        let entries = self.ports.log.entries(after, 1).await?;
        self.ports
            .bus
            .publish(&Publication {
                epoch: head.epoch,
                after,
                entries,
            })
            .await
    }

    async fn begin(
        &self,
        through: Seq,
        fresh: Option<&Publication>,
    ) -> Result<Waiting<'_>, PortError> {
        let epoch = match fresh {
            Some(fresh) => fresh.epoch,
            None => self.ports.log.head().await?.epoch,
        };
        let leases = self.ports.log.leases().await?;
        // Read after the leases: from here on, what is left of any of them is bounded.
        let now = self.ports.clock.boot();
        let mut shared = self.lock();
        let id = shared.fences.begin(
            now,
            Head {
                epoch,
                seq: through,
            },
            leases,
        );
        let opened = if shared.fences.take_if_open(id) {
            None
        } else {
            let (sender, receiver) = oneshot::channel();
            shared.waiters.insert(id, sender);
            Some(receiver)
        };
        Ok(Waiting {
            keeper: self,
            id,
            opened,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait that is called off when its caller goes away.
struct Waiting<'a> {
    keeper: &'a FenceKeeper,
    id: FenceId,
    opened: Option<oneshot::Receiver<()>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut shared = self.keeper.lock();
        shared.fences.cancel(self.id);
        shared.waiters.remove(&self.id);
    }
}

#[async_trait]
impl Fence for FenceKeeper {
    async fn wait(&self, through: Seq, fresh: Option<Publication>) -> Result<(), PortError> {
        let mut waiting = match self.begin(through, fresh.as_ref()).await {
            Ok(waiting) => waiting,
            Err(error) => {
                // Unconfirmed, but no reason to keep the news from anybody.
                if let Some(fresh) = fresh {
                    self.announce(fresh).await;
                }
                return Err(error);
            }
        };
        // Published only after the leases were read: an acknowledgement can't arrive too early.
        if let Some(fresh) = fresh {
            self.announce(fresh).await;
        }
        let Some(opened) = waiting.opened.take() else {
            return Ok(());
        };
        // Can only fail once `run` is over, and then nobody hears acknowledgements.
        let _ = self.nudge.unbounded_send(());
        opened
            .await
            .map_err(|canceled| PortError::retry("the fence is closing", canceled))
    }

    async fn announce(&self, fresh: Publication) {
        // A lost announcement is made up for by the resend of whoever waits, and by the next
        // grant for everybody else.
        let _ = self.ports.bus.publish(&fresh).await;
    }
}
