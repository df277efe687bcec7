//! `session-validator`: answers gateways from memory. Holds no database credential and no private
//! key: public keys and the revocation state are all it knows.
//!
//! | file | what |
//! |---|---|
//! | `authz/route.rs` | which convention and policy a gateway asks by |
//! | `authz/credential.rs` | the one credential of a request |
//! | `authz/answer.rs` | what a gateway is told |
//! | `config.rs` | what an operator decides |

mod authz;
mod config;
mod metrics;

use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use opentelemetry::metrics::Meter;
use session_domain::ids::InstanceId;
use session_domain::port::{Bus, Clock, Entropy, PortError, Timer, TokenVerifier};
use session_domain::revocation::{Follower, FollowerConfig, RevocationState};
use session_domain::time::BootInstant;
use session_domain::usecase::follow::{FollowPorts, follow};
use session_domain::usecase::touch::{Activity, report};
use session_domain::usecase::validate::Requirements;
use session_runtime::listen::Listener;
use session_runtime::private::Readiness;
use session_runtime::shutdown::Shutdown;

use authz::Authz;
pub use authz::CookieRules;
pub use config::{Config, Settings};

/// The adapters a validator is composed of.
#[derive(Clone)]
pub struct Ports {
    /// Messages between processes.
    pub bus: Arc<dyn Bus>,
    /// Checks tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Waiting.
    pub timer: Arc<dyn Timer>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Serves gateways on `listener` until `shutdown`: then it answers what has been asked, and only
/// after that gives its lease up.
///
/// # Errors
/// Where the bus or the listener fails for good; the process had better be restarted.
pub async fn run(
    config: Config,
    ports: Ports,
    listener: Listener,
    meter: Meter,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), PortError> {
    let state = Arc::new(RevocationState::new());
    let mut id = [0; 16];
    ports.entropy.fill(&mut id);
    let instance = InstanceId(uuid::Builder::from_random_bytes(id).into_uuid());
    let follower = Follower::new(instance, Arc::clone(&state), FollowerConfig::default());
    tracing::info!(%instance, "validator starting");

    let activity = Arc::new(Activity::default());
    let authz = Authz {
        state: Arc::clone(&state),
        verifier: ports.verifier,
        clock: Arc::clone(&ports.clock),
        bus: Arc::clone(&ports.bus),
        requirements: Requirements {
            audience: config.audience,
            reaper_lag_max: config.reaper_lag_max,
        },
        cookie: config.cookie,
        activity: Arc::clone(&activity),
        decisions: metrics::Decisions::new(&meter),
    };
    let (served, stop) = oneshot::channel();
    let serving = async {
        let result = listener.serve(authz, shutdown.clone()).await;
        // From here on nobody is answered, so the lease can go. Gone where the follower failed.
        let _ = served.send(());
        result.map_err(|error| PortError::retry("the listener failed", error))
    };
    let follow_ports = FollowPorts {
        bus: ports.bus.as_ref(),
        clock: ports.clock.as_ref(),
        timer: ports.timer.as_ref(),
    };
    let (told, release) = oneshot::channel();
    let telling = async {
        let now = || state.server_time(ports.clock.boot());
        let mut stop = stop;
        loop {
            // An error means the server is gone, which is a reason to stop as good as any.
            let stopped = tokio::time::timeout(config.activity_interval, &mut stop)
                .await
                .is_ok();
            // Without a lease nobody was answered from memory, and the time isn't known.
            if state.deadline() > BootInstant::default() {
                let reported = report(ports.bus.as_ref(), &activity, instance, now).await;
                if let Err(error) = reported {
                    tracing::debug!(%error, "activity could not be told; trying again");
                }
            }
            if stopped {
                // Gone where the follower failed.
                let _ = told.send(());
                return Ok(());
            }
        }
    };
    let following = follow(&follow_ports, follower, async {
        // As above.
        let _ = release.await;
    });
    let ready = readiness.check("validator");
    let watching = async {
        while state.deadline() == BootInstant::default() && !shutdown.is_draining() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Later losses of the lease mean remote checks, not an empty Service.
        ready.pass();
        Ok(())
    };
    futures::future::try_join4(serving, telling, following, watching)
        .await
        .map(|_| ())
}
