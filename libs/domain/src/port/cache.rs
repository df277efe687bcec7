use async_trait::async_trait;

use crate::ids::{SessionId, TenantId};
use crate::port::PortError;
use crate::session::Session;

/// Recent readings of sessions, to spare the store a read. A cache only: it MAY forget anything at
/// any time, it MUST NOT return another tenant's session, and it MUST NOT replace a reading by one
/// of a lower version. It never says whether a session lives: a reader checks every hit against
/// the revocation state (see [`crate::usecase::find`]). It SHOULD forget rather than fail or make
/// anybody wait, and MUST NOT be a reason for a process not to serve.
#[async_trait]
pub trait SessionCache: Send + Sync {
    /// The session, if it is remembered.
    async fn get(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Session>, PortError>;

    /// Remembers a reading for a short while.
    async fn put(&self, session: &Session) -> Result<(), PortError>;
}
