//! Everything that can happen to two validators, two ends, one join and one crash.

use session_domain::revocation::{AllGuards, Guards};
use session_testkit::explore::explore;
use session_testkit::explore::fences::SmallWorld;
use session_testkit::sim::mutants;

/// As many steps of time as it takes to outlive a lease that was granted at the start.
const STEPS: u64 = 3;

fn world<G>() -> SmallWorld<G> {
    let n = |name: &str, d: usize| std::env::var(name).map_or(d, |t| t.parse().unwrap());
    SmallWorld {
        step: std::time::Duration::from_millis(n("STEP", 2600) as u64),
        steps: n("STEPS", 2) as u32,
        ends: n("ENDS", 2),
        crashes: n("CRASHES", 1),
        decisions: n("DECISIONS", 0),
        guards: std::marker::PhantomData,
    }
}

#[test]
fn no_state_is_broken() {
    match explore(&world::<AllGuards>()) {
        Ok(report) => {
            println!("{report:?}");
            assert!(report.states > 10_000, "there is little to see: {report:?}");
        }
        Err(found) => panic!("{found}"),
    }
}

fn guilty<G: Guards>(expected: &str) {
    match explore(&world::<G>()) {
        Ok(report) => panic!("nobody noticed that a guard is missing: {report:?}"),
        Err(found) => {
            println!("{found}");
            assert!(found.what.starts_with(expected), "{}", found.what);
        }
    }
}

macro_rules! mutants {
    ($($test:ident: $mutant:ident breaks $invariant:literal;)*) => {$(
        #[test]
        fn $test() {
            guilty::<mutants::$mutant>($invariant);
        }
    )*};
}

mutants! {
    without_the_deadline_loaded_first: DeadlineLate breaks "I1";
    without_the_head_applied: HeadNotApplied breaks "I2";
    without_the_gapless_prefix: WithGaps breaks "I3";
    without_visibility_before_acknowledgement: AcknowledgedUnseen breaks "I1";
    without_floors_read: FloorsUnread breaks "I1";
    without_waiting_for_holders: NobodyAwaited breaks "I1";
    without_the_head_locked_at_grant: HeadNotLocked breaks "I1";
    without_waiting_for_the_earlier_end: EarlierEndNotAwaited breaks "I1";
}
