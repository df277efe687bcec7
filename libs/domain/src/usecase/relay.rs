//! Tell other systems what happened: every event, in order, by one process at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use futures::pin_mut;

use crate::cloud_event::CloudEvent;
use crate::ids::{EventId, InstanceId};
use crate::port::{Clock, EventOutbox, EventPublisher, PortError, StoredEvent, Timer};
use crate::time::BootInstant;

/// What relaying needs from the world.
pub struct RelayPorts<'a> {
    /// Where events wait.
    pub outbox: &'a dyn EventOutbox,
    /// Where they are told.
    pub publisher: &'a dyn EventPublisher,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Waiting.
    pub timer: &'a dyn Timer,
}

/// One process that relays whenever it leads.
#[derive(Debug)]
pub struct Relay {
    holder: InstanceId,
    source: Arc<str>,
    lease: Duration,
    batch: u32,
    /// Until when this process leads for certain, on its own boot clock; `None` where it doesn't.
    leads_until: Option<BootInstant>,
    /// The last event that was told and could not be marked.
    unmarked: Option<EventId>,
}

/// What came of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// Another process leads.
    Standby,
    /// This process leads, and told so many events. Where `more` is set there may be others that
    /// needn't be waited for.
    Told {
        /// How many.
        count: usize,
        /// Whether the batch was full.
        more: bool,
    },
    /// The lead was lost before what was told could be marked; the next leader tells it again, and
    /// whoever listens knows by the ids.
    Lost,
}

impl Relay {
    /// A relay that doesn't lead yet. `holder` is an id nobody else has, `source` what events say
    /// they come from; `batch` events at most are told at once.
    pub fn new(holder: InstanceId, source: Arc<str>, lease: Duration, batch: u32) -> Self {
        Self {
            holder,
            source,
            lease,
            batch: batch.max(1),
            leads_until: None,
            unmarked: None,
        }
    }

    /// Takes the lead where it is free, and tells the next events.
    ///
    /// # Errors
    /// Where the store or the other side doesn't answer. Nothing is lost by it: what isn't marked
    /// is told again. The lead is given up, as the other side may answer somebody else.
    pub async fn step(&mut self, ports: &RelayPorts<'_>) -> Result<Relayed, PortError> {
        let stepped = self.step_as_leader(ports).await;
        if stepped.is_err() {
            // An error here adds nothing: the lead runs out by itself.
            let _ = self.resign(ports.outbox).await;
        }
        stepped
    }

    async fn step_as_leader(&mut self, ports: &RelayPorts<'_>) -> Result<Relayed, PortError> {
        let Some(until) = self.lead(ports).await? else {
            return Ok(Relayed::Standby);
        };
        // Told, and then the store didn't answer: it would all be told once more.
        if let Some(through) = self.unmarked {
            if !ports.outbox.relayed(self.holder, through).await? {
                return Ok(self.lost());
            }
            self.unmarked = None;
        }
        let stored = ports.outbox.unrelayed(self.batch).await?;
        let Some(last) = stored.last().map(|last| last.id) else {
            let nothing = Relayed::Told {
                count: 0,
                more: false,
            };
            return Ok(nothing);
        };
        let events: Vec<CloudEvent> = stored
            .iter()
            .map(|StoredEvent { id, event }| CloudEvent::new(*id, event, Arc::clone(&self.source)))
            .collect();
        // Whoever was held up so long that another may lead must not begin, and stops in the
        // middle: what it tells would come late, if not twice.
        if until <= ports.clock.boot() {
            return Ok(self.lost());
        }
        let published = {
            let publishing = ports.publisher.publish(&events);
            let over = ports.timer.sleep_until(until);
            pin_mut!(publishing, over);
            match select(publishing, over).await {
                Either::Left((published, _)) => published,
                Either::Right(((), _)) => return Ok(self.lost()),
            }
        };
        published?;
        self.unmarked = Some(last);
        if !ports.outbox.relayed(self.holder, last).await? {
            return Ok(self.lost());
        }
        self.unmarked = None;
        Ok(Relayed::Told {
            count: events.len(),
            more: events.len() >= self.batch as usize,
        })
    }

    /// Gives up the lead, so that nobody has to wait until it runs out.
    ///
    /// # Errors
    /// Where the store doesn't answer.
    pub async fn resign(&mut self, outbox: &dyn EventOutbox) -> Result<(), PortError> {
        match self.leads_until.take() {
            Some(_) => outbox.resign(self.holder).await,
            None => Ok(()),
        }
    }

    /// Until when this process leads, if it does. Asks for more time once half of it is over.
    async fn lead(&mut self, ports: &RelayPorts<'_>) -> Result<Option<BootInstant>, PortError> {
        // Before it is asked for: the store counts from later on.
        let now = ports.clock.boot();
        let left = self.leads_until.map(|until| until.since(now));
        if left.is_some_and(|left| left > self.lease / 2) {
            return Ok(self.leads_until);
        }
        self.leads_until = None;
        if ports.outbox.lead(self.holder, self.lease).await? {
            self.leads_until = Some(now.plus(self.usable()));
        }
        Ok(self.leads_until)
    }

    /// How long a lead is used: a little shorter than granted, as clocks run differently fast.
    fn usable(&self) -> Duration {
        self.lease.saturating_sub(self.lease / 100)
    }

    fn lost(&mut self) -> Relayed {
        self.leads_until = None;
        Relayed::Lost
    }
}
