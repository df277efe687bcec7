//! What only a publisher with a stream or a file beneath it can suffer.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, StorageType};
use futures::future::join;
use session_bus::{EventFile, EventStream, FileLimits, NatsEvents};
use session_domain::cloud_event::CloudEvent;
use session_domain::contract::publisher::event;
use session_domain::port::EventPublisher;
use session_testkit::servers::Nats;

use support::{config, connect, eventually, lines, stored, stream};

fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<CloudEvent> {
    numbers.into_iter().map(event).collect()
}

fn json(events: &[CloudEvent]) -> Vec<serde_json::Value> {
    let json = |event| serde_json::to_value(event).unwrap();
    events.iter().map(json).collect()
}

fn ours() -> EventStream {
    stream(&"session".parse().unwrap())
}

async fn publisher(server: &Nats) -> NatsEvents {
    connect(&config(&server.url())).await.events(ours())
}

async fn ids(server: &Nats) -> Vec<u64> {
    let stored = stored(&server.url(), &ours()).await;
    let id = |stored: &support::Stored| stored.message_id.parse().unwrap();
    stored.iter().map(id).collect()
}

fn context(client: async_nats::Client) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_is_made_with_limits_and_events_are_where_they_are_looked_for() {
    let server = Nats::start();
    publisher(&server)
        .await
        .publish(&events(2..=3))
        .await
        .unwrap();
    let context = context(async_nats::connect(server.url()).await.unwrap());
    let stream = context.get_stream("SESSION_EVENTS").await.unwrap();
    let made = &stream.cached_info().config;
    assert_eq!(made.subjects, ["session.events.>"]);
    assert_eq!(made.storage, StorageType::File);
    assert_eq!(made.max_age, Duration::from_secs(3_600));
    assert_eq!(made.max_bytes, 64 * 1024 * 1024);
    assert!(made.duplicate_window >= Duration::from_secs(120));
    let stored = stored(&server.url(), &ours()).await;
    let subjects: Vec<_> = stored.iter().map(|one| one.subject.as_str()).collect();
    let expected = [
        "session.events.acme-2.session.updated",
        "session.events._.key.added",
    ];
    assert_eq!(subjects, expected);
    assert!(stored.iter().all(|one| one.event["id"] == one.message_id));
    assert!(
        stored
            .iter()
            .all(|one| one.content_type == "application/cloudevents+json")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_there_stays_as_it_is_if_it_takes_events() {
    let server = Nats::start();
    let context = context(async_nats::connect(server.url()).await.unwrap());
    let theirs = |subjects: &str| Config {
        name: "SESSION_EVENTS".into(),
        subjects: vec![subjects.into()],
        max_age: Duration::from_secs(7_200),
        storage: StorageType::Memory,
        ..Config::default()
    };
    context.create_stream(theirs("other.>")).await.unwrap();
    let publisher = publisher(&server).await;
    let refused = publisher.publish(&events([1])).await.unwrap_err();
    assert!(refused.is_retry(), "somebody may mend it");
    context.update_stream(theirs("session.>")).await.unwrap();
    publisher.publish(&events([1])).await.unwrap();
    let stream = context.get_stream("SESSION_EVENTS").await.unwrap();
    let kept = &stream.cached_info().config;
    assert_eq!(kept.subjects, ["session.>"]);
    assert_eq!(kept.max_age, Duration::from_secs(7_200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_after_an_event_that_was_lost() {
    // The server drops what may not be published, as a connection that breaks drops what was under
    // way: without the publisher's knowledge.
    let server = Nats::start_with(
        r#"authorization { users: [
            { user: lossy, password: pw, permissions: {
                publish: { allow: ">", deny: "session.events.acme-2.session.updated" } } }
            { user: whole, password: pw }
        ] }
        no_auth_user: whole"#,
    );
    let lossy = connect(&config(&server.url_as("lossy", "pw"))).await;
    let whole = publisher(&server).await;
    let batch = events(3..=12);
    let failed = lossy.events(ours()).publish(&batch).await.unwrap_err();
    assert!(failed.is_retry());
    assert_eq!(ids(&server).await, [3, 4, 5], "6 was lost");
    whole.publish(&batch).await.unwrap();
    assert_eq!(ids(&server).await, (3..=12).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_loses_nothing_and_doubles_nothing() {
    let mut server = Nats::start();
    let publisher = publisher(&server).await;
    publisher.publish(&events(1..=5)).await.unwrap();
    server.kill();
    // Until the loss is noticed, what is sent may be lost or late.
    let failed = eventually(async || publisher.publish(&events(6..=9)).await.err()).await;
    assert!(failed.is_retry());
    server.restart();
    eventually(async || publisher.publish(&events(4..=9)).await.ok()).await;
    publisher.publish(&events(10..=12)).await.unwrap();
    assert_eq!(ids(&server).await, (1..=12).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_deleted_is_made_again() {
    let server = Nats::start();
    let publisher = publisher(&server).await;
    publisher.publish(&events(1..=5)).await.unwrap();
    let context = context(async_nats::connect(server.url()).await.unwrap());
    context.delete_stream("SESSION_EVENTS").await.unwrap();
    publisher.publish(&events(6..=20)).await.unwrap();
    assert_eq!(ids(&server).await, (6..=20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_publish_the_same_at_once_leave_each_event_once_and_in_order() {
    let server = Nats::start();
    let (one, other) = (publisher(&server).await, publisher(&server).await);
    // One was held up, and is in the middle of what the other has gone on from.
    let late = async {
        for from in [1, 41, 81] {
            let batch = events(from..from + 40);
            eventually(async || one.publish(&batch).await.ok()).await;
        }
    };
    let leading = async {
        for from in [1, 61, 121] {
            let batch = events(from..from + 60);
            eventually(async || other.publish(&batch).await.ok()).await;
        }
    };
    join(late, leading).await;
    let ids = ids(&server).await;
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    assert_eq!(ids, (1..=180).collect::<Vec<_>>());
}

#[tokio::test]
async fn full_files_make_room_and_there_are_never_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let limits = FileLimits {
        bytes_max: 1_000,
        files_max: 3,
    };
    let file = EventFile::open(&path, limits).unwrap();
    for number in 1..=40 {
        file.publish(&events([number])).await.unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]);
    for name in names {
        assert!(std::fs::metadata(folder.path().join(name)).unwrap().len() <= 1_000);
    }
    let kept = lines(&path);
    let first = kept[0]["id"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(first > 30, "the oldest are gone: {first}");
    assert_eq!(kept, json(&events(first..=40)));
}

#[tokio::test]
async fn a_line_that_was_cut_off_is_taken_away_and_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let limits = FileLimits {
        bytes_max: 1_000_000,
        files_max: 3,
    };
    for cut in [1, 40, 200] {
        let file = EventFile::open(&path, limits).unwrap();
        file.publish(&events(1..=3)).await.unwrap();
        drop(file);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let file = EventFile::open(&path, limits).unwrap();
        assert_eq!(lines(&path), json(&events(1..=2)), "cut by {cut}");
        file.publish(&events(3..=4)).await.unwrap();
        assert_eq!(lines(&path), json(&events(1..=4)));
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_written_is_told_of_and_what_is_in_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let limits = FileLimits {
        bytes_max: 1_000_000,
        files_max: 3,
    };
    assert!(EventFile::open(&folder.path().join("absent/events.jsonl"), limits).is_err());
    assert!(EventFile::open(folder.path(), limits).is_err());
    // Not made of lines, so not ours to shorten.
    let path = folder.path().join("image");
    std::fs::write(&path, vec![b'x'; 2 * 1024 * 1024]).unwrap();
    assert!(EventFile::open(&path, limits).is_err());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 * 1024 * 1024);
    // Linux's disk that is always full.
    let full = EventFile::open("/dev/full".as_ref(), limits).unwrap();
    assert!(full.publish(&events([1])).await.unwrap_err().is_retry());
}
