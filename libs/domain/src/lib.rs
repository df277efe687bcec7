//! The session service's domain: what a session is, what may happen to it, how its end reaches
//! everybody, and what all that needs from the world.
//!
//! Pure: no I/O, no async runtime, no clock and no randomness of its own. Read it in this order:
//!
//! 1. [`session`]: the entity and its legal moves.
//! 2. [`usecase`]: what users of the product do, one file each.
//! 3. [`port`]: what those need from the world.
//! 4. [`revocation`]: the protocol that makes an end true everywhere at once.

pub mod bulk;
pub mod cloud_event;
pub mod device;
pub mod event;
pub mod ids;
pub mod known_device;
pub mod policy;
pub mod port;
pub mod revocation;
pub mod secret;
pub mod service_key;
pub mod session;
pub mod stats;
pub mod time;
pub mod token;
pub mod usecase;

#[cfg(any(test, feature = "contract"))]
pub mod contract;
