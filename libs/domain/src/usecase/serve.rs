//! Answer followers from the truth: leases, entries, snapshots, checks.

use std::future::Future;
use std::time::Duration;

use futures::future::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{pin_mut, select_biased};

use crate::ids::Serial;
use crate::port::{
    Bus, BusReply, BusRequest, Clock, Incoming, PortError, RevocationLog, SessionStore,
};
use crate::revocation::{
    CheckQuery, CheckVerdict, Head, LIST_SERIALS, ListBits, LogRun, Publication, StatusList,
};
use crate::session::{Session, Status};
use crate::time::Timestamp;

/// At most this many entries are handed out at once.
const ENTRIES_MAX: u32 = 500;

/// At most this many requests are worked on at once; more wait in the bus.
const IN_FLIGHT_MAX: usize = 256;

/// What serving needs from the world.
pub struct ServePorts<'a> {
    /// The log.
    pub log: &'a dyn RevocationLog,
    /// The sessions.
    pub store: &'a dyn SessionStore,
    /// Where requests come from.
    pub bus: &'a dyn Bus,
    /// The time.
    pub clock: &'a dyn Clock,
    /// How long leases are (L).
    pub lease: Duration,
}

/// Serves until `stop` is ready: then it takes no more requests, and answers those it has taken.
///
/// # Errors
/// Where the bus takes no subscription or closes it.
pub async fn serve(
    ports: &ServePorts<'_>,
    stop: impl Future<Output = ()>,
) -> Result<(), PortError> {
    let stop = stop.fuse();
    pin_mut!(stop);
    // A bus without a connection subscribes once it has one; stopping doesn't wait for that.
    let mut requests = select_biased! {
        () = stop => return Ok(()),
        subscribed = ports.bus.requests().fuse() => subscribed?.fuse(),
    };
    let mut working = FuturesUnordered::new();
    loop {
        if working.len() >= IN_FLIGHT_MAX {
            working.next().await;
        }
        select_biased! {
            () = stop => break,
            () = working.select_next_some() => {}
            incoming = requests.next() => match incoming {
                Some(incoming) => working.push(answer(ports, incoming)),
                None => return Err(PortError::retry("the bus closed a subscription", "end of stream")),
            },
        }
    }
    // From here on others are asked.
    drop(requests);
    while let Some(()) = working.next().await {}
    Ok(())
}

async fn answer(ports: &ServePorts<'_>, Incoming { request, reply }: Incoming) {
    let answer = work(ports, request).await.unwrap_or(BusReply::Unavailable);
    // Gone where the asker gave up.
    let _ = reply.send(answer);
}

async fn work(ports: &ServePorts<'_>, request: BusRequest) -> Result<BusReply, PortError> {
    Ok(match request {
        BusRequest::Grant(request) => {
            BusReply::Grant(ports.log.grant(&request, ports.lease).await?)
        }
        BusRequest::Release { instance, counter } => {
            ports.log.release(instance, counter).await?;
            BusReply::Released
        }
        BusRequest::Entries { epoch, after } => {
            let from = Head { epoch, seq: after };
            match ports.log.entries(from, ENTRIES_MAX).await? {
                LogRun::Entries(entries) => BusReply::Entries(Publication {
                    epoch,
                    after,
                    entries,
                }),
                LogRun::Pruned | LogRun::Foreign { .. } => BusReply::EntriesGone { epoch },
            }
        }
        BusRequest::Snapshot => BusReply::Snapshot(ports.log.snapshot(None).await?),
        BusRequest::SnapshotPart(mark) => {
            BusReply::Snapshot(ports.log.snapshot(Some(&mark)).await?)
        }
        BusRequest::List(list) => BusReply::List(list_bits(ports.log, list).await?),
        BusRequest::Check(query) => BusReply::Check(check(ports, &query).await?),
        BusRequest::Activity(touch) => {
            ports.store.apply(touch).await?;
            BusReply::ActivityKept
        }
    })
}

/// The bits of a list, as the log has them now.
async fn list_bits(log: &dyn RevocationLog, list: u64) -> Result<ListBits, PortError> {
    let bits = StatusList::new();
    // Read before the bits, which are then at least as new.
    let head = log.head().await?;
    if let (Some(from), Some(to)) = (Serial::at(list, 0), Serial::at(list, LIST_SERIALS - 1)) {
        for serial in log.ended_serials(from, to.next()).await? {
            bits.end(serial.place().1);
        }
    }
    Ok(ListBits {
        head,
        list,
        bits: bits.to_bytes(),
    })
}

/// Whether a session is alive, read from the authority now.
async fn check(ports: &ServePorts<'_>, query: &CheckQuery) -> Result<CheckVerdict, PortError> {
    let keys = ports.store.signing_keys().await?;
    let mut keys = keys.iter().filter(|key| key.retired_at.is_none());
    let known_key = keys.any(|key| *key.kid() == query.key);
    let session = ports.store.find(&query.tenant, query.session).await?;
    let server_time = ports.clock.wall();
    let heard = ports.log.heard_through().await?.unwrap_or(server_time);
    Ok(judge(
        query,
        known_key,
        session.as_ref(),
        server_time,
        heard,
    ))
}

/// The verdict on a session as the authority has it, `session`, ended by a floor or otherwise,
/// whether the key that signed is in service, and use heard of up to `heard`; all of it read after
/// the question was asked.
pub fn judge(
    query: &CheckQuery,
    known_key: bool,
    session: Option<&Session>,
    server_time: Timestamp,
    heard: Timestamp,
) -> CheckVerdict {
    if !known_key {
        return CheckVerdict::UnknownKey;
    }
    let alive = session.is_some_and(|session| {
        session.status == Status::Active
            && session.serial == query.serial
            && session.overdue_as_heard(server_time, heard).is_none()
    });
    if alive {
        CheckVerdict::Alive { server_time }
    } else {
        CheckVerdict::Dead
    }
}
