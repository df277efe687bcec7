//! Connections to private servers.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use session_bus::{EventStream, NatsBus, NatsConfig, StreamName, SubjectPrefix};
use session_domain::ids::{LogEpoch, Seq, Serial};
use session_domain::revocation::{LogEntry, Publication};
use session_runtime::telemetry::Metrics;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn config(url: &str) -> NatsConfig {
    NatsConfig::new(url.parse().expect("a URL"), "test")
}

pub async fn connect(config: &NatsConfig) -> NatsBus {
    counted(config).await.0
}

/// A bus, and what it counts.
pub async fn counted(config: &NatsConfig) -> (NatsBus, Metrics) {
    let metrics = Metrics::new("test", "0").expect("metrics");
    let bus = NatsBus::connect(config, &metrics.meter("bus")).await;
    (bus.expect("a connection"), metrics)
}

/// The stream for a deployment of that prefix.
pub fn stream(prefix: &SubjectPrefix) -> EventStream {
    EventStream {
        name: StreamName::of(prefix),
        max_age: Duration::from_secs(3_600),
        max_bytes: 64 * 1024 * 1024,
        replicas: 1,
    }
}

/// A message in a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    pub subject: String,
    pub message_id: String,
    pub content_type: String,
    pub event: Value,
}

/// All that is in a stream, in its order; nothing where there is no stream.
pub async fn stored(url: &str, stream: &EventStream) -> Vec<Stored> {
    let client = async_nats::connect(url).await.expect("a server");
    let context = async_nats::jetstream::new(client);
    let Ok(stream) = context.get_stream(stream.name.to_string()).await else {
        return Vec::new();
    };
    let state = stream.cached_info().state.clone();
    if state.messages == 0 {
        return Vec::new();
    }
    let mut all = Vec::new();
    for number in state.first_sequence..=state.last_sequence {
        let message = stream.get_raw_message(number).await.expect("a message");
        let header = |name: &str| {
            let value = message.headers.get(name);
            value.expect("the header").as_str().to_owned()
        };
        all.push(Stored {
            subject: message.subject.to_string(),
            message_id: header("Nats-Msg-Id"),
            content_type: header("content-type"),
            event: serde_json::from_slice(&message.payload).expect("JSON"),
        });
    }
    all
}

/// The events in a file and those it has taken the place of, the oldest first.
pub fn lines(path: &Path) -> Vec<Value> {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let found = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let mut files: Vec<(u32, PathBuf)> = found
        .filter_map(|file| {
            let file = file.unwrap().path();
            let rest = file.file_name()?.to_str()?.strip_prefix(&name)?.to_owned();
            let number = rest.strip_prefix('.').map_or(0, |n| n.parse().unwrap());
            Some((number, file))
        })
        .collect();
    files.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let mut all = Vec::new();
    for (_, file) in files {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "whole lines");
        all.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
    }
    all
}

pub fn publication(number: u64) -> Publication {
    Publication {
        epoch: LogEpoch(1),
        after: Seq(number),
        entries: vec![LogEntry::Ended(vec![Serial(number)])],
    }
}

/// Repeats `attempt` until it gives something.
pub async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(result) = attempt().await {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trying)
        .await
        .expect("it happens in time")
}
