use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use redis::Script;
use session_domain::ids::{SessionId, TenantId, Version};
use session_domain::port::{Clock, PortError, SessionCache};
use session_domain::session::Session;
use session_domain::time::BootInstant;

use super::link::{Link, Redis};
use super::value::{VALUE_MAX, decode, encode};
use crate::MemoryCache;

static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/put.lua")));

/// Readings shared by all processes. It never fails: what can't be had from the server, or isn't
/// what one of ours put there, is not remembered.
pub struct RedisCache {
    link: Arc<Link>,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    /// The newest version this process has put of late, and until when that matters: a server that
    /// missed it, or was set back, must not take this process back behind its own changes.
    newest: Cache<(TenantId, SessionId), (Version, BootInstant)>,
    reads: Counter<u64>,
    writes: Counter<u64>,
    /// Held, for it looks after the link.
    redis: Arc<Redis>,
}

impl RedisCache {
    /// Readings there, each for as long as [`MemoryCache`] holds one. What came of looking and of
    /// remembering is counted in `session.cache.reads` and `session.cache.writes` of `meter`.
    pub fn new(redis: Arc<Redis>, clock: Arc<dyn Clock>, meter: &Meter) -> Self {
        Self {
            link: redis.link(),
            clock,
            lifetime: MemoryCache::LIFETIME_DEFAULT,
            newest: Cache::new(MemoryCache::CAPACITY_DEFAULT),
            reads: meter
                .u64_counter("session.cache.reads")
                .with_description("Readings looked for, by what came of it")
                .build(),
            writes: meter
                .u64_counter("session.cache.writes")
                .with_description("Readings to remember, by what came of it")
                .build(),
            redis,
        }
    }

    fn key(&self, tenant: &TenantId, id: SessionId) -> String {
        self.link.key("session", format_args!("{tenant}:{id}"))
    }

    /// The reading, and the word for what came of looking for it.
    async fn look(&self, tenant: &TenantId, id: SessionId) -> (Option<Session>, &'static str) {
        let key = self.key(tenant, id);
        // One byte more than any of ours, and not all of whatever is there.
        let mut command = redis::cmd("GETRANGE");
        command.arg(&key).arg(0).arg(VALUE_MAX);
        let value: Vec<u8> = match self.link.call(&command).await {
            Ok(value) => value,
            Err(failure) => return (None, failure.label()),
        };
        if value.is_empty() {
            return (None, "miss");
        }
        let when = (self.clock.wall(), self.lifetime);
        match decode(&self.link.seal, &key, &value, (tenant, id), when) {
            Ok(session) if self.is_outdated(&session) => (None, "outdated"),
            Ok(session) => (Some(session), "hit"),
            Err(unusable) => (None, unusable.label()),
        }
    }

    /// Whether this process has put a newer one.
    fn is_outdated(&self, session: &Session) -> bool {
        let newest = self.newest.get(&(session.tenant.clone(), session.id));
        newest
            .is_some_and(|(version, until)| session.version < version && self.clock.boot() < until)
    }

    /// Notes that this process has put that one.
    fn note(&self, session: &Session) {
        let key = (session.tenant.clone(), session.id);
        let now = self.clock.boot();
        let fresh = (session.version, now.plus(self.lifetime));
        let noted = self.newest.entry(&key, None, |_, noted| {
            let (version, until) = *noted;
            if version <= session.version || until <= now {
                *noted = fresh;
            }
            EntryAction::Retain(())
        });
        match noted {
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => {
                // Refused only where the entry was removed meanwhile; forgetting is allowed.
                let _ = guard.insert(fresh);
            }
            EntryResult::Retained(()) | EntryResult::Removed(..) | EntryResult::Timeout => {}
        }
    }

    /// The word for what came of remembering.
    async fn remember(&self, session: &Session) -> &'static str {
        let key = self.key(&session.tenant, session.id);
        let value = match encode(&self.link.seal, &key, session, self.clock.wall()) {
            Ok(value) => value,
            Err(unusable) => return unusable.label(),
        };
        let lifetime = self.lifetime.as_millis().to_string();
        let arguments: [&[u8]; 2] = [&value, lifetime.as_bytes()];
        match self.link.run(&PUT, &key, &arguments).await {
            Ok(0_u8) => "outdated",
            Ok(_) => "stored",
            Err(failure) => failure.label(),
        }
    }
}

#[async_trait]
impl SessionCache for RedisCache {
    async fn get(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Session>, PortError> {
        let (found, outcome) = self.look(tenant, id).await;
        self.reads.add(1, &[KeyValue::new("outcome", outcome)]);
        Ok(found)
    }

    async fn put(&self, session: &Session) -> Result<(), PortError> {
        self.note(session);
        let outcome = self.remember(session).await;
        self.writes.add(1, &[KeyValue::new("outcome", outcome)]);
        Ok(())
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it holds is people's data.
        f.debug_struct("RedisCache")
            .field("redis", &self.redis)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
