//! Connections to private servers.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::time::Duration;

use session_bus::{NatsBus, NatsConfig};
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
