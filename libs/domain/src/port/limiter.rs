use std::time::Duration;

use async_trait::async_trait;

use crate::port::PortError;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What is limited: budgets of different names don't touch each other.
    pub name: &'static str,
    /// How often it may happen in one window.
    pub amount: u32,
    /// How long a window is, from the first time it happens.
    pub window: Duration,
}

/// What came of spending one of a [`Budget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It was within the budget; so many are left.
    Within {
        /// How many.
        left: u32,
    },
    /// It was not; there will be a new budget after this long.
    Over {
        /// How long.
        retry_after: Duration,
    },
}

/// Counts what may happen only so often. A counter only: it MAY forget at any time, which lets
/// more through, and whoever can't reach it goes on without. Different `who` MUST NOT touch each
/// other; parallel calls MUST each count.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Spends one of `who`'s budget.
    async fn spend(&self, budget: &Budget, who: &str) -> Result<Spent, PortError>;
}
