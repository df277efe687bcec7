//! Keeps a validator's memory: hears what has ended, holds the lease, tells which sessions are
//! used.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::FutureExt;
use futures::{pin_mut, select_biased};
use session_domain::port::{Bus, Clock, PortError, Timer};
use session_domain::revocation::{Follower, RevocationState};
use session_domain::time::BootInstant;
use session_domain::usecase::follow::{FollowPorts, follow};
use session_domain::usecase::touch::{Activity, report};

/// What has to run for a [`crate::Validator`] to know anything.
#[must_use = "a validator knows nothing until this runs"]
pub struct Following {
    pub(crate) follower: Follower,
    pub(crate) state: Arc<RevocationState>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) activity_interval: Duration,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timer: Arc<dyn Timer>,
}

impl Following {
    /// Runs until `stop`, which must come only once nobody is answered any more: then the last uses
    /// are told and the lease is given up, so that no end waits for this process.
    ///
    /// # Errors
    /// Where the bus no longer takes subscriptions; the process had better be restarted.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), PortError> {
        let Self {
            follower,
            state,
            activity,
            activity_interval,
            bus,
            clock,
            timer,
        } = self;
        let ports = FollowPorts {
            bus: bus.as_ref(),
            clock: clock.as_ref(),
            timer: timer.as_ref(),
        };
        let (told, release) = oneshot::channel();
        let instance = follower.instance();
        let telling = async {
            let now = || state.server_time(clock.boot());
            let stop = stop.fuse();
            pin_mut!(stop);
            loop {
                let at = clock.boot().plus(activity_interval);
                let stopped = select_biased! {
                    () = stop => true,
                    () = timer.sleep_until(at).fuse() => false,
                };
                // Without a lease nobody was answered from memory, and the time isn't known.
                if state.deadline() > BootInstant::default() {
                    let reported = report(bus.as_ref(), &activity, instance, now).await;
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
        let following = follow(&ports, follower, async {
            // An error means the telling is gone, which is a reason to stop as good as any.
            let _ = release.await;
        });
        futures::future::try_join(telling, following)
            .await
            .map(|_| ())
    }
}
