use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use session_domain::ids::{SessionId, TenantId};
use session_domain::port::{Clock, PortError, SessionCache};
use session_domain::session::Session;
use session_domain::time::BootInstant;

/// A session never lives under its id alone: ids of different tenants may be equal.
type Key = (TenantId, SessionId);

/// A cache in this process's memory. It holds a bounded number of readings, each for a short
/// while, and forgets those least asked for.
pub struct MemoryCache {
    readings: Cache<Key, Reading>,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
}

/// A reading, and when it is too old to be shown.
#[derive(Clone)]
struct Reading {
    // Shared, so that taking it out under the cache's lock copies a pointer and not a session.
    session: Arc<Session>,
    until: BootInstant,
}

impl MemoryCache {
    /// How many readings are held: at an ordinary kilobyte each, 16 MB.
    pub const CAPACITY_DEFAULT: usize = 16_384;

    /// How long a reading is held. What changes a session without its version being read again
    /// (its last activity) may look this old.
    pub const LIFETIME_DEFAULT: Duration = Duration::from_secs(30);

    /// A cache of the default size and lifetime.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, Self::CAPACITY_DEFAULT, Self::LIFETIME_DEFAULT)
    }

    /// A cache that holds at most `capacity` readings, each for `lifetime`.
    pub fn with(clock: Arc<dyn Clock>, capacity: usize, lifetime: Duration) -> Self {
        Self {
            readings: Cache::new(capacity),
            clock,
            lifetime,
        }
    }

    /// Replaces a reading unless the one held is newer. Looking and replacing are one step:
    /// between two, a newer reading could come and be lost.
    fn remember(&self, key: &Key, reading: Reading) {
        let version = reading.session.version;
        let kept = self.readings.entry(key, None, |_, held| {
            if held.session.version <= version {
                *held = reading.clone();
            }
            EntryAction::Retain(())
        });
        match kept {
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => {
                // Refused only where the entry was removed meanwhile; forgetting is allowed.
                let _ = guard.insert(reading);
            }
            EntryResult::Retained(()) | EntryResult::Removed(..) | EntryResult::Timeout => {}
        }
    }
}

#[async_trait]
impl SessionCache for MemoryCache {
    async fn get(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Session>, PortError> {
        let reading = self.readings.get(&(tenant.clone(), id));
        let fresh = reading.filter(|reading| self.clock.boot() < reading.until);
        Ok(fresh.map(|reading| Session::clone(&reading.session)))
    }

    async fn put(&self, session: &Session) -> Result<(), PortError> {
        let key = (session.tenant.clone(), session.id);
        let reading = Reading {
            session: Arc::new(session.clone()),
            until: self.clock.boot().plus(self.lifetime),
        };
        self.remember(&key, reading);
        Ok(())
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it holds is people's data.
        f.debug_struct("MemoryCache")
            .field("readings", &self.readings.len())
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
