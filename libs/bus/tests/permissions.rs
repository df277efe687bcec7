//! The permissions of `docs/nats-permissions.md`, as they stand there, are enough for each process
//! and no more.

mod support;

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use futures::future::join;
use futures::stream::{BoxStream, StreamExt};
use session_bus::NatsBus;
use session_domain::contract::publisher::event;
use session_domain::ids::{InstanceId, LogEpoch, Seq};
use session_domain::port::{Bus, BusReply, BusRequest, EventPublisher, Incoming};
use session_domain::revocation::{Acknowledgement, Head};
use session_domain::secret::Secret256;
use session_testkit::servers::Nats;
use support::{PATIENCE, config, connect, publication, stream};
use uuid::Uuid;

/// Long enough for a message to arrive that was let through.
const MOMENT: Duration = Duration::from_millis(300);

fn server() -> Nats {
    let document = include_str!("../../../docs/nats-permissions.md");
    let (_, from) = document.split_once("```conf\n").expect("a configuration");
    let (configuration, _) = from.split_once("```").expect("its end");
    Nats::start_with(configuration)
}

/// A connection of a process of that kind.
async fn process(server: &Nats, role: &'static str) -> NatsBus {
    let mut config = config(&server.url_as(role, &format!("{role}-password")));
    config.role = role;
    config.inbox = format!("_INBOX_{role}").parse().unwrap();
    connect(&config).await
}

async fn raw(server: &Nats, role: &str) -> async_nats::Client {
    let options =
        async_nats::ConnectOptions::with_user_and_password(role.into(), format!("{role}-password"));
    options.connect(server.url()).await.unwrap()
}

fn ack(number: u64) -> Acknowledgement {
    let applied = Head {
        epoch: LogEpoch(1),
        seq: Seq(number),
    };
    let instance = InstanceId(Uuid::from_u128(u128::from(number)));
    Acknowledgement::new(instance, applied, &Secret256([1; 32]))
}

async fn hears<T>(stream: &mut BoxStream<'static, T>) -> Option<T> {
    tokio::time::timeout(MOMENT, stream.next())
        .await
        .ok()
        .flatten()
}

async fn serve_one(requests: &mut BoxStream<'static, Incoming>, reply: BusReply) {
    let incoming = requests.next().await.expect("a request");
    incoming.reply.send(reply).expect("somebody who asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_can_do_its_work() {
    let server = server();
    let (validator, api, reaper) = (
        process(&server, "validator").await,
        process(&server, "api").await,
        process(&server, "reaper").await,
    );
    let (mut validator_hears, mut api_hears) = (
        validator.publications().await.unwrap(),
        api.publications().await.unwrap(),
    );
    let (mut api_waits, mut reaper_waits) = (
        api.acknowledgements().await.unwrap(),
        reaper.acknowledgements().await.unwrap(),
    );
    for (number, publisher) in (1..).zip([&api, &reaper]) {
        publisher.publish(&publication(number)).await.unwrap();
        for heard in [&mut validator_hears, &mut api_hears] {
            assert_eq!(hears(heard).await, Some(publication(number)));
        }
    }
    for (number, follower) in (1..).zip([&validator, &api]) {
        follower.acknowledge(&ack(number)).await.unwrap();
        for heard in [&mut api_waits, &mut reaper_waits] {
            assert_eq!(hears(heard).await, Some(ack(number)));
        }
    }
    let mut requests = api.requests().await.unwrap();
    for asker in [&validator, &api] {
        for request in [BusRequest::Snapshot, BusRequest::List(4)] {
            let (answer, ()) = join(
                asker.request(request, PATIENCE),
                serve_one(&mut requests, BusReply::Released),
            )
            .await;
            assert_eq!(answer.unwrap(), BusReply::Released);
        }
    }
}

/// A consumer made by the operator, as the system it was made for sees it.
async fn billing(server: &Nats) -> async_nats::jetstream::consumer::PullConsumer {
    let operator = async_nats::jetstream::new(raw(server, "operator").await);
    let stream = operator.get_stream("SESSION_EVENTS").await.unwrap();
    let durable = pull::Config {
        durable_name: Some("billing".into()),
        filter_subject: "session.events.acme-2.>".into(),
        ..pull::Config::default()
    };
    stream.create_consumer(durable).await.unwrap();
    let options = async_nats::ConnectOptions::with_user_and_password(
        "billing".into(),
        "billing-password".into(),
    );
    let options = options.custom_inbox_prefix("_INBOX_billing");
    let client = options.connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let consumer = context.get_consumer_from_stream("billing", "SESSION_EVENTS");
    consumer.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reaper_makes_the_stream_and_tells_and_others_hear() {
    let server = server();
    let reaper = process(&server, "reaper").await;
    let events = reaper.events(stream(&"session".parse().unwrap()));
    let told: Vec<_> = (1..=5).map(event).collect();
    events.publish(&told).await.unwrap();
    let consumer = billing(&server).await;
    let mut heard = consumer.fetch().max_messages(4).messages().await.unwrap();
    for number in [1, 2, 4, 5] {
        let message = heard.next().await.expect("an event").unwrap();
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event["id"], number.to_string());
        message.ack().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_reaper_tells_and_it_can_neither_delete_nor_read_what_it_told() {
    let server = server();
    let ours = stream(&"session".parse().unwrap());
    let reaper = process(&server, "reaper").await;
    let events = reaper.events(ours.clone());
    events.publish(&[event(1)]).await.unwrap();
    for intruder in ["validator", "api"] {
        let intruder = process(&server, intruder).await;
        let forged = intruder.events(ours.clone()).publish(&[event(2)]).await;
        assert!(forged.is_err());
    }
    for intruder in ["validator", "api", "billing"] {
        let intruder = raw(&server, intruder).await;
        let subject = "session.events.acme-2.session.ended";
        intruder.publish(subject, "forged".into()).await.unwrap();
        intruder.flush().await.unwrap();
    }
    let held = async_nats::ConnectOptions::with_user_and_password(
        "reaper".into(),
        "reaper-password".into(),
    );
    let held = held.custom_inbox_prefix("_INBOX_reaper");
    let held = async_nats::jetstream::ContextBuilder::new()
        .timeout(MOMENT)
        .build(held.connect(server.url()).await.unwrap());
    assert!(held.delete_stream("SESSION_EVENTS").await.is_err());
    let of_reaper = held.get_stream("SESSION_EVENTS").await.unwrap();
    assert!(of_reaper.get_raw_message(1).await.is_err());
    let messages = of_reaper.get_info().await.unwrap().state.messages;
    assert_eq!(messages, 1, "only what the reaper told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_can_neither_publish_ends_nor_hear_what_is_not_its_own() {
    let server = server();
    let (validator, api) = (
        process(&server, "validator").await,
        process(&server, "api").await,
    );
    let mut api_hears = api.publications().await.unwrap();
    validator.publish(&publication(1)).await.unwrap();
    assert_eq!(hears(&mut api_hears).await, None, "a forged end");

    let mut acks = validator.acknowledgements().await.unwrap();
    api.acknowledge(&ack(1)).await.unwrap();
    assert_eq!(
        hears(&mut acks).await,
        None,
        "somebody else's acknowledgement"
    );

    let mut stolen = validator.requests().await.unwrap();
    let error = api.request(BusRequest::Snapshot, MOMENT).await.unwrap_err();
    assert!(error.is_retry());
    assert!(
        hears(&mut stolen).await.is_none(),
        "somebody else's request"
    );

    // What the bus doesn't even offer.
    let intruder = raw(&server, "validator").await;
    let mut everything = intruder.subscribe(">").await.unwrap();
    let mut answers = intruder.subscribe("_INBOX_api.>").await.unwrap();
    intruder.flush().await.unwrap();
    let mut requests = api.requests().await.unwrap();
    let (answer, ()) = join(
        api.request(BusRequest::Snapshot, PATIENCE),
        serve_one(&mut requests, BusReply::Released),
    )
    .await;
    assert_eq!(answer.unwrap(), BusReply::Released);
    for stream in [&mut everything, &mut answers] {
        assert!(tokio::time::timeout(MOMENT, stream.next()).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_answers_unasked() {
    let server = server();
    let intruders = [
        raw(&server, "validator").await,
        raw(&server, "reaper").await,
        // The authority itself answers where it was asked, and nowhere else.
        raw(&server, "api").await,
    ];
    let victim = raw(&server, "validator").await;
    let mut inbox = victim.subscribe("_INBOX_validator.x").await.unwrap();
    victim.flush().await.unwrap();
    for intruder in intruders {
        intruder
            .publish("_INBOX_validator.x", "forged".into())
            .await
            .unwrap();
        intruder.flush().await.unwrap();
    }
    assert!(tokio::time::timeout(MOMENT, inbox.next()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reaper_cannot_acknowledge_serve_or_ask() {
    let server = server();
    let (api, reaper) = (
        process(&server, "api").await,
        process(&server, "reaper").await,
    );
    let mut api_waits = api.acknowledgements().await.unwrap();
    reaper.acknowledge(&ack(1)).await.unwrap();
    assert_eq!(hears(&mut api_waits).await, None);

    let mut stolen = reaper.requests().await.unwrap();
    assert!(api.request(BusRequest::Snapshot, MOMENT).await.is_err());
    assert!(hears(&mut stolen).await.is_none());

    let mut requests = api.requests().await.unwrap();
    assert!(reaper.request(BusRequest::Snapshot, MOMENT).await.is_err());
    assert!(hears(&mut requests).await.is_none());
}
