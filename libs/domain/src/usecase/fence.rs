//! Wait until every follower knows: the driver of [`Fences`].

mod arrivals;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, FutureExt, select};
use futures::stream::StreamExt;
use futures::{pin_mut, select_biased};

use crate::ids::{LogEpoch, Seq};
use crate::port::{Bus, Clock, Fence, PortError, RevocationLog, Timer};
use crate::revocation::{FenceId, Fences, FencesAction, Head, LogRun, Publication};

use arrivals::{Arrivals, Begun, Ticket};

/// So many publications are remembered to have been made: far more than changes that were written
/// together can be apart.
const PUBLISHED_KNOWN: usize = 64;

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
    /// Whose turn it is to read the leases.
    turn: futures::lock::Mutex<()>,
    /// Tells [`Self::run`] that there is something new to wait for.
    nudge: mpsc::UnboundedSender<()>,
    nudged: Mutex<Option<mpsc::UnboundedReceiver<()>>>,
}

#[derive(Default)]
struct Shared {
    fences: Fences,
    waiters: HashMap<FenceId, oneshot::Sender<()>>,
    arrivals: Arrivals,
    /// What was published lately, the newest last.
    published: VecDeque<(LogEpoch, Seq)>,
}

impl Shared {
    fn note_published(&mut self, news: &Publication) {
        self.published.push_back((news.epoch, news.after));
        if self.published.len() > PUBLISHED_KNOWN {
            self.published.pop_front();
        }
    }

    fn is_published(&self, news: &Publication) -> bool {
        self.published.contains(&(news.epoch, news.after))
    }
}

impl FenceKeeper {
    /// A fence nobody waits at yet.
    pub fn new(ports: FencePorts) -> Self {
        let (nudge, nudged) = mpsc::unbounded();
        Self {
            ports,
            shared: Mutex::default(),
            turn: futures::lock::Mutex::default(),
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
                let _ = self.ports.log.forget(instance, counter).await;
            }
            FencesAction::Settle(epoch) => {
                // What can't be said now is said again with the next fence.
                let _ = self.ports.log.settle(epoch).await;
            }
        }
    }

    async fn resend(&self, head: Head) -> Result<(), PortError> {
        let after = Seq(head.seq.0.saturating_sub(1));
        let from = Head { seq: after, ..head };
        match self.ports.log.entries(from, 1).await? {
            LogRun::Entries(entries) if entries.is_empty() => Ok(()),
            LogRun::Entries(entries) => {
                let epoch = head.epoch;
                self.ports
                    .bus
                    .publish(&Publication {
                        epoch,
                        after,
                        entries,
                    })
                    .await
            }
            // Every holder has it.
            LogRun::Pruned => Ok(()),
            LogRun::Foreign { current } => {
                let mut shared = self.lock();
                for lost in shared.fences.on_epoch(current) {
                    // Dropped: whoever waits is told that nothing is confirmed.
                    shared.waiters.remove(&lost);
                }
                Ok(())
            }
        }
    }

    async fn begin(
        &self,
        through: Seq,
        fresh: Option<Publication>,
    ) -> Result<(Waiting<'_>, Option<Publication>), PortError> {
        let mut ticket = Ticket::new(self, through, fresh);
        // One reads at a time; who waits for its turn is most often served by the one before.
        let begun = match select(&mut ticket.begun, self.turn.lock()).await {
            Either::Left((begun, _)) => begun,
            Either::Right((turn, begun)) => {
                let end = self.lock().arrivals_end();
                let holders = self.ports.log.holders().await;
                // Read after the leases: from here on, what is left of any of them is bounded.
                let now = self.ports.clock.boot();
                self.lock().begin_all(end, now, holders);
                drop(turn);
                begun.await
            }
        };
        let gone = |error| PortError::fatal("fence", error);
        let Begun { id, opened, news } = begun.map_err(gone)??;
        let waiting = Waiting {
            keeper: self,
            id,
            opened,
        };
        Ok((waiting, news))
    }

    async fn publish(&self, news: &Publication) {
        self.lock().note_published(news);
        // A lost announcement is made up for by the resend of whoever waits, and by the next
        // grant for everybody else.
        let _ = self.ports.bus.publish(news).await;
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
        let (mut waiting, news) = match self.begin(through, fresh.clone()).await {
            Ok(begun) => begun,
            Err(error) => {
                // Unconfirmed, but no reason to keep the news from anybody.
                if let Some(fresh) = fresh {
                    self.announce(fresh).await;
                }
                return Err(error);
            }
        };
        // Published only after the leases were read: an acknowledgement can't arrive too early.
        if let Some(news) = news {
            self.publish(&news).await;
        }
        let Some(opened) = waiting.opened.take() else {
            return Ok(());
        };
        // Can only fail once `run` is over, and then nobody hears acknowledgements.
        let _ = self.nudge.unbounded_send(());
        opened
            .await
            .map_err(|canceled| PortError::retry("the wait was called off", canceled))
    }

    async fn announce(&self, fresh: Publication) {
        // Changes that were written together each bring the news of all.
        if !self.lock().is_published(&fresh) {
            self.publish(&fresh).await;
        }
    }
}
