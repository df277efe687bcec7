//! Readings and counters shared by processes, in Redis or Valkey.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | where the server is, and in whose name to connect |
//! | `link.rs` | the connections: bounded in time, given up and taken up again |
//! | `circuit.rs` | whether the server is asked at all |
//! | `failure.rs` | what went wrong, and whom it concerns |
//! | `cache.rs`, `value.rs`, `seal.rs` | readings, and what they look like there |
//! | `limiter.rs` | counters |
//! | `scripts/` | what the server does in one step |

mod cache;
mod circuit;
mod config;
mod failure;
mod limiter;
mod link;
mod seal;
mod value;

pub use cache::RedisCache;
pub use config::{InvalidPrefix, InvalidUrl, KeyPrefix, RedisConfig, RedisUrl};
pub use limiter::RedisLimiter;
pub use link::Redis;
