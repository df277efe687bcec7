//! The revocation protocol under seeded misfortune, and the proof that the tests would notice if
//! any of its guards were missing.
//!
//! `SIM_SEEDS=100000` runs that many schedules instead; `SIM_SEED=7` runs one and tells it in full.

use session_domain::revocation::{AllGuards, Guards};
use session_testkit::sim::{self, Stats, mutants};

/// How many schedules every run of the tests goes through.
const SEEDS: u64 = 2_000;

/// A guard that can be missing for so many schedules without anybody noticing isn't tested.
const MUTANT_SEEDS: u64 = 3_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number")),
    )
}

#[test]
fn every_schedule_keeps_every_invariant() {
    if let Some(seed) = number("SIM_SEED") {
        let (trace, result) = sim::replay::<AllGuards>(seed);
        for line in trace {
            println!("{line}");
        }
        result.unwrap_or_else(|violation| panic!("{violation}"));
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let stats = sim::run_all::<AllGuards>(0..seeds).unwrap_or_else(|found| panic!("{found}"));
    for (name, count) in stats.named() {
        println!("{count:>12} {name}");
    }
    assert_lively(&stats, seeds);
}

#[test]
fn a_seed_is_one_schedule() {
    for seed in 0..20 {
        let tell = || sim::replay::<AllGuards>(seed).0;
        assert_eq!(tell(), tell(), "seed {seed}");
    }
}

/// The schedules weren't idle: of everything the protocol can do, enough was done.
fn assert_lively(stats: &Stats, seeds: u64) {
    let every = |count: u64, schedules: u64, what: &str| {
        assert!(
            count * schedules >= seeds,
            "{what}: only {count} in {seeds} schedules"
        );
    };
    every(stats.accepted_locally / 10, 1, "accepted from memory");
    every(stats.denied_locally / 10, 1, "denied from memory");
    every(
        stats.accepted_remotely,
        2,
        "accepted by the authority's word",
    );
    every(stats.denied_remotely, 2, "denied by the authority's word");
    every(stats.held_up, 1, "threads held up");
    every(stats.answered_at_once, 2, "answered at once");
    every(
        stats.answered_by_acknowledgement,
        1,
        "answered by acknowledgement",
    );
    every(stats.answered_by_waiting, 1, "answered by waiting");
    every(stats.repeated_ends, 2, "ends asked for again");
    every(stats.floors, 4, "floors");
    every(stats.stepped_up, 2, "step-ups");
    every(stats.rotated, 2, "refreshes");
    every(stats.joins, 1, "joins");
    every(stats.laggards, 10, "laggards refused");
    every(stats.gaps_fetched, 4, "gaps fetched");
    every(stats.released, 50, "leases released");
    every(stats.forgotten, 1, "leases forgotten");
    every(stats.killed, 4, "processes killed");
    every(stats.orphaned_commits, 200, "commits whose API was dead");
    every(stats.unseen_pauses, 4, "unseen pauses");
    every(stats.wall_steps, 8, "wall clocks set");
    every(stats.failovers, 3, "failovers");
    every(stats.lossy_failovers, 8, "failovers with a loss");
    every(stats.lost_entries, 8, "entries lost");
    every(stats.lost_leases, 10, "leases lost");
    every(stats.lost_sessions, 20, "sessions lost");
    every(stats.lost_promises, 20, "promises lost");
    every(stats.lost_refused, 10, "tokens of lost sessions refused");
    every(stats.epochs, 3, "epochs");
    every(stats.held, 8, "answers held");
    every(stats.settled, 8, "epochs settled");
    every(stats.unconfirmed, 50, "answers not given");
    every(stats.rejoins, 5, "rejoins");
    every(stats.pruned, 3, "entries pruned");
    every(
        stats.entries_gone,
        50,
        "followers told that entries are gone",
    );
    every(stats.snapshot_parts, 4, "snapshots in parts");
    every(stats.late_grants, 200, "late grants");
}

/// Without that guard, one of the `expected` invariants breaks.
fn guilty<G: Guards>(expected: &[&str]) {
    let first = number("SIM_SEED");
    for seed in first.map_or(0..MUTANT_SEEDS, |seed| seed..seed + 1) {
        if let Err(violation) = sim::run::<G>(seed)
            && expected.contains(&violation.invariant)
        {
            println!(
                "found: seed {seed}: {}: {}",
                violation.invariant, violation.what
            );
            if first.is_some() {
                println!("{violation}");
            }
            return;
        }
    }
    panic!("nobody noticed that a guard is missing");
}

macro_rules! mutants {
    ($($test:ident: $mutant:ident breaks $($invariant:literal)|+;)*) => {$(
        #[test]
        fn $test() {
            guilty::<mutants::$mutant>(&[$($invariant),+]);
        }
    )*};
}

mutants! {
    without_the_deadline_loaded_first: DeadlineLate breaks "I1";
    without_the_clock_read_last: ClockEarly breaks "I7";
    without_reckoning_from_the_asking: ReckonedFromArrival breaks "I1";
    without_the_head_applied: HeadNotApplied breaks "I2";
    without_the_gapless_prefix: WithGaps breaks "I3";
    without_visibility_before_acknowledgement: AcknowledgedUnseen breaks "I1";
    without_the_holder_s_clock_error: HolderTrustsClock breaks "I1";
    without_remembering_refusals: RefusalForgotten breaks "I9";
    without_floors_read: FloorsUnread breaks "I1";
    without_waiting_for_holders: NobodyAwaited breaks "I1";
    without_the_pause_allowance: NoPauses breaks "I1";
    without_the_waiter_s_clock_error: WaiterTrustsClock breaks "I1";
    without_proof_of_acknowledgements: UnprovenAcknowledgements breaks "I1";
    without_the_head_locked_at_grant: HeadNotLocked breaks "I1";
    without_the_longest_lease_kept: LastLeaseKept breaks "I1";
    without_release_by_counter: ReleasedBlindly breaks "I1";
    without_the_snapshot_s_stamp_before_its_data: StampAfterData breaks "I3";
    without_floors_compared_by_writers: FloorsPassedOver breaks "I4";
    without_waiting_for_the_earlier_end: EarlierEndNotAwaited breaks "I1";
    without_the_boot_clock: WallClock breaks "I1";
    without_holding_answers_in_a_new_epoch: AnswersNotHeld breaks "I1";
    without_comparing_epochs: EpochIgnored breaks "I1" | "I3";
    without_reading_skipped_serials: SkippedSerialsUnread breaks "I8";
    without_a_new_epoch_for_a_new_history: SameHistory breaks "I1" | "I3";
    without_skipping_serials: SerialsNotSkipped breaks "I8" | "L";
    without_telling_that_entries_are_gone: PrunedUntold breaks "I3";
    without_refusing_late_grants: LateGrants breaks "L";
}
