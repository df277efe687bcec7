//! List a user's sessions, a page at a time.

use crate::port::{ListQuery, PagePosition, PortError, SessionStore};
use crate::session::Session;

/// At most this many sessions stand on a page.
pub const PAGE_MAX: u32 = 50;

/// How many sessions stand on a page where nobody says.
pub const PAGE_DEFAULT: u32 = 20;

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Newest first.
    pub sessions: Vec<Session>,
    /// Where the next page starts, if there is one.
    pub next: Option<PagePosition>,
}

/// One page of what `query` asks for.
///
/// # Errors
/// Where the store doesn't answer.
pub async fn list(store: &dyn SessionStore, query: ListQuery) -> Result<Page, PortError> {
    let limit = query.limit.clamp(1, PAGE_MAX);
    // One more than asked for tells whether there is a next page, without counting.
    let mut sessions = store
        .list(&ListQuery {
            limit: limit + 1,
            ..query
        })
        .await?;
    let more = sessions.len() > limit as usize;
    sessions.truncate(limit as usize);
    let last = sessions.last().filter(|_| more);
    let next = last.map(|session| PagePosition {
        created_at: session.created_at,
        id: session.id,
    });
    Ok(Page { sessions, next })
}
