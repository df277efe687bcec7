//! Adapters of [`session_domain::port::SessionCache`] and [`session_domain::port::RateLimiter`]:
//! [`MemoryCache`] and [`MemoryLimiter`] within one process, [`RedisCache`] and [`RedisLimiter`]
//! shared by several.
//!
//! A cache makes reading faster and nothing else. It never says whether a session lives, and a
//! process that lost all of it answers the same, a little later. See the port's documentation for
//! what a cache owes, and `session_domain::contract::cache` for the suite each adapter runs.

mod limiter;
mod memory;
mod redis;

use std::sync::Arc;

use opentelemetry::metrics::Meter;
use session_domain::port::{Clock, PortError, RateLimiter, SessionCache};
use session_domain::secret::Secret256;

pub use self::redis::{
    InvalidPrefix, InvalidUrl, KeyPrefix, Redis, RedisCache, RedisConfig, RedisLimiter, RedisUrl,
};
pub use limiter::MemoryLimiter;
pub use memory::MemoryCache;

/// What the key of [`open`] is derived for.
pub const KEY_CONTEXT: &str = "session-service 2026 shared cache";

/// The cache and the limiter of a process: shared through Redis where it is configured, otherwise
/// its own. See [`Redis::connect`] for `key` and `meter`.
///
/// # Errors
/// Those of [`Redis::connect`].
pub async fn open(
    config: Option<&RedisConfig>,
    key: &Secret256,
    clock: Arc<dyn Clock>,
    meter: &Meter,
) -> Result<(Arc<dyn SessionCache>, Arc<dyn RateLimiter>), PortError> {
    let Some(config) = config else {
        let cache = MemoryCache::new(Arc::clone(&clock));
        return Ok((Arc::new(cache), Arc::new(MemoryLimiter::new(clock))));
    };
    let redis = Arc::new(Redis::connect(config, key, meter).await?);
    let cache = RedisCache::new(Arc::clone(&redis), Arc::clone(&clock), meter);
    let limiter = RedisLimiter::new(redis, clock, meter);
    Ok((Arc::new(cache), Arc::new(limiter)))
}
