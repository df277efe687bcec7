//! `session-validator`: answers gateways from memory. Holds no database credential and no private
//! key: public keys and the revocation state are all it knows.
//!
//! The decision itself is `session-client`'s, which any Rust service may use without a gateway.
//!
//! | file | what |
//! |---|---|
//! | `authz/` | gateways that ask over HTTP |
//! | `grpc/` | gateways that ask over gRPC (Envoy's `ext_authz`) |
//! | `policies.rs` | what an operator says about policies |
//! | `reload.rs` | how policies change without a restart |
//! | `config.rs` | what else an operator decides |

mod authz;
mod config;
mod grpc;
mod metrics;
mod policies;
mod reload;

use std::time::Duration;

use futures::channel::oneshot;
use opentelemetry::metrics::Meter;
use session_client::Validator;
pub use session_client::{Config as ClientConfig, Policies, Policy, Ports};
use session_domain::port::PortError;
use session_runtime::listen::Listener;
use session_runtime::private::Readiness;
use session_runtime::shutdown::Shutdown;

use authz::Authz;
pub use config::{Config, Settings, checks_max, grpc_failures};
use grpc::Check;
pub use grpc::Failures;
use metrics::Decisions;
pub use policies::PolicySettings;
pub use reload::Reload;

/// What answers, for questions that don't come over a port: those of the fuzz targets.
#[doc(hidden)]
pub mod answering {
    pub use crate::authz::Authz;
    pub use crate::grpc::{Check, Envelope};
    pub use crate::metrics::Decisions;
}

/// Where gateways ask.
#[derive(Debug)]
pub struct Doors {
    /// Over HTTP.
    pub http: Listener,
    /// Over gRPC.
    pub grpc: Listener,
}

/// Serves gateways at `doors` until `shutdown`: then it answers what has been asked, and only after
/// that gives its lease up. Policies change as `reload` says, where it says anything.
///
/// # Errors
/// Where the bus or a listener fails for good; the process had better be restarted.
pub async fn run(
    config: Config,
    ports: Ports,
    doors: Doors,
    reload: Option<Reload>,
    meter: Meter,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), PortError> {
    let (validator, following) = Validator::new(config.client, config.policies, ports);
    let decisions = Decisions::new(&meter);
    metrics::show_lease(&validator, &meter);
    let (served, stop) = oneshot::channel();
    let serving = async {
        let authz = Authz::new(validator.clone(), decisions.clone());
        let http = authz::serve(doors.http, authz, shutdown.clone());
        let check = Check::new(validator.clone(), decisions, config.grpc_failures);
        let grpc = grpc::serve(doors.grpc, check, shutdown.clone());
        let result = futures::future::try_join(http, grpc).await;
        // From here on nobody is answered, so the lease can go. Gone where the follower failed.
        let _ = served.send(());
        result
            .map(|_| ())
            .map_err(|error| PortError::retry("a listener failed", error))
    };
    let following = following.run(async {
        // An error means the server is gone, which is a reason to stop as good as any.
        let _ = stop.await;
    });
    let check = readiness.check("validator");
    let watching = async {
        tokio::select! {
            // Later losses of the lease mean remote checks, not an empty Service.
            () = ready(&validator) => check.pass(),
            () = shutdown.draining() => {}
        }
        Ok(())
    };
    let reloading = async {
        match reload {
            Some(reload) => reload
                .keep(validator.clone(), &meter, readiness, shutdown.clone())
                .await
                .map_err(|error| PortError::retry("signals can't be heard", error)),
            None => Ok(()),
        }
    };
    futures::future::try_join4(serving, following, watching, reloading)
        .await
        .map(|_| ())
}

/// Returns once `validator` has held a lease.
async fn ready(validator: &Validator) {
    while !validator.is_ready() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
