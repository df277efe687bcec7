//! What tells two fences apart, for whoever explores what might happen next.

use std::hash::{Hash, Hasher};

use super::Fences;
use crate::revocation::Lease;

/// Two with the same hash behave the same from now on.
impl<G> Hash for Fences<G> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.last.hash(hasher);
        for (id, wait) in &self.waits {
            (id, wait.through, wait.held_until, wait.resend_at).hash(hasher);
            for (lease, over) in &wait.leases {
                hash_lease(lease, hasher);
                over.hash(hasher);
            }
        }
        for (epoch, hold) in &self.holds {
            (epoch, hold.until, hold.told).hash(hasher);
        }
        for (instance, sighting) in &self.sightings {
            (instance, sighting.counter, sighting.since, sighting.over).hash(hasher);
        }
    }
}

fn hash_lease<H: Hasher>(lease: &Lease, hasher: &mut H) {
    let Lease {
        instance,
        counter,
        applied,
        duration,
        secret,
    } = lease;
    (instance, counter, applied, duration, secret.0).hash(hasher);
}
