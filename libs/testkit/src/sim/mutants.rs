//! The protocol with one guard gone, for each guard.

use session_domain::revocation::Guards;

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident: $guard:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $name;

        impl Guards for $name {
            const $guard: bool = false;
        }
    )*};
}

mutants! {
    /// The deadline is loaded after the look-up.
    DeadlineLate: DEADLINE_FIRST,
    /// The clock is read before the look-up.
    ClockEarly: CLOCK_LAST,
    /// A lease is reckoned from when the grant arrived.
    ReckonedFromArrival: RECKONED_FROM_ASKING,
    /// A lease counts before the head of its grant is applied.
    HeadNotApplied: HEAD_APPLIED,
    /// Entries are applied as they come.
    WithGaps: GAPLESS_PREFIX,
    /// Entries are acknowledged on arrival.
    AcknowledgedUnseen: VISIBLE_BEFORE_ACKNOWLEDGED,
    /// Lists read before the snapshot are taken for its own.
    OlderLists: LISTS_NO_OLDER_THAN_SNAPSHOT,
    /// Holders trust their clocks.
    HolderTrustsClock: HOLDER_CLOCK_ERROR,
    /// What the authority said of one request is forgotten with the next.
    RefusalForgotten: REFUSAL_REMEMBERED,
    /// Readers look at bits only.
    FloorsUnread: FLOORS_READ,
    /// Nobody is waited for.
    NobodyAwaited: HOLDERS_AWAITED,
    /// Machines never stand still.
    NoPauses: PAUSE_ALLOWED_FOR,
    /// Waiters trust their clocks.
    WaiterTrustsClock: WAITER_CLOCK_ERROR,
    /// Anybody may acknowledge for anybody.
    UnprovenAcknowledgements: ACKNOWLEDGEMENT_PROVEN,
    /// An acknowledgement counts for every epoch.
    AnyEpoch: ACKNOWLEDGEMENT_OF_EPOCH,
    /// A grant reads the head and writes its row later.
    HeadNotLocked: HEAD_LOCKED_AT_GRANT,
    /// Laggards may renew.
    LaggardsRenew: LAGGARDS_REFUSED,
    /// The duration granted last is waited for.
    LastLeaseKept: LONGEST_LEASE_KEPT,
    /// A lease is released whatever its counter.
    ReleasedBlindly: RELEASED_BY_COUNTER,
    /// A snapshot's head is read after the rest of it.
    StampAfterData: STAMP_BEFORE_DATA,
    /// Writers pass floors over.
    FloorsPassedOver: FLOORS_COMPARED_BY_WRITERS,
    /// A repeated end is answered at once.
    EarlierEndNotAwaited: EARLIER_END_AWAITED,
    /// Answers are given in a new epoch as in any other.
    AnswersNotHeld: ANSWERS_HELD_IN_NEW_EPOCH,
    /// Entries, grants and renewals count in every epoch.
    EpochIgnored: EPOCH_COMPARED,
    /// Readers pass skipped serials over.
    SkippedSerialsUnread: SKIPPED_SERIALS_READ,
    /// A database that changed hands goes on as before.
    SameHistory: NEW_HISTORY_NEW_EPOCH,
    /// Serials go on where they are.
    SerialsNotSkipped: SERIALS_SKIPPED,
    /// What is left of the log is handed out for what was asked for.
    PrunedUntold: PRUNED_TOLD,
    /// A lease that was given up is granted if that was asked for before.
    LateGrants: LATE_GRANTS_REFUSED,
    /// Leases are measured on the wall clock.
    WallClock: BOOT_CLOCK,
}
