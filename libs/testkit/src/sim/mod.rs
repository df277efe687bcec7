//! The revocation protocol in a world of seeded misfortune.
//!
//! The machines are the domain's own: [`Follower`](session_domain::revocation::Follower),
//! [`Fences`](session_domain::revocation::Fences), the steps of a decision, the session's rules.
//! Around them everything is simulated: clocks that run too fast, too slow or not at all, a
//! network that loses, doubles, reorders and delays, processes that die, stand still and come
//! back, threads held up in the middle of a decision, and an authority whose commits take time.
//! One number, the seed, decides all of it, so that whatever goes wrong can be seen again.
//!
//! After every step the invariants of `docs/protocol.md` are checked:
//!
//! | | |
//! |---|---|
//! | I1 | nothing is accepted in a request that began after its end was answered |
//! | I2 | whoever answers from memory has applied the head of the grant in force |
//! | I3 | what is applied is a gapless prefix of the log, and visible |
//! | I4 | an ended serial never lives again |
//! | I5 | a refresh generation has one successor |
//! | I6 | every change of state is exactly one event |
//! | I7 | nothing is accepted from memory without a lease |
//! | I8 | sessions whose start was lost are not accepted in the epoch after that |
//! | I9 | a validator takes no refusal back |
//! | L | once all is mended, everybody gets a lease and every answer is given |

mod api;
mod client;
mod clock;
pub mod database;
mod event;
mod fault;
pub mod mutants;
mod network;
mod oracle;
mod reader;
pub mod rng;
mod script;
mod stats;
mod validator;
mod world;

pub use stats::Stats;

use session_domain::revocation::Guards;

/// Simulated true time since the start, in nanoseconds.
pub type Nanos = u64;

const MICRO: Nanos = 1_000;
const MILLI: Nanos = 1_000 * MICRO;
const SECOND: Nanos = 1_000 * MILLI;
const MILLION: u64 = 1_000_000;

/// How many events a violation's account goes back.
const TRACE_LENGTH: usize = 60;

/// An invariant didn't hold.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which one.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
    /// In which schedule.
    pub seed: u64,
    /// At which of its steps.
    pub step: u64,
    /// The last things that happened.
    pub trace: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            invariant,
            what,
            seed,
            step,
            trace,
        } = self;
        for line in trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {seed}, step {step}: {invariant}: {what}")?;
        write!(
            f,
            "again: SIM_SEED={seed} cargo test -p session-testkit --test simulation -- --nocapture \
             (for a mutant, its test's name before the --)"
        )
    }
}

/// Runs the schedule of one seed.
///
/// # Errors
/// The first violation, with what led to it.
pub fn run<G: Guards>(seed: u64) -> Result<Stats, Box<Violation>> {
    // Accounts are written only where somebody will read them.
    world::World::<G>::new(seed, false).run().map_err(|_| {
        let again = world::World::<G>::new(seed, true).run();
        again.expect_err("the same seed is the same schedule")
    })
}

/// Runs the schedules of many seeds, on two threads.
///
/// # Errors
/// The violation of the smallest seed that has one.
///
/// # Panics
/// Where a schedule does.
pub fn run_all<G: Guards>(seeds: std::ops::Range<u64>) -> Result<Stats, Box<Violation>> {
    const THREADS: u64 = 2;
    let one_in_two = &|first: u64| -> Result<Stats, Box<Violation>> {
        let mut stats = Stats::default();
        for seed in seeds.clone().filter(|seed| seed % THREADS == first) {
            stats.add(&run::<G>(seed)?);
        }
        Ok(stats)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || one_in_two(first)))
            .collect();
        let mut all = Stats::default();
        let mut worst: Option<Box<Violation>> = None;
        for thread in threads {
            match thread.join().expect("a schedule doesn't panic") {
                Ok(stats) => all.add(&stats),
                Err(found) if worst.as_ref().is_none_or(|worst| found.seed < worst.seed) => {
                    worst = Some(found);
                }
                Err(_) => {}
            }
        }
        worst.map_or(Ok(all), Err)
    })
}

/// Runs one schedule and writes down everything that happens in it.
///
/// # Errors
/// See [`run`].
pub fn replay<G: Guards>(seed: u64) -> (Vec<String>, Result<Stats, Box<Violation>>) {
    let mut world = world::World::<G>::new(seed, true);
    world.keep_all = true;
    let result = world.play();
    (std::mem::take(&mut world.trace), result)
}
