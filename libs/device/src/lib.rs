//! What is known of a device and of where it is. Descriptive only: nothing here decides whether a
//! session lives, and nothing here can fail a login.
//!
//! - [`UserAgents`] reads user agent strings into names people recognise.
//! - [`GeoLocator`] looks addresses up in the operator's own databases, if there are any.
//! - [`FingerprintHasher`] turns fingerprints into something that may be kept.

mod agent;
mod fingerprint;
mod geo;

pub use agent::{DESKTOP_LABEL, DESKTOP_PATTERNS, UserAgents};
pub use fingerprint::FingerprintHasher;
pub use geo::GeoLocator;
