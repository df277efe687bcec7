//! What happened in schedules, so that nobody mistakes an idle world for a safe one.

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// How often things happened.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Stats {
            /// Adds another schedule's.
            pub const fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Every count with its name.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

stats! {
    /// Things that happened at all.
    events,
    /// Tokens accepted from memory.
    accepted_locally,
    /// Tokens accepted by the authority's word.
    accepted_remotely,
    /// Tokens refused from memory.
    denied_locally,
    /// Tokens refused by the authority's word.
    denied_remotely,
    /// Decisions that found no answer.
    unavailable,
    /// Decisions held up for more than 100 ms between two steps.
    held_up,
    /// Ends answered without anybody to wait for.
    answered_at_once,
    /// Ends answered when the last holder had acknowledged.
    answered_by_acknowledgement,
    /// Ends answered when a lease had been waited out.
    answered_by_waiting,
    /// Ends asked for again that waited for the earlier one's number.
    repeated_ends,
    /// Floors raised.
    floors,
    /// Sessions that went on under new credentials.
    stepped_up,
    /// Refresh tokens traded.
    rotated,
    /// Refresh tokens answered with the same successor again.
    repeated_refreshes,
    /// Followers that joined.
    joins,
    /// Followers that had to join anew.
    rejoins,
    /// Grants given.
    grants,
    /// Renewals refused to laggards.
    laggards,
    /// Gaps fetched.
    gaps_fetched,
    /// Entries sent again.
    resent,
    /// Leases released.
    released,
    /// Leases forgotten because they were outlived.
    forgotten,
    /// Acknowledgements forged.
    forged,
    /// Messages that never arrived.
    lost,
    /// Processes killed.
    killed,
    /// Commits whose API was dead when the answer came.
    orphaned_commits,
    /// Pauses a machine's clock didn't see.
    unseen_pauses,
    /// Wall clocks set wrong.
    wall_steps,
    /// Times another server became the database.
    failovers,
    /// Times that one lacked something.
    lossy_failovers,
    /// Entries that were lost with it.
    lost_entries,
    /// Leases whose newest grant was.
    lost_leases,
    /// Sessions whose start was.
    lost_sessions,
    /// Promises that were.
    lost_promises,
    /// Epochs begun.
    epochs,
    /// Answers held because leases of earlier epochs might run.
    held,
    /// Epochs found to be settled, by each process that did.
    settled,
    /// Answers not given because what they say may be lost.
    unconfirmed,
    /// Tokens of lost sessions refused.
    lost_refused,
    /// Operations cut short by a failover.
    aborted,
    /// Operations asked of no database.
    refused_by_database,
    /// Entries pruned.
    pruned,
    /// Followers told that what they ask for is gone.
    entries_gone,
    /// Snapshots' further parts.
    snapshot_parts,
    /// Drains while a grant was asked for.
    drained_asking,
    /// Requests of before that came after a lease was given up.
    late_grants,
}
