//! What every [`Bus`] does. Only what the protocol's *speed* depends on can be asked of one; its
//! correctness depends on nothing here.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use futures::stream::{BoxStream, StreamExt};

use crate::ids::{InstanceId, LogEpoch, Seq, Serial};
use crate::port::{Bus, BusReply, BusRequest, Incoming};
use crate::revocation::{
    Acknowledgement, Head, LIST_BYTES, ListBits, LogEntry, PUBLICATION_SERIALS_MAX, Publication,
};
use crate::secret::Secret256;

suite!(($) Arc<dyn Bus>, bus, bus_contract:
    every_subscriber_hears_every_broadcast_in_order,
    a_subscription_starts_when_it_is_made,
    a_request_is_answered_by_one_server,
    a_request_nobody_answers_ends_in_time,
    a_dropped_request_is_an_error,
    a_server_that_left_is_not_asked,
    a_status_list_and_a_long_run_arrive,
);

const WITHIN: Duration = Duration::from_secs(5);

fn publication(number: u64) -> Publication {
    Publication {
        epoch: LogEpoch(1),
        after: Seq(number),
        entries: vec![LogEntry::Ended(vec![Serial(number)])],
    }
}

/// Two subscribers hear the same broadcasts in the order of their sending.
pub async fn every_subscriber_hears_every_broadcast_in_order(bus: Arc<dyn Bus>) {
    let subscribers = [
        bus.publications().await.unwrap(),
        bus.publications().await.unwrap(),
    ];
    let acks = bus.acknowledgements().await.unwrap();
    for number in 0..100 {
        bus.publish(&publication(number)).await.unwrap();
    }
    let applied = Head {
        epoch: LogEpoch(1),
        seq: Seq(9),
    };
    let ack = Acknowledgement::new(
        InstanceId(uuid::Uuid::from_u128(5)),
        applied,
        &Secret256([1; 32]),
    );
    bus.acknowledge(&ack).await.unwrap();
    for subscriber in subscribers {
        let heard: Vec<_> = subscriber.take(100).collect().await;
        assert_eq!(heard, (0..100).map(publication).collect::<Vec<_>>());
    }
    assert_eq!(acks.take(1).collect::<Vec<_>>().await, [ack]);
}

/// What was sent before isn't heard; what is sent right after is.
pub async fn a_subscription_starts_when_it_is_made(bus: Arc<dyn Bus>) {
    bus.publish(&publication(1)).await.unwrap();
    let mut subscriber = bus.publications().await.unwrap();
    bus.publish(&publication(2)).await.unwrap();
    assert_eq!(subscriber.next().await, Some(publication(2)));
}

async fn answer_one(mut requests: BoxStream<'static, Incoming>) -> BoxStream<'static, Incoming> {
    let Incoming { request, reply } = requests.next().await.expect("a request");
    assert_eq!(request, BusRequest::Snapshot);
    reply.send(BusReply::Released).unwrap();
    requests
}

/// Of two servers one answers each request, and both take their share.
pub async fn a_request_is_answered_by_one_server(bus: Arc<dyn Bus>) {
    let serve = async |mut requests: BoxStream<'static, Incoming>| {
        let mut count = 0;
        while count < 40 {
            let Some(Incoming { request, reply }) = requests.next().await else {
                break;
            };
            match request {
                BusRequest::Snapshot => count += 1,
                // The signal to stop: each server gets one.
                _ => break,
            }
            reply.send(BusReply::Released).unwrap();
        }
        count
    };
    let (one, two) = (bus.requests().await.unwrap(), bus.requests().await.unwrap());
    let asks = async {
        let answers = join_all((0..40).map(|_| bus.request(BusRequest::Snapshot, WITHIN))).await;
        assert!(
            answers
                .into_iter()
                .all(|answer| answer.unwrap() == BusReply::Released)
        );
        for _ in 0..40 {
            // Unanswered on purpose; sent until both servers have stopped.
            let _ = bus
                .request(BusRequest::List(0), Duration::from_millis(50))
                .await;
        }
    };
    let (((), one), two) = join(join(asks, serve(one)), serve(two)).await;
    assert_eq!(one + two, 40);
    assert!(one > 0 && two > 0, "{one} and {two}");
}

/// Nobody serves, or nobody answers: an error that says "try again", within the time given.
pub async fn a_request_nobody_answers_ends_in_time(bus: Arc<dyn Bus>) {
    let short = Duration::from_millis(50);
    let error = bus.request(BusRequest::Snapshot, short).await.unwrap_err();
    assert!(error.is_retry());
    let _silent = bus.requests().await.unwrap();
    let error = bus.request(BusRequest::Snapshot, short).await.unwrap_err();
    assert!(error.is_retry());
}

/// A request dropped by its server is an error, not a wait for ever.
pub async fn a_dropped_request_is_an_error(bus: Arc<dyn Bus>) {
    let mut requests = bus.requests().await.unwrap();
    let drops = async { drop(requests.next().await) };
    let (answer, ()) = join(
        bus.request(BusRequest::Snapshot, Duration::from_millis(500)),
        drops,
    )
    .await;
    assert!(answer.unwrap_err().is_retry());
}

/// A server that went away isn't asked again while another is there.
pub async fn a_server_that_left_is_not_asked(bus: Arc<dyn Bus>) {
    drop(bus.requests().await.unwrap());
    let mut stays = bus.requests().await.unwrap();
    for _ in 0..4 {
        let (answer, rest) =
            join(bus.request(BusRequest::Snapshot, WITHIN), answer_one(stays)).await;
        assert_eq!(answer.unwrap(), BusReply::Released);
        stays = rest;
    }
}

/// What is long arrives, in as many parts as it takes: a status list whole, and of a run of entries
/// at least the first.
pub async fn a_status_list_and_a_long_run_arrive(bus: Arc<dyn Bus>) {
    let head = Head {
        epoch: LogEpoch(1),
        seq: Seq(3),
    };
    let bits = BusReply::List(ListBits {
        head,
        list: 0,
        bits: (0..=250).cycle().take(LIST_BYTES).collect(),
    });
    let mut requests = bus.requests().await.unwrap();
    let serves = async {
        let Incoming { reply, .. } = requests.next().await.expect("a request");
        reply.send(bits.clone()).unwrap();
    };
    let (answer, ()) = join(bus.request(BusRequest::List(0), WITHIN), serves).await;
    assert_eq!(answer.unwrap(), bits);

    let last = u64::MAX / 2;
    let serials = (0..PUBLICATION_SERIALS_MAX as u64).map(|number| Serial(last - number));
    let long = Publication {
        epoch: LogEpoch(1),
        after: Seq(7),
        entries: vec![LogEntry::Ended(serials.collect()); 9],
    };
    let mut subscriber = bus.publications().await.unwrap();
    bus.publish(&long).await.unwrap();
    let mut entries = Vec::new();
    while entries.len() < long.entries.len() {
        let part = subscriber.next().await.expect("the rest");
        assert_eq!(part.after, Seq(7 + entries.len() as u64));
        entries.extend(part.entries);
    }
    assert_eq!(entries, long.entries);
}
