//! What every [`RateLimiter`] does, as long as it doesn't forget.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::port::{Budget, RateLimiter, Spent};

suite!(($) Arc<dyn RateLimiter>, limiter, rate_limiter_contract:
    a_budget_is_spent_once,
    nobody_spends_anothers_budget,
    of_many_at_once_exactly_the_budget_is_within,
);

const BUDGET: Budget = Budget {
    name: "test",
    amount: 3,
    window: Duration::from_secs(60),
};

async fn within(limiter: &Arc<dyn RateLimiter>, budget: &Budget, who: &str) -> bool {
    matches!(limiter.spend(budget, who).await, Ok(Spent::Within { .. }))
}

/// So often and no more; and it is said how many are left, and for how long there are none.
pub async fn a_budget_is_spent_once(limiter: Arc<dyn RateLimiter>) {
    for left in [2, 1, 0] {
        let spent = limiter.spend(&BUDGET, "a").await.expect("an answer");
        assert_eq!(spent, Spent::Within { left });
    }
    match limiter.spend(&BUDGET, "a").await.expect("an answer") {
        Spent::Over { retry_after } => assert!(retry_after <= BUDGET.window, "{retry_after:?}"),
        within @ Spent::Within { .. } => panic!("{within:?}"),
    }
}

/// Neither under another name nor in another budget.
pub async fn nobody_spends_anothers_budget(limiter: Arc<dyn RateLimiter>) {
    let other = Budget {
        name: "other",
        ..BUDGET
    };
    for _ in 0..4 {
        within(&limiter, &BUDGET, "a").await;
    }
    assert!(!within(&limiter, &BUDGET, "a").await);
    assert!(within(&limiter, &BUDGET, "b").await);
    assert!(within(&limiter, &other, "a").await);
}

/// Parallel calls each count.
pub async fn of_many_at_once_exactly_the_budget_is_within(limiter: Arc<dyn RateLimiter>) {
    let spent = join_all((0..100).map(|_| within(&limiter, &BUDGET, "a"))).await;
    assert_eq!(spent.into_iter().filter(|&within| within).count(), 3);
}
