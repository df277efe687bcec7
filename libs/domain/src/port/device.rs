use std::net::IpAddr;

use crate::device::{Agent, Place};
use crate::ids::TenantId;

/// Reads user agent strings. MUST return something sensible for any text, the empty one included.
pub trait AgentReader: Send + Sync {
    /// What this user agent is.
    fn read(&self, user_agent: &str) -> Agent;
}

/// Knows where addresses are. An address it doesn't know is an empty [`Place`], never an error:
/// a missing database must not stop a login.
pub trait Locator: Send + Sync {
    /// Where `ip` is believed to be.
    fn locate(&self, ip: IpAddr) -> Place;
}

/// Turns what a login system recognises a device by into something that may be kept. MUST be keyed
/// with a secret outside the store, and MUST give different tenants different hashes.
pub trait Fingerprints: Send + Sync {
    /// The hash of `fingerprint` within `tenant`, as 64 hexadecimal digits.
    fn hash(&self, tenant: &TenantId, fingerprint: &str) -> String;
}
