//! What the domain wants from the world, named by the wish and not by the technology.
//!
//! Ports that wait for somebody are async; the ones a warm decision passes through are plain
//! calls. All are object-safe. Each states its obligations; the suites in `crate::contract`
//! hold every adapter to them.
//!
//! To add a port: one file here with its trait and the types only it needs; a suite in
//! `contract/`; an adapter crate that runs the suite; a field in the service's `Ports`.

mod bus;
mod change;
mod clock;
mod device;
mod entropy;
mod error;
mod events;
mod fence;
mod limiter;
mod log;
mod store;
mod token;

pub use bus::{Bus, BusReply, BusRequest, Incoming};
pub use cache::SessionCache;
pub use change::{
    AddServiceKey, AddSigningKey, BeginRevocation, BegunRevocation, Change, ChangeDevice,
    ContinueOutcome, ContinueRevocation, ContinuedRevocation, DeviceOutcome, End, EndOutcome,
    Eviction, Extend, ExtendOutcome, ForgetDevice, ForgetOutcome, Heard, Idempotency, Judged,
    KeyOutcome, Outcome, Purge, PurgeOutcome, Purgeable, RetireOutcome, RetireSigningKey,
    RevokeServiceKey, RevokeServiceKeyOutcome, Rotate, RotateOutcome, Seen, ServiceKey,
    ServiceKeyOutcome, SessionLimit, Start, StartOutcome, StepUp, StepUpOutcome, SteppedUp,
    StoredSigningKey, Targets, Touch, TouchOutcome, Transition, Update, UpdateOutcome, Why,
};
pub use clock::{Clock, Timer};
pub use device::{AgentReader, Fingerprints, Locator};
pub use entropy::Entropy;
pub use error::PortError;
pub use events::{EventOutbox, EventPublisher, StoredEvent};
pub use fence::Fence;
pub use limiter::{Budget, RateLimiter, Spent};
pub use log::RevocationLog;
pub use store::{
    DevicePosition, DeviceQuery, ListQuery, MatchPage, MatchPosition, MatchQuery, PagePosition,
    SessionStore,
};
pub use token::{KeyRing, RefreshClaim, RefreshTokens, TokenSigner, TokenVerifier};

mod cache;
