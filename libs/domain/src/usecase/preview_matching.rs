//! See how many sessions a filter means, before ending them.

use std::time::Duration;

use crate::bulk::Filter;
use crate::port::{Clock, MatchQuery, PortError, SessionStore};
use crate::session::Session;

/// How many sessions are looked at at once.
const PAGE: u32 = 1_000;

/// What would be ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// How many sessions are meant, as far as was counted.
    pub count: u64,
    /// Whether that is all of them. Counting stops when its time is over.
    pub is_complete: bool,
    /// Some of them.
    pub sample: Vec<Session>,
}

/// Counts the sessions that `filter` means for at most about `within`, and gives the first few.
///
/// # Errors
/// Where the store doesn't answer.
pub async fn preview_matching(
    store: &dyn SessionStore,
    clock: &dyn Clock,
    filter: Filter,
    sample_max: usize,
    within: Duration,
) -> Result<Preview, PortError> {
    let until = clock.boot().plus(within);
    // Of a whole tenant, and of all, it is known already.
    let known = if filter.is_floor() {
        let stats = store.stats(filter.tenant.as_ref()).await?;
        Some(u64::try_from(stats.active).unwrap_or(0))
    } else {
        None
    };
    let mut preview = Preview {
        count: 0,
        is_complete: false,
        sample: Vec::new(),
    };
    let mut query = MatchQuery {
        filter,
        after: None,
        limit: PAGE,
    };
    loop {
        let page = store.matching(&query).await?;
        preview.count += page.sessions.len() as u64;
        let room = sample_max - preview.sample.len();
        preview.sample.extend(page.sessions.into_iter().take(room));
        preview.is_complete = page.next.is_none();
        query.after = page.next;
        if let Some(count) = known {
            preview.count = count;
            preview.is_complete = true;
        }
        if preview.is_complete || clock.boot() >= until {
            return Ok(preview);
        }
    }
}
