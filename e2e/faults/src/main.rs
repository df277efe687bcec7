//! Breaks what the product runs on while sessions end, and looks whether the promise holds.
//!
//! Real processes over a real PostgreSQL, NATS and Redis of their own: two APIs, three validators,
//! two reapers. Sessions are started, asked about and ended all the time, over HTTP; every answer
//! is recorded with when it was asked for and when it had come, on one clock. Then something
//! breaks (`fault/`), again and again, until enough ends were under way while it was broken. In the
//! end every session's history is judged (`life.rs`): nothing may have been accepted in a request
//! that began after the 204.
//!
//! `make faults` runs all of it, `make faults-short` less of it; `mutants.sh` shows that it would
//! notice.
//!
//! Exits with 1 where a session's history is not as promised, with 2 where something else is wrong.

mod clock;
mod fault;
mod http;
mod life;
mod load;
mod measure;
mod moment;
mod nats;
mod report;
mod scene;
mod users;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use fault::{ALL, Fault};
use load::Load;
use moment::Moment;
use report::Report;
use scene::{Scene, blocking};
use users::Users;
use world::World;

/// How long one fault may take to come to enough trials.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Breaks what the product runs on while sessions end, and looks whether the promise holds.
#[derive(Debug, Parser)]
struct Options {
    /// How many ends are to be under way in each fault.
    #[arg(long, default_value_t = 200)]
    trials: usize,
    /// How many ends there are to be while nothing is broken.
    #[arg(long, default_value_t = 100_000)]
    healthy: usize,
    /// What is left to chance is decided by this.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only measures latency and throughput.
    #[arg(long)]
    measure: bool,
    /// Also prints the history of the session whose end took longest.
    #[arg(long)]
    slowest: bool,
    /// Names the faults and what is expected of each, and runs none.
    #[arg(long)]
    list: bool,
    /// The faults to run; all of them, and the measurements, where none is named.
    faults: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for fault in ALL {
            println!("{:<28} {}", fault.name, fault.expected);
        }
        return ExitCode::SUCCESS;
    }
    let known = |name: &String| ALL.iter().any(|fault| fault.name == name);
    if let Some(unknown) = options.faults.iter().find(|name| !known(name)) {
        eprintln!("there is no fault {unknown}; --list names them");
        return ExitCode::from(64);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run_all(options))
}

async fn run_all(options: Options) -> ExitCode {
    let everything = options.faults.is_empty();
    let named = |fault: &Fault| everything || options.faults.iter().any(|name| name == fault.name);
    let (mut violations, mut wrong) = (false, false);
    if !options.measure {
        println!("{}", Report::header());
        for fault in ALL.iter().filter(|fault| named(fault)) {
            let wanted = if fault.name == "healthy" {
                options.healthy
            } else {
                options.trials
            };
            let report = run(fault, wanted, options.seed).await;
            println!("{}", report.text());
            if options.slowest {
                println!("{}", report.slowest_story());
            }
            violations |= report.has_violations();
            wrong |= report.is_wrong();
        }
    }
    if everything || options.measure {
        println!(
            "\n{}",
            measure::measure(options.seed, options.healthy / 5).await
        );
    }
    match (violations, wrong) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(2),
        (false, false) => ExitCode::SUCCESS,
    }
}

/// Runs one fault in a world of its own.
async fn run(fault: &Fault, wanted: usize, seed: u64) -> Report {
    let mut world = blocking(|| World::start(fault.shape, seed));
    let users = Arc::new(Users::of(&world));
    let scene = Scene::new(Arc::clone(&users), wanted, seed);
    let load = Load::start(&users, &fault.shape, wanted, seed);
    load.stocked().await;
    let begun = Moment::now();
    loop {
        (fault.round)(&mut world, &scene).await;
        if scene.trials() >= wanted {
            break;
        }
        if Moment::now().since(begun) > PATIENCE {
            scene.complain("it took too long".to_owned());
            break;
        }
    }
    let loaded = Moment::now().since(begun);
    load.stop().await;
    let unsettled = load.sweep().await;
    if unsettled > 0 {
        scene.complain(format!(
            "{unsettled} questions are not answered although all is well"
        ));
    }
    Report::of(fault, &scene, loaded)
}
