//! The validator's decision core: `session-validator` answers gateways with it, and any Rust
//! service can answer for itself, without a gateway and without asking anybody on each request.
//!
//! A [`Validator`] knows what has ended because it follows the revocation log, and answers from
//! memory for as long as it holds a lease (`docs/revocation.md`). Nothing that has been ended
//! before a request began is let through: the promise is the same as a gateway's.
//!
//! | file | what |
//! |---|---|
//! | `validator.rs` | the decision |
//! | `remembered.rs` | good tokens, so that each is verified once |
//! | `policy.rs` | what a session must be, by name |
//! | `credential.rs` | the one credential of a request |
//! | `demand.rs` | what a request demands besides |
//! | `denial.rs`, `identity.rs` | how a no and a yes are said |
//! | `follow.rs` | how it knows |
//! | `connect.rs` | ready-made, over NATS (feature `nats`) |
//! | `for_poem.rs`, `for_tower.rs` | middleware (features `poem`, `tower`) |
//!
//! `examples/guarded.rs` is a whole service.

#[cfg(feature = "nats")]
mod connect;
mod credential;
mod demand;
mod denial;
mod follow;
#[cfg(feature = "poem")]
mod for_poem;
#[cfg(feature = "tower")]
mod for_tower;
pub mod identity;
mod policy;
mod remembered;
mod validator;

#[cfg(feature = "nats")]
pub use connect::{Connection, LifeMax, Link, NatsConfig, connect};
pub use demand::{is_acr, is_scope};
pub use denial::{Answer, Denial, StepUp};
pub use follow::Following;
#[cfg(feature = "poem")]
pub use for_poem::SessionGuard;
#[cfg(feature = "tower")]
pub use for_tower::{SessionLayer, SessionService};
pub use identity::Identity;
pub use policy::{DEFAULT, FailureStatus, Policies, Policy};
pub use session_domain::token::{Claims, Refusal};
pub use validator::{Config, Decision, Ports, Question, Validator};
