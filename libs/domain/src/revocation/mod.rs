//! Revocation: local answers, global truth.
//!
//! A validator answers from memory while it holds a lease; whoever ends a session waits until
//! every lease holder has acknowledged the end or outlived its lease. Both sides are machines
//! without I/O: they are told what happened and when, and say what to do. `docs/protocol.md` tells
//! the whole story; the drivers are [`crate::usecase::follow`] and [`crate::usecase::fence`].
//!
//! | file | what |
//! |---|---|
//! | `log.rs` | entries, publications, snapshots: what the log says |
//! | `lease.rs` | grants, acknowledgements, checks: what is said about leases |
//! | `status_list.rs` | one bit per serial |
//! | `state.rs` | what every serving thread reads, lock-free |
//! | `follower.rs` | the machine that keeps that state and its lease |
//! | `fences.rs` | the machine that waits for every follower |
//! | `guards.rs` | what makes all this safe, each sentence removable to prove it is needed |

mod fences;
mod follower;
mod guards;
mod lease;
mod log;
mod state;
mod status_list;

pub use fences::{FenceId, Fences, FencesAction};
pub use follower::{Follower, FollowerAction, FollowerConfig};
pub use guards::{AllGuards, Guards};
pub use lease::{
    Acknowledgement, CheckQuery, CheckVerdict, Grant, GrantReply, GrantRequest, Holders, Lease,
};
pub use log::{
    Head, KeySet, ListBits, LogEntry, LogRun, PUBLICATION_SERIALS_MAX, PublicKey, Publication,
    SNAPSHOT_FLOORS_MAX, SNAPSHOT_LISTS_MAX, SerialRange, Snapshot, SnapshotMark,
};
pub use state::{RevocationState, Standing};
pub use status_list::{LIST_BYTES, LIST_SERIALS, StatusList};

use std::time::Duration;

/// How long an unseen pause of a machine may be without breaking the promise (δ).
pub const PAUSE_ALLOWANCE: Duration = Duration::from_secs(1);

/// How far a boot clock may run from true time, in parts per thousand (ε).
pub const CLOCK_ERROR_PER_MILLE: u32 = 1;
