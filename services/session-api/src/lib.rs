//! `session-api`: creates, shows, refreshes and ends sessions over HTTP, and grants leases and
//! snapshots to validators over the bus.
//!
//! To trace one request, for example "end a session": `http/sessions/end.rs` (path, caller,
//! status), `session_domain::usecase::end` (authorise, find, commit, wait for the fence),
//! `session_domain::session` (which sessions may end), and the store's `change/end.rs` (one
//! transaction).

mod app;
pub mod config;
pub mod http;
mod metrics;

use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{FutureExt, Shared};
use opentelemetry::metrics::Meter;
use session_domain::ids::InstanceId;
use session_domain::port::PortError;
use session_domain::revocation::{Follower, FollowerConfig, RevocationState};
use session_domain::time::BootInstant;
use session_domain::usecase::fence::FenceKeeper;
use session_domain::usecase::follow::{FollowPorts, follow};
use session_domain::usecase::keep_keys::{KeptKeys, keep_keys};
use session_domain::usecase::ready_keys::ready_keys;
use session_domain::usecase::serve::{ServePorts, serve};
use session_domain::usecase::touch::{Activity, touch};
use session_domain::usecase::validate::Requirements;
use session_runtime::listen::Listener;
use session_runtime::private::{Check, Readiness};
use session_runtime::reach::insist;
use session_runtime::shutdown::Shutdown;

pub use app::{App, Ports};
pub use config::Config;
use metrics::{RequestDuration, SeenLeases, TimedFence};

/// The parts of this process that others in it may share: composed before anything runs.
pub struct Api {
    app: Arc<App>,
    fence: Arc<FenceKeeper>,
    lease: Duration,
    activity_interval: Duration,
    instance: InstanceId,
    seen: SeenLeases,
    requests: RequestDuration,
}

impl Api {
    /// Composes the API of `config` and `ports`, with `fence` for its waits. What it measures are
    /// instruments of `meter`.
    pub fn new(config: Config, ports: Ports, fence: Arc<FenceKeeper>, meter: &Meter) -> Self {
        let mut id = [0; 16];
        ports.entropy.fill(&mut id);
        let instance = InstanceId(uuid::Builder::from_random_bytes(id).into_uuid());
        let revocations = Arc::new(RevocationState::new());
        let seen = SeenLeases::default();
        seen.show(meter);
        metrics::show_reaping(&revocations, &ports.clock, meter);
        let clock = Arc::clone(&ports.clock);
        let app = Arc::new(App {
            fence: Arc::new(TimedFence::new(Arc::clone(&fence) as _, clock, meter)),
            revocations,
            activity: Activity::default(),
            requirements: Requirements {
                audience: config.policy.issuer.clone(),
                reaper_lag_max: config.reaper_lag_max,
            },
            cookie: http::cookie::cookie_name(&config.policy.issuer).to_owned(),
            origins: config.origins,
            trusted_proxies: config.trusted_proxies,
            invalid_credentials_per_minute: config.invalid_credentials_per_minute,
            policy: config.policy,
            ports,
        });
        Self {
            app,
            fence,
            lease: config.lease,
            activity_interval: config.activity_interval,
            instance,
            seen,
            requests: RequestDuration::new(meter),
        }
    }

    /// Serves HTTP on `listener`, and followers over the bus, until `shutdown`: then it answers
    /// what has been asked, and only after that stops fencing.
    ///
    /// # Errors
    /// Where the bus, the keys or the listener fail for good; the process had better be restarted.
    pub async fn run(
        self,
        listener: Listener,
        readiness: Readiness,
        shutdown: Shutdown,
    ) -> Result<(), PortError> {
        let (served, stop_following) = oneshot::channel::<()>();
        let (released, stop) = oneshot::channel::<()>();
        let stop = stop.map(|_| ()).shared();
        let ready = readiness.check("api");
        let serving = async {
            let result = self.serve_clients(listener, &shutdown, &ready).await;
            // From here on nobody is answered. Gone where another part failed.
            let _ = served.send(());
            result
        };
        let following = async {
            let result = self.follow(stop_following.map(|_| ())).await;
            // Its own lease is given up through itself, so serving ends after following.
            let _ = released.send(());
            result
        };
        // Polled in this order: followers are served before the first one, this process's own, asks.
        let serving_followers = self.serve_followers(stop.clone());
        let fencing = self.fence.run(stop.clone());
        let keeping_up = self.keep_up(stop);
        futures::future::try_join5(serving_followers, fencing, following, keeping_up, serving)
            .await
            .map(|_| ())
    }

    async fn serve_clients(
        &self,
        listener: Listener,
        shutdown: &Shutdown,
        ready: &Check,
    ) -> Result<(), PortError> {
        let ports = self.app.key_ports();
        let keys = || ready_keys(&ports);
        insist("the signing key", shutdown, PortError::is_retry, keys).await?;
        while self.app.revocations.deadline() == BootInstant::default() && !shutdown.is_draining() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if !shutdown.is_draining() {
            ready.pass();
        }
        let result = listener
            .serve(
                http::routes(&self.app, self.requests.clone()),
                shutdown.clone(),
            )
            .await;
        result.map_err(|error| PortError::retry("the listener failed", error))
    }

    async fn serve_followers(
        &self,
        stop: Shared<impl Future<Output = ()>>,
    ) -> Result<(), PortError> {
        let ports = &self.app.ports;
        let serve_ports = ServePorts {
            log: ports.log.as_ref(),
            store: ports.store.as_ref(),
            bus: ports.bus.as_ref(),
            clock: ports.clock.as_ref(),
            lease: self.lease,
        };
        serve(&serve_ports, stop).await
    }

    /// What is done now and then: writes which sessions were used, what is left of it at the end
    /// too, takes up signing keys that other processes made, and looks who holds leases.
    async fn keep_up(&self, stop: Shared<impl Future<Output = ()>>) -> Result<(), PortError> {
        let mut keys = KeptKeys::default();
        loop {
            let wait = tokio::time::timeout(self.activity_interval, stop.clone());
            let stopped = wait.await.is_ok();
            let (store, clock) = (&self.app.ports.store, &self.app.ports.clock);
            let activity = &self.app.activity;
            let written = touch(store.as_ref(), activity, self.instance, || clock.wall());
            if let Err(error) = written.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "activity could not be written; trying again"
                );
            }
            if stopped {
                return Ok(());
            }
            let kept = keep_keys(&self.app.key_ports(), &self.app.revocations, &mut keys).await;
            if let Err(error) = kept {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "the newest signing key could not be taken up; trying again"
                );
            }
            // For the metrics alone: what can't be read now is read soon.
            if let Ok(holders) = self.app.ports.log.holders().await {
                self.seen.see(holders);
            }
        }
    }

    /// This process judges its own callers under a lease of its own.
    async fn follow(&self, stop: impl Future<Output = ()>) -> Result<(), PortError> {
        let ports = &self.app.ports;
        let follower = Follower::new(
            self.instance,
            Arc::clone(&self.app.revocations),
            FollowerConfig::default(),
        );
        let follow_ports = FollowPorts {
            bus: ports.bus.as_ref(),
            clock: ports.clock.as_ref(),
            timer: ports.timer.as_ref(),
        };
        follow(&follow_ports, follower, stop).await
    }
}
