//! Everything that can happen to two validators, two APIs, two ends, one join, one crash and one
//! failover.
//!
//! Everything at once would take hours, so there are five small worlds, each of which goes without
//! something another one has. `cargo test -p session-testkit --test model -- --nocapture` tells
//! how many states each has.

use std::marker::PhantomData;
use std::time::Duration;

use session_domain::revocation::{AllGuards, Guards};
use session_testkit::explore::explore;
use session_testkit::explore::fences::SmallWorld;
use session_testkit::sim::mutants;

/// One step outlives every lease of before, and whoever waits for one.
const ONE_LONG_STEP: (Duration, u32) = (Duration::from_millis(5_200), 1);

/// A lease runs through the first step; whoever waits it out waits through the second.
const TWO_STEPS: (Duration, u32) = (Duration::from_millis(2_600), 2);

const fn world<G>((step, steps): (Duration, u32)) -> SmallWorld<G> {
    SmallWorld {
        step,
        steps,
        ends: 1,
        crashes: 0,
        joins: 1,
        failovers: 0,
        renewals: true,
        decisions: 0,
        guards: PhantomData,
    }
}

/// Two ends, one join, one crash; nobody renews.
const fn crowded<G>() -> SmallWorld<G> {
    SmallWorld {
        ends: 2,
        crashes: 1,
        renewals: false,
        ..world(ONE_LONG_STEP)
    }
}

/// One end, one join, and leases that are renewed.
const fn small<G>() -> SmallWorld<G> {
    world(TWO_STEPS)
}

/// One end, one join, and one long step.
const fn smallest<G>() -> SmallWorld<G> {
    world(ONE_LONG_STEP)
}

/// One end, one join, one crash, and leases that are renewed.
const fn crashing<G>() -> SmallWorld<G> {
    SmallWorld {
        crashes: 1,
        ..world(TWO_STEPS)
    }
}

/// One end, one join, and a thread held up in the middle of a decision.
const fn held_up<G>() -> SmallWorld<G> {
    SmallWorld {
        decisions: 1,
        ..world(TWO_STEPS)
    }
}

/// Two ends, and a database that is handed over, with whatever loss: one end may be lost, and the
/// other be given its number.
const fn handed_over<G>() -> SmallWorld<G> {
    SmallWorld {
        ends: 2,
        joins: 0,
        failovers: 1,
        ..world(ONE_LONG_STEP)
    }
}

/// Two ends, one join, and leases that are renewed.
const fn renewing<G>() -> SmallWorld<G> {
    SmallWorld {
        ends: 2,
        ..world(ONE_LONG_STEP)
    }
}

fn no_state_is_broken(world: &SmallWorld<AllGuards>) {
    match explore(world) {
        Ok(report) => {
            println!("{report:?}");
            assert!(report.states > 50_000, "there is little to see: {report:?}");
        }
        Err(found) => panic!("{found}"),
    }
}

#[test]
fn two_ends_a_join_and_a_crash() {
    no_state_is_broken(&crowded());
}

#[test]
fn an_end_a_join_and_a_crash_with_renewals() {
    no_state_is_broken(&crashing());
}

#[test]
fn an_end_a_join_and_a_thread_held_up() {
    no_state_is_broken(&held_up());
}

#[test]
fn two_ends_and_a_failover_with_any_loss() {
    no_state_is_broken(&handed_over());
}

#[test]
fn two_ends_and_a_join_with_renewals() {
    no_state_is_broken(&renewing());
}

/// Without that guard, one of the `expected` invariants breaks somewhere in that world.
fn guilty<G: Guards>(world: &SmallWorld<G>, expected: &str) {
    match explore(world) {
        Ok(report) => panic!("nobody noticed that a guard is missing: {report:?}"),
        Err(found) => {
            println!("{found}");
            assert!(found.what.starts_with(expected), "{}", found.what);
        }
    }
}

macro_rules! mutants {
    ($($test:ident: $mutant:ident in $world:ident breaks $invariant:literal;)*) => {$(
        #[test]
        fn $test() {
            guilty(&$world::<mutants::$mutant>(), $invariant);
        }
    )*};
}

mutants! {
    without_the_deadline_loaded_first: DeadlineLate in held_up breaks "I1";
    without_the_head_applied: HeadNotApplied in renewing breaks "I2";
    without_the_gapless_prefix: WithGaps in renewing breaks "I3";
    without_visibility_before_acknowledgement: AcknowledgedUnseen in small breaks "I1";
    without_floors_read: FloorsUnread in small breaks "I1";
    without_waiting_for_holders: NobodyAwaited in small breaks "I1";
    without_the_head_locked_at_grant: HeadNotLocked in smallest breaks "I1";
    without_waiting_for_the_earlier_end: EarlierEndNotAwaited in crashing breaks "I1";
    without_holding_answers_in_a_new_epoch: AnswersNotHeld in handed_over breaks "I1";
}

/// Renewals of laggards could be granted: what makes them safe is that a lease counts only once
/// the head of its grant is applied. They are refused so that a holder that applies nothing isn't
/// waited for anew by every end.
#[test]
fn laggards_are_refused_for_speed_not_for_safety() {
    assert!(explore(&small::<mutants::LaggardsRenew>()).is_ok());
}

/// What a thread saw was true when its request had begun already, so even a clock read early breaks
/// no promise about requests that begin after an end was answered. It is read last so that nobody
/// is let in at a moment without a lease, however long the thread was held up: the simulator
/// checks that (I7).
#[test]
fn the_clock_is_read_last_for_the_moment_of_the_answer() {
    assert!(explore(&held_up::<mutants::ClockEarly>()).is_ok());
}
