//! Adapters of [`session_domain::port::Bus`]: [`InProcessBus`] for one process.
//!
//! What a bus owes is small, because nothing in the protocol depends on a message arriving; see
//! the port's documentation, and `session_domain::contract::bus` for the suite each adapter runs.

mod in_process;

pub use in_process::InProcessBus;
