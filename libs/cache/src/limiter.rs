use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use session_domain::port::{Budget, Clock, PortError, RateLimiter, Spent};
use session_domain::time::BootInstant;

/// Counters in this process's memory: a bounded number, those least spent of are forgotten.
pub struct MemoryLimiter {
    windows: Cache<(&'static str, Box<str>), Window>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    until: BootInstant,
    spent: u32,
}

impl MemoryLimiter {
    /// How many counters are held: a few megabytes, however many addresses somebody has.
    pub const CAPACITY_DEFAULT: usize = 65_536;

    /// Counters of the default number.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            windows: Cache::new(Self::CAPACITY_DEFAULT),
            clock,
        }
    }
}

#[async_trait]
impl RateLimiter for MemoryLimiter {
    async fn spend(&self, budget: &Budget, who: &str) -> Result<Spent, PortError> {
        let now = self.clock.boot();
        let fresh = Window {
            until: now.plus(budget.window),
            spent: 1,
        };
        // Counted under the counter's own lock, so that none of many at once is missed.
        let counted = self
            .windows
            .entry(&(budget.name, who.into()), None, |_, window| {
                *window = if now >= window.until {
                    fresh
                } else {
                    Window {
                        spent: window.spent.saturating_add(1),
                        ..*window
                    }
                };
                EntryAction::Retain(*window)
            });
        let window = match counted {
            EntryResult::Retained(window) => window,
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => {
                // Refused only where the entry was removed meanwhile; forgetting is allowed.
                let _ = guard.insert(fresh);
                fresh
            }
            EntryResult::Removed(..) | EntryResult::Timeout => fresh,
        };
        Ok(match budget.amount.checked_sub(window.spent) {
            Some(left) => Spent::Within { left },
            None => Spent::Over {
                retry_after: window.until.since(now),
            },
        })
    }
}

impl fmt::Debug for MemoryLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whom it counts is nobody else's business.
        f.debug_struct("MemoryLimiter")
            .field("windows", &self.windows.len())
            .finish_non_exhaustive()
    }
}
