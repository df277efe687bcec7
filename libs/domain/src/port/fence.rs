use async_trait::async_trait;

use crate::ids::Seq;
use crate::port::PortError;
use crate::revocation::Publication;

/// The wait between "it is committed" and "nobody accepts it any more".
#[async_trait]
pub trait Fence: Send + Sync {
    /// Returns once no validator anywhere can answer from a state before log entry `through`:
    /// every lease holder has acknowledged it, released its lease, or outlived it.
    ///
    /// `fresh` is what the caller has just committed; it is published at once. MUST NOT return
    /// success on any doubt. Called after the commit of `through` returned.
    async fn wait(&self, through: Seq, fresh: Option<Publication>) -> Result<(), PortError>;

    /// Publishes what the caller has just committed without waiting, for ends nobody was
    /// promised: expiry, eviction, theft.
    async fn announce(&self, fresh: Publication);
}
