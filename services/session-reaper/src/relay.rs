//! Tells other systems what happened, whenever this process leads. Any number of reapers may: one
//! of them leads, and where it goes, another does within seconds.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Meter};
use session_domain::ids::InstanceId;
use session_domain::port::{Clock, Entropy, EventOutbox, EventPublisher, PortError, Timer};
use session_domain::time::BootInstant;
use session_domain::usecase::relay::{Relay, RelayPorts, Relayed};
use session_runtime::shutdown::Shutdown;

/// For how long one process leads without asking again: how long others wait for one that is gone.
const LEASE: Duration = Duration::from_secs(5);

/// How many events are told at once.
const BATCH: u32 = 256;

/// The pause where nothing is left to tell.
const IDLE: Duration = Duration::from_millis(200);

/// The pause where another process leads.
const STANDBY: Duration = Duration::from_secs(1);

/// The longest pause where it doesn't work; the first is as long as [`IDLE`], and each is twice the
/// one before.
const TROUBLE_MAX: Duration = Duration::from_secs(5);

/// How often it is logged that it still doesn't work.
const REMIND_EVERY: Duration = Duration::from_mins(1);

/// How often it is looked how far behind the relay is.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What relaying is composed of.
#[derive(Clone)]
pub struct Telling {
    /// Where events wait.
    pub outbox: Arc<dyn EventOutbox>,
    /// Where they are told.
    pub publisher: Arc<dyn EventPublisher>,
    /// Waiting.
    pub timer: Arc<dyn Timer>,
    /// Draws the name this process leads by.
    pub entropy: Arc<dyn Entropy>,
    /// What events say they come from.
    pub source: Arc<str>,
}

/// Relays until `shutdown`. What can't be told waits in the database.
///
/// # Errors
/// Never: whoever doesn't answer may answer later.
pub(crate) async fn relay(
    telling: Telling,
    clock: Arc<dyn Clock>,
    meter: Meter,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let Telling {
        outbox,
        publisher,
        timer,
        entropy,
        source,
    } = telling;
    let mut name = [0; 16];
    entropy.fill(&mut name);
    let holder = InstanceId(uuid::Builder::from_random_bytes(name).into_uuid());
    let ports = RelayPorts {
        outbox: outbox.as_ref(),
        publisher: publisher.as_ref(),
        clock: clock.as_ref(),
        timer: timer.as_ref(),
    };
    let mut relay = Relay::new(holder, source, LEASE, BATCH);
    let mut numbers = Numbers::new(&meter);
    let mut trouble = Trouble::default();
    while !shutdown.is_draining() {
        let stepped = relay.step(&ports).await;
        let pause = match &stepped {
            Ok(step) => {
                trouble.over();
                numbers.count(*step);
                pause_after(*step)
            }
            Err(error) => trouble.again(error, clock.boot()),
        };
        numbers.look(&ports).await;
        tokio::select! {
            () = shutdown.draining() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Err(error) = relay.resign(ports.outbox).await {
        tracing::debug!(%error, "the relay's lead is left to run out");
    }
    Ok(())
}

fn pause_after(step: Relayed) -> Duration {
    match step {
        Relayed::Told { more: true, .. } => Duration::ZERO,
        Relayed::Told { more: false, .. } => IDLE,
        Relayed::Standby => STANDBY,
        Relayed::Lost => {
            tracing::warn!("lost the relay's lead; what was being told is told again");
            STANDBY
        }
    }
}

/// Tells the operators that it doesn't work, and not each time.
#[derive(Debug, Default)]
struct Trouble {
    pause: Option<Duration>,
    told: Option<BootInstant>,
}

impl Trouble {
    /// It didn't work; how long to wait.
    fn again(&mut self, error: &PortError, now: BootInstant) -> Duration {
        let recently = |told: BootInstant| now.since(told) < REMIND_EVERY;
        if !self.told.is_some_and(recently) {
            self.told = Some(now);
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "events can't be told to other systems; they wait");
        }
        let pause = self.pause.map_or(IDLE, |last| (last * 2).min(TROUBLE_MAX));
        self.pause = Some(pause);
        pause
    }

    /// It works.
    fn over(&mut self) {
        if self.told.is_some() {
            tracing::info!("events are told to other systems again");
        }
        *self = Self::default();
    }
}

/// What is measured.
struct Numbers {
    told: Counter<u64>,
    lag: Gauge<f64>,
    looked: Option<BootInstant>,
}

impl Numbers {
    fn new(meter: &Meter) -> Self {
        Self {
            told: meter
                .u64_counter("session.reaper.events_relayed")
                .with_description("Events told to other systems, repeats included")
                .build(),
            lag: meter
                .f64_gauge("session.reaper.relay_lag")
                .with_unit("s")
                .with_description("The age of the oldest event that isn't told yet; 0 without one")
                .build(),
            looked: None,
        }
    }

    fn count(&self, step: Relayed) {
        if let Relayed::Told { count, .. } = step {
            self.told.add(count as u64, &[]);
        }
    }

    /// Looks now and then how old the oldest event is. Every reaper does, leading or not: a relay
    /// nobody leads is what the number is for.
    async fn look(&mut self, ports: &RelayPorts<'_>) {
        let now = ports.clock.boot();
        if self.looked.is_some_and(|last| now.since(last) < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        match ports.outbox.oldest_unrelayed().await {
            Ok(oldest) => {
                let age = oldest.map_or(Duration::ZERO, |at| ports.clock.wall().since(at));
                self.lag.record(age.as_secs_f64(), &[]);
            }
            Err(error) => tracing::debug!(%error, "can't see how far behind the relay is"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_at_once_and_then_once_a_minute_with_growing_pauses() {
        let mut trouble = Trouble::default();
        let error = PortError::retry("publish", "away");
        let mut now = BootInstant(0);
        let mut told = 0;
        let mut pauses = Vec::new();
        for _ in 0..60 {
            let before = trouble.told;
            let pause = trouble.again(&error, now);
            told += u32::from(trouble.told != before);
            pauses.push(pause);
            now = now.plus(pause);
        }
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[59]), (IDLE, TROUBLE_MAX));
        let minutes = now.since(BootInstant(0)).as_secs() / 60 + 1;
        assert!(
            u64::from(told) <= minutes && told > 1,
            "{told} in {minutes}"
        );
        trouble.over();
        assert_eq!(trouble.again(&error, now), IDLE);
    }
}
