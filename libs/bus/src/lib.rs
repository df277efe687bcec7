//! Adapters of [`session_domain::port::Bus`]: [`InProcessBus`] for one process, [`NatsBus`] for
//! many.
//!
//! And of [`session_domain::port::EventPublisher`], by which other systems hear what happened:
//! [`NatsEvents`] for those on `JetStream`, [`EventFile`] for those who read files.
//!
//! What a bus owes is small, because nothing in the protocol depends on a message arriving; see
//! the port's documentation, and `session_domain::contract::bus` for the suite each adapter runs.

mod file;
mod in_process;
mod nats;

pub use file::{EventFile, FileLimits};
pub use in_process::InProcessBus;
pub use nats::{
    EventStream, InvalidPrefix, InvalidServers, InvalidStreamName, NatsBus, NatsConfig, NatsEvents,
    NatsServers, StreamName, SubjectPrefix,
};
