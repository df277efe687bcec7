//! Runs many schedules of the revocation protocol: `make sim SEEDS=100000`, or
//! `cargo run --release -p session-testkit --example sim -- SEEDS [FIRST]`.

use std::process::ExitCode;

use session_domain::revocation::AllGuards;
use session_testkit::sim;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (seeds, first) = match (numbers.next(), numbers.next()) {
        (None, _) => (10_000, 0),
        (Some(Ok(seeds)), None) => (seeds, 0),
        (Some(Ok(seeds)), Some(Ok(first))) => (seeds, first),
        _ => {
            eprintln!("usage: sim [SEEDS [FIRST]]");
            return ExitCode::from(64);
        }
    };
    match sim::run_all::<AllGuards>(first..first + seeds) {
        Ok(stats) => {
            println!("{seeds} schedules, nothing found");
            for (name, count) in stats.named() {
                println!("{count:>12} {name}");
            }
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}
