//! Adapters of [`session_domain::port::Bus`]: [`InProcessBus`] for one process, [`NatsBus`] for
//! many.
//!
//! What a bus owes is small, because nothing in the protocol depends on a message arriving; see
//! the port's documentation, and `session_domain::contract::bus` for the suite each adapter runs.

mod in_process;
mod nats;

pub use in_process::InProcessBus;
pub use nats::{InvalidPrefix, InvalidServers, NatsBus, NatsConfig, NatsServers, SubjectPrefix};
