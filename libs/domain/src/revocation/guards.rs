//! The protocol's guards, each of which can be taken away alone, to prove that the tests would
//! notice.
//!
//! A guard is a constant of a type without values, so what production compiles is exactly the
//! guarded code: it names only [`AllGuards`], everywhere by default. The simulator and the model
//! checker (`libs/testkit`) also run mutants, each with one guard gone, and must find every one of
//! them guilty. A safety argument nobody could refute is worth as much as the attempt to.

use std::fmt::Debug;

/// Which guards hold. Every constant is one sentence of the protocol; `false` drops it.
///
/// Those marked *store* and *driver* are obligations of the log's adapter and of the services'
/// drivers; the simulated ones look at these constants just as the machines here do.
pub trait Guards: Debug + Clone + Copy + Default + Send + Sync + 'static {
    /// A decision loads the deadline before it looks at the state, so that what it sees is at
    /// least as new as the lease it answers under.
    const DEADLINE_FIRST: bool = true;
    /// A decision reads the clock last, so that however long its thread was held up, it answers
    /// under a lease that still runs.
    const CLOCK_LAST: bool = true;
    /// A lease is reckoned from when it was asked for, which was before it was granted.
    const RECKONED_FROM_ASKING: bool = true;
    /// A lease counts once everything up to its grant's head is applied, and not before.
    const HEAD_APPLIED: bool = true;
    /// Entries are applied in order, without gaps.
    const GAPLESS_PREFIX: bool = true;
    /// Entries are acknowledged once every serving thread can see them.
    const VISIBLE_BEFORE_ACKNOWLEDGED: bool = true;
    /// A status list joins a snapshot only if it was read after it.
    const LISTS_NO_OLDER_THAN_SNAPSHOT: bool = true;
    /// A holder takes the error of its clock (ε) off its lease.
    const HOLDER_CLOCK_ERROR: bool = true;
    /// What the authority has refused as ended stays refused, whatever lease comes next.
    const REFUSAL_REMEMBERED: bool = true;
    /// Readers compare floors, not just bits.
    const FLOORS_READ: bool = true;

    /// Whoever ends something waits until every holder has acknowledged or outlived it.
    const HOLDERS_AWAITED: bool = true;
    /// Whoever waits a lease out adds the pause allowance (δ): a machine may have stood still
    /// together with its clock.
    const PAUSE_ALLOWED_FOR: bool = true;
    /// Whoever waits a lease out adds the error of its own clock (ε).
    const WAITER_CLOCK_ERROR: bool = true;
    /// An acknowledgement counts with the proof of the lease's secret only.
    const ACKNOWLEDGEMENT_PROVEN: bool = true;
    /// An acknowledgement counts for the epoch it speaks of only.
    const ACKNOWLEDGEMENT_OF_EPOCH: bool = true;
    /// In a new epoch nobody answers before every lease has run out that the histories before may
    /// have granted: some of their rows may be lost.
    const ANSWERS_HELD_IN_NEW_EPOCH: bool = true;
    /// Nothing is taken from, or renewed for, an epoch other than the one followed.
    const EPOCH_COMPARED: bool = true;
    /// Readers take serials for dead that were skipped when an epoch began.
    const SKIPPED_SERIALS_READ: bool = true;

    /// *Store*: a grant reads the head under a lock that excludes every commit of an entry until
    /// the lease's row is there for everybody to see.
    const HEAD_LOCKED_AT_GRANT: bool = true;
    /// *Store*: a renewal is refused that has not applied the head of the grant before.
    const LAGGARDS_REFUSED: bool = true;
    /// *Store*: of several durations granted to one instance the longest is waited for.
    const LONGEST_LEASE_KEPT: bool = true;
    /// *Store*: a lease is released by its counter, so never one that was renewed meanwhile.
    const RELEASED_BY_COUNTER: bool = true;
    /// *Store*: a snapshot's head is read before the rest of it.
    const STAMP_BEFORE_DATA: bool = true;
    /// *Store*: whatever gives a session new credentials compares floors first.
    const FLOORS_COMPARED_BY_WRITERS: bool = true;
    /// *Store*: whoever asks for the end of what has ended is told to wait for that end's number.
    const EARLIER_END_AWAITED: bool = true;
    /// *Store*: what comes after the database changed hands (a failover, a restored backup) begins a
    /// new epoch: some of what was written before may be lost, and its numbers known.
    const NEW_HISTORY_NEW_EPOCH: bool = true;
    /// *Store*: with a new epoch serials go on far beyond all that a lost history may have drawn.
    const SERIALS_SKIPPED: bool = true;
    /// *Store*: whoever asks for entries that are no longer kept is told so.
    const PRUNED_TOLD: bool = true;
    /// *Store*: what a holder asked for before it gave its lease up is not granted afterwards.
    const LATE_GRANTS_REFUSED: bool = true;

    /// *Driver*: leases are measured on the boot clock, which nobody sets.
    const BOOT_CLOCK: bool = true;
}

/// Every guard holds: the only choice of production.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllGuards;

impl Guards for AllGuards {}
