//! Adapters of [`session_domain::port::SessionCache`] and [`session_domain::port::RateLimiter`]:
//! [`MemoryCache`] and [`MemoryLimiter`] within one process.
//!
//! A cache makes reading faster and nothing else. It never says whether a session lives, and a
//! process that lost all of it answers the same, a little later. See the port's documentation for
//! what a cache owes, and `session_domain::contract::cache` for the suite each adapter runs.

mod limiter;
mod memory;

pub use limiter::MemoryLimiter;
pub use memory::MemoryCache;
