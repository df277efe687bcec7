//! Keep a process's revocation state and lease: the driver of [`Follower`].

use std::future::Future;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{pin_mut, select_biased};

use crate::port::{Bus, BusReply, BusRequest, Clock, PortError, Timer};
use crate::revocation::{Acknowledgement, Follower, FollowerAction};

/// How long a request to the authority may take.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);

/// What following needs from the world.
pub struct FollowPorts<'a> {
    /// Where publications come from and requests go.
    pub bus: &'a dyn Bus,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Waiting.
    pub timer: &'a dyn Timer,
}

/// Runs `follower` until `stop` is ready, then gives its lease up. The caller makes sure that
/// nobody is answered from its state afterwards.
///
/// # Errors
/// Where the bus no longer takes subscriptions: without one, ends arrive late, so the process had
/// better be restarted.
pub async fn follow(
    ports: &FollowPorts<'_>,
    mut follower: Follower,
    stop: impl Future<Output = ()>,
) -> Result<(), PortError> {
    let stop = stop.fuse();
    pin_mut!(stop);
    // Subscribed before the first grant is asked for: what is published from now on isn't missed.
    // A bus without a connection subscribes once it has one; stopping doesn't wait for that.
    let mut publications = select_biased! {
        () = stop => return Ok(()),
        subscribed = ports.bus.publications().fuse() => subscribed?.fuse(),
    };
    let mut replies: FuturesUnordered<BoxFuture<'_, Option<BusReply>>> = FuturesUnordered::new();
    loop {
        for action in follower.poll(ports.clock.boot()) {
            match request_of(action) {
                Ok(request) => replies.push(Box::pin(async {
                    // Not answered is asked again by the follower, in its own time.
                    ports.bus.request(request, REQUEST_WITHIN).await.ok()
                })),
                Err(ack) => {
                    // A lost acknowledgement makes somebody wait a little longer, no more.
                    let _ = ports.bus.acknowledge(&ack).await;
                }
            }
        }
        let mut wake = ports.timer.sleep_until(follower.wake_at()).fuse();
        select_biased! {
            () = stop => break,
            publication = publications.next() => match publication {
                Some(publication) => follower.on_publication(ports.clock.boot(), publication),
                None => return Err(PortError::retry("the bus closed a subscription", "end of stream")),
            },
            reply = replies.select_next_some() => on_reply(&mut follower, ports.clock, reply),
            () = wake => {}
        }
        // What is there already is taken in before the next acknowledgement, which then stands
        // for all of it.
        while let Some(Some(publication)) = publications.next().now_or_never() {
            follower.on_publication(ports.clock.boot(), publication);
        }
    }
    follower.give_up();
    let release = BusRequest::Release {
        instance: follower.instance(),
        counter: follower.counter(),
    };
    // If nobody hears it, the lease runs out by itself.
    let _ = ports.bus.request(release, REQUEST_WITHIN).await;
    Ok(())
}

/// The request an action makes, or the acknowledgement it sends.
fn request_of(action: FollowerAction) -> Result<BusRequest, Acknowledgement> {
    match action {
        FollowerAction::RequestGrant(request) => Ok(BusRequest::Grant(request)),
        FollowerAction::FetchSnapshot(None) => Ok(BusRequest::Snapshot),
        FollowerAction::FetchSnapshot(Some(mark)) => Ok(BusRequest::SnapshotPart(mark)),
        FollowerAction::FetchList(list) => Ok(BusRequest::List(list)),
        FollowerAction::FetchEntries { epoch, after } => Ok(BusRequest::Entries { epoch, after }),
        FollowerAction::Acknowledge(ack) => Err(ack),
    }
}

fn on_reply(follower: &mut Follower, clock: &dyn Clock, reply: Option<BusReply>) {
    let now = clock.boot();
    match reply {
        Some(BusReply::Grant(grant)) => follower.on_grant_reply(now, grant),
        Some(BusReply::Entries(entries)) => follower.on_entries(now, entries),
        Some(BusReply::EntriesGone { epoch }) => follower.on_entries_gone(now, epoch),
        Some(BusReply::Snapshot(snapshot)) => follower.on_snapshot(now, &snapshot),
        Some(BusReply::List(bits)) => follower.on_list(now, &bits),
        Some(BusReply::Unavailable) | None => follower.on_request_failed(now),
        // Answers to what was never asked.
        Some(BusReply::Released | BusReply::Check(_) | BusReply::ActivityKept) => {}
    }
}
