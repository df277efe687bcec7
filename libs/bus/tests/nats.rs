//! What only a bus with a network beneath it can suffer.

mod support;

use std::time::Duration;

use futures::future::join;
use futures::stream::{BoxStream, StreamExt};
use session_domain::ids::{LogEpoch, Seq};
use session_domain::port::{Bus, BusReply, BusRequest, Incoming};
use session_domain::revocation::{LogEntry, Publication, Snapshot};
use session_testkit::servers::Nats;
use tokio::time::Instant;

use support::{PATIENCE, config, connect, counted, eventually, publication};

async fn answer_all(mut requests: BoxStream<'static, Incoming>) -> usize {
    let mut answered = 0;
    while let Some(Incoming { reply, .. }) = requests.next().await {
        let _ = reply.send(BusReply::Released);
        answered += 1;
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_the_server_everything_is_subscribed_again() {
    let mut server = Nats::start();
    let (one, two) = (
        connect(&config(&server.url())).await,
        connect(&config(&server.url())).await,
    );
    let heard = one.publications().await.unwrap();
    let serving = tokio::spawn(answer_all(two.requests().await.unwrap()));

    server.kill();
    let begun = Instant::now();
    // Until the loss is noticed, what is sent may be lost or late.
    eventually(async || one.publish(&publication(0)).await.err()).await;
    assert!(one.publish(&publication(1)).await.unwrap_err().is_retry());
    let error = one
        .request(BusRequest::Snapshot, PATIENCE)
        .await
        .unwrap_err();
    assert!(error.is_retry());
    assert!(begun.elapsed() < PATIENCE, "nothing waits for a connection");

    server.restart();
    eventually(async || one.request(BusRequest::Snapshot, PATIENCE).await.ok()).await;
    eventually(async || two.publish(&publication(2)).await.ok()).await;
    let early = publication(0);
    let mut heard = heard.skip_while(|heard| std::future::ready(*heard == early));
    let first = tokio::time::timeout(PATIENCE, heard.next()).await.unwrap();
    assert_eq!(
        first,
        Some(publication(2)),
        "what couldn't be sent isn't sent later"
    );
    two.close().await;
    assert!(serving.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_end_with_the_connection() {
    let mut server = Nats::start();
    let bus = connect(&config(&server.url())).await;
    let _silent = bus.requests().await.unwrap();
    let begun = Instant::now();
    let kills = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::task::block_in_place(|| server.kill());
    };
    let (answer, ()) = join(bus.request(BusRequest::Snapshot, PATIENCE), kills).await;
    assert!(answer.unwrap_err().is_retry());
    assert!(begun.elapsed() < PATIENCE / 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_at_the_start_is_waited_for() {
    let mut server = Nats::down("");
    let bus = connect(&config(&server.url())).await;
    assert!(bus.publish(&publication(0)).await.unwrap_err().is_retry());
    let error = bus
        .request(BusRequest::Snapshot, PATIENCE)
        .await
        .unwrap_err();
    assert!(error.is_retry());
    let starts = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::task::block_in_place(|| server.restart());
    };
    let (heard, ()) = join(bus.publications(), starts).await;
    bus.publish(&publication(1)).await.unwrap();
    assert_eq!(heard.unwrap().next().await, Some(publication(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_noticed_and_left() {
    let server = Nats::start();
    let bus = connect(&config(&server.url())).await;
    let _silent = bus.requests().await.unwrap();
    server.stop();
    eventually(async || bus.publish(&publication(0)).await.err()).await;
    server.resume();
    eventually(async || bus.publish(&publication(1)).await.ok()).await;
}

#[tokio::test]
async fn refused_credentials_are_said_at_once_and_never_shown() {
    let server = Nats::start_with("authorization { user: api, password: right }");
    let wrong = config(&server.url_as("api", "wr0ng"));
    let metrics = session_runtime::telemetry::Metrics::new("test", "0").unwrap();
    let error = session_bus::NatsBus::connect(&wrong, &metrics.meter("bus"))
        .await
        .unwrap_err();
    assert!(!error.is_retry());
    let said = format!("{error:?} {wrong:?}");
    assert!(
        said.contains("refuses the credentials") && !said.contains("wr0ng"),
        "{said}"
    );
    connect(&config(&server.url_as("api", "right"))).await;

    let server = Nats::start_with("authorization { token: s3cret }");
    connect(&config(&server.url().replace("//", "//s3cret@"))).await;
}

/// The first byte of every message of today.
const VERSION: u8 = 2;

#[tokio::test]
async fn what_cannot_be_used_is_counted_and_passed_over() {
    let server = Nats::start();
    let (bus, metrics) = counted(&config(&server.url())).await;
    let raw = async_nats::connect(server.url()).await.unwrap();
    let mut heard = bus.publications().await.unwrap();
    let mut requests = bus.requests().await.unwrap();
    let junk: [(&str, Vec<u8>); 6] = [
        ("session.log", vec![]),
        ("session.log", vec![VERSION, 255, 255, 255]),
        ("session.log", vec![9; 40]),
        ("session.log", vec![VERSION; 300_000]),
        ("session.req.check", vec![VERSION, 200]),
        // A good request for a snapshot, where only checks may be asked for.
        ("session.req.check", vec![VERSION, 3]),
    ];
    for (subject, payload) in junk {
        raw.publish_with_reply(subject, "nobody", payload.into())
            .await
            .unwrap();
    }
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("traceparent", "not a trace");
    raw.publish_with_reply_and_headers(
        "session.req.snapshot",
        "nobody",
        headers,
        vec![VERSION, 3].into(),
    )
    .await
    .unwrap();
    raw.flush().await.unwrap();
    let good = tokio::time::timeout(PATIENCE, requests.next()).await;
    let good = good.expect("the good one comes through").unwrap();
    assert_eq!(good.request, BusRequest::Snapshot);
    bus.publish(&publication(5)).await.unwrap();
    assert_eq!(heard.next().await, Some(publication(5)));

    let text = metrics.render().unwrap();
    for (reason, count) in [("malformed", 4), ("unknown_version", 1), ("oversized", 1)] {
        let line = format!("session_bus_ignored_total{{reason=\"{reason}\"}} {count}");
        assert!(text.contains(&line), "{line} is missing in:\n{text}");
    }
}

#[tokio::test]
async fn what_is_too_long_is_not_sent() {
    let server = Nats::start();
    let (bus, metrics) = counted(&config(&server.url())).await;
    let run = Publication {
        epoch: LogEpoch(1),
        after: Seq(0),
        entries: vec![LogEntry::Ended(
            (0..100_000)
                .map(|n| session_domain::ids::Serial(u64::MAX / 2 - n))
                .collect(),
        )],
    };
    let error = bus.publish(&run).await.unwrap_err();
    assert!(!error.is_retry());

    let mut requests = bus.requests().await.unwrap();
    let answering = async {
        let Incoming { reply, .. } = requests.next().await.unwrap();
        let snapshot = Snapshot {
            head: session_domain::revocation::Head {
                epoch: LogEpoch(1),
                seq: Seq(0),
            },
            keys: vec![],
            skipped: vec![],
            floors: vec![],
            lists: vec![u64::MAX; 50_000],
            after: None,
            more: None,
        };
        reply.send(BusReply::Snapshot(snapshot)).unwrap();
    };
    let (answer, ()) = join(bus.request(BusRequest::Snapshot, PATIENCE), answering).await;
    assert_eq!(answer.unwrap(), BusReply::Unavailable);
    assert!(
        metrics
            .render()
            .unwrap()
            .contains("reason=\"oversized\"} 1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_requests_and_one_that_leaves_hands_them_on() {
    let server = Nats::start();
    let [asker, one, two] = [
        connect(&config(&server.url())).await,
        connect(&config(&server.url())).await,
        connect(&config(&server.url())).await,
    ];
    let (leaves, stays) = (one.requests().await.unwrap(), two.requests().await.unwrap());
    let staying = tokio::spawn(answer_all(stays));
    // Nobody reads these any more: those sent there so far are handed back when it leaves.
    let leaving = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(leaves);
    });
    let requests = (0..200).map(|_| asker.request(BusRequest::Snapshot, PATIENCE));
    let answers = futures::future::join_all(requests).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    leaving.await.unwrap();
    two.close().await;
    assert_eq!(staying.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_request_leaves_nothing_behind_and_a_late_answer_does_no_harm() {
    let server = Nats::start();
    let bus = connect(&config(&server.url())).await;
    let mut requests = bus.requests().await.unwrap();
    for _ in 0..100 {
        let short = Duration::from_millis(1);
        assert!(bus.request(BusRequest::Snapshot, short).await.is_err());
        let late = requests.next().await.unwrap();
        late.reply.send(BusReply::Unavailable).unwrap();
    }
    let (answer, _served) = join(bus.request(BusRequest::Snapshot, PATIENCE), async {
        requests
            .next()
            .await
            .unwrap()
            .reply
            .send(BusReply::Released)
    })
    .await;
    assert_eq!(answer.unwrap(), BusReply::Released);
    assert!(format!("{bus:?}").contains("waiting: Waiting(Mutex { data: {}"));
}

#[tokio::test]
async fn over_tls_only_a_server_with_the_right_certificate_is_spoken_to() {
    let authority = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&certificate, authority.cert.pem()).unwrap();
    std::fs::write(&key, authority.signing_key.serialize_pem()).unwrap();
    let server = Nats::start_with(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\" }}",
        certificate.display(),
        key.display()
    ));
    let url = server.url().replace("nats://", "tls://");
    let mut trusting = config(&url);
    trusting.ca_file = Some(certificate);
    let bus = connect(&trusting).await;
    let mut heard = bus.publications().await.unwrap();
    bus.publish(&publication(1)).await.unwrap();
    assert_eq!(heard.next().await, Some(publication(1)));

    // The system's authorities don't know it.
    let stranger = connect(&config(&url)).await;
    assert!(stranger.publish(&publication(2)).await.is_err());
}
