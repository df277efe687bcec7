use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::metrics::{Counter, Meter};
use redis::RedisError;
use redis::Script;
use redis::aio::MultiplexedConnection;
use session_domain::port::{Budget, Clock, PortError, RateLimiter, Spent};

use super::link::{Link, Redis};
use crate::MemoryLimiter;

static SPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/spend.lua")));

/// How long what a probe counts is remembered.
const PROBE_WINDOW_MS: u64 = 1_000;

/// Counters shared by all processes, by the server's time. While the server is away each process
/// counts alone; it does so all the time, so that what it saw itself isn't forgotten then.
pub struct RedisLimiter {
    link: Arc<Link>,
    alone: MemoryLimiter,
    fallbacks: Counter<u64>,
    /// Held, for it looks after the link.
    redis: Arc<Redis>,
}

impl RedisLimiter {
    /// Counters there. How often one was answered from this process's own is counted in
    /// `session.limiter.fallbacks` of `meter`.
    pub fn new(redis: Arc<Redis>, clock: Arc<dyn Clock>, meter: &Meter) -> Self {
        Self {
            link: redis.link(),
            alone: MemoryLimiter::new(clock),
            fallbacks: meter
                .u64_counter("session.limiter.fallbacks")
                .with_description("Limits counted by this process alone, for want of Redis")
                .build(),
            redis,
        }
    }
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    async fn spend(&self, budget: &Budget, who: &str) -> Result<Spent, PortError> {
        let alone = self.alone.spend(budget, who).await?;
        let name = self.link.seal.name(budget.name, who);
        let key = self
            .link
            .key("limit", format_args!("{}:{name}", budget.name));
        let window = milliseconds(budget.window).to_string();
        let counted = self.link.run(&SPEND, &key, &[window.as_bytes()]).await;
        let Ok((spent, left_ms)) = counted else {
            self.fallbacks.add(1, &[]);
            return Ok(alone);
        };
        Ok(judge(budget, spent, left_ms))
    }
}

fn judge(budget: &Budget, spent: u64, left_ms: u64) -> Spent {
    match u64::from(budget.amount).checked_sub(spent) {
        // Fewer than an amount that is a u32.
        Some(left) => Spent::Within {
            left: u32::try_from(left).unwrap_or(u32::MAX),
        },
        None => Spent::Over {
            retry_after: Duration::from_millis(left_ms).min(budget.window),
        },
    }
}

/// At least one: the server knows no shorter window.
fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis())
        .unwrap_or(u64::MAX >> 16)
        .max(1)
}

/// Counts one under `key` as the limiter does, on that connection.
pub(super) async fn spend_once(
    connection: &mut MultiplexedConnection,
    key: &str,
) -> Result<(), RedisError> {
    let mut spend = SPEND.key(key);
    let _: (u64, u64) = spend.arg(PROBE_WINDOW_MS).invoke_async(connection).await?;
    Ok(())
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter")
            .field("redis", &self.redis)
            .field("alone", &self.alone)
            .finish_non_exhaustive()
    }
}
