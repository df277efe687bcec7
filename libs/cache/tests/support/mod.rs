//! Connections to private servers.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use session_cache::{Redis, RedisCache, RedisConfig, RedisLimiter};
use session_domain::contract::sample;
use session_domain::ids::Version;
use session_domain::port::{Clock, PortError, SessionCache};
use session_domain::secret::Secret256;
use session_domain::session::Session;
use session_domain::time::{BootInstant, Timestamp};
use session_runtime::clock::SystemClock;
use session_runtime::telemetry::Metrics;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Where nothing is to be slow, and a busy machine is.
pub const CALM: Duration = Duration::from_secs(5);

/// A configuration for that server, under keys nobody else uses.
pub fn config(url: &str) -> RedisConfig {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    RedisConfig {
        prefix: format!("test-{number}").parse().expect("a prefix"),
        timeout: CALM,
        ..RedisConfig::new(url.parse().expect("a URL"))
    }
}

/// The machine's clock, and by hand some seconds on top of its wall time.
#[derive(Default)]
pub struct Shifted(pub AtomicI64);

impl Clock for Shifted {
    fn wall(&self) -> Timestamp {
        let shift = self.0.load(Ordering::Relaxed);
        Timestamp(SystemClock.wall().0 + shift * 1_000_000)
    }

    fn boot(&self) -> BootInstant {
        SystemClock.boot()
    }
}

/// What one process has.
pub struct Process {
    pub redis: Arc<Redis>,
    pub cache: RedisCache,
    pub limiter: RedisLimiter,
    pub clock: Arc<Shifted>,
    pub metrics: Metrics,
}

pub const KEY: Secret256 = Secret256([7; 32]);

impl Process {
    pub async fn try_start(config: &RedisConfig) -> Result<Self, PortError> {
        let metrics = Metrics::new("test", "0").expect("metrics");
        let meter = metrics.meter("session-cache");
        let redis = Arc::new(Redis::connect(config, &KEY, &meter).await?);
        let clock = Arc::new(Shifted::default());
        Ok(Self {
            cache: RedisCache::new(Arc::clone(&redis), Arc::clone(&clock) as _, &meter),
            limiter: RedisLimiter::new(Arc::clone(&redis), Arc::clone(&clock) as _, &meter),
            redis,
            clock,
            metrics,
        })
    }

    pub async fn start(config: &RedisConfig) -> Self {
        Self::try_start(config).await.expect("a good configuration")
    }

    /// The number of that counter, where its labels contain that.
    pub fn count(&self, counter: &str, label: &str) -> u64 {
        let text = self.metrics.render().expect("metrics");
        let line = text
            .lines()
            .find(|line| line.starts_with(counter) && line.contains(label));
        let number = line.and_then(|line| line.rsplit(' ').next());
        number.map_or(0, |number| number.parse().expect("a whole number"))
    }

    pub async fn get(&self, session: &Session) -> Option<Session> {
        let found = self.cache.get(&session.tenant, session.id).await;
        found.expect("a cache never fails")
    }

    pub async fn put(&self, session: &Session) {
        self.cache.put(session).await.expect("a cache never fails");
    }

    pub async fn eventually_available(&self, wanted: bool) {
        eventually(async || (self.redis.is_available() == wanted).then_some(())).await;
    }
}

pub fn reading(number: u128, version: u64) -> Session {
    Session {
        id: sample::session_id(number),
        version: Version(version),
        ..sample::session()
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

/// How long it took.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = SystemClock.boot();
    let result = work.await;
    (result, SystemClock.boot().since(begun))
}
