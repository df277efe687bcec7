//! What every [`RateLimiter`] does, as long as it doesn't forget.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::port::{Budget, RateLimiter, Spent};

suite!(($) Arc<dyn RateLimiter>, limiter, rate_limiter_contract:
    a_budget_is_spent_once,
    nobody_spends_anothers_budget,
    whoever_is_counted_may_be_called_anything,
    of_many_at_once_exactly_the_budget_is_within,
    many_people_at_once_each_have_their_own,
    an_over_long_budget_is_no_error,
    the_next_window_is_a_new_one,
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

/// Names that look like one another, or like parts of a key, are different people.
pub async fn whoever_is_counted_may_be_called_anything(limiter: Arc<dyn RateLimiter>) {
    let once = Budget {
        amount: 1,
        ..BUDGET
    };
    let long = "x".repeat(100_000);
    for who in [
        "",
        "a",
        "a:b",
        "a:",
        ":a",
        "2001:db8::1",
        "*",
        "{a}",
        "a b\r\n",
        "\0",
        "ä",
        &long,
    ] {
        assert!(within(&limiter, &once, who).await, "{who:.20}");
        assert!(!within(&limiter, &once, who).await, "{who:.20}");
    }
}

/// Parallel calls of many each count for whom they are.
pub async fn many_people_at_once_each_have_their_own(limiter: Arc<dyn RateLimiter>) {
    let spent = (0..200).map(|number| {
        let limiter = Arc::clone(&limiter);
        async move { within(&limiter, &BUDGET, &(number % 40).to_string()).await }
    });
    let spent = join_all(spent).await;
    assert_eq!(spent.into_iter().filter(|&within| within).count(), 40 * 3);
}

/// Windows and amounts may be as long and large as they can be written, and as small.
pub async fn an_over_long_budget_is_no_error(limiter: Arc<dyn RateLimiter>) {
    let endless = Budget {
        name: "endless",
        amount: u32::MAX,
        window: Duration::MAX,
    };
    let none = Budget {
        name: "none",
        amount: 0,
        ..BUDGET
    };
    assert!(within(&limiter, &endless, "a").await);
    assert!(within(&limiter, &endless, "a").await);
    assert!(!within(&limiter, &none, "a").await);
}

/// Once the window is over, whoever was refused is let through, for as often as before. The
/// limiter's time has to go by for this.
pub async fn the_next_window_is_a_new_one(limiter: Arc<dyn RateLimiter>) {
    let brief = Budget {
        name: "brief",
        amount: 1,
        window: Duration::from_millis(20),
    };
    // Twice: the window that begins with a refusal's end is one like the first.
    for refused in [true, false, true, false] {
        let mut tries = 0..100_000;
        while within(&limiter, &brief, "a").await == refused {
            assert!(tries.next().is_some(), "refused: {refused}");
        }
    }
}

/// Parallel calls each count.
pub async fn of_many_at_once_exactly_the_budget_is_within(limiter: Arc<dyn RateLimiter>) {
    let spent = join_all((0..100).map(|_| within(&limiter, &BUDGET, "a"))).await;
    assert_eq!(spent.into_iter().filter(|&within| within).count(), 3);
}
