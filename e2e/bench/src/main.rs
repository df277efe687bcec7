//! Measures the product against what it could at best be: the same work without the product, in the
//! same run, on the same machine, in turns. `make bench` runs it.
//!
//! | file | what |
//! |---|---|
//! | `rows/` | what is measured, a file each |
//! | `bare.rs` | what it is measured against |
//! | `authority.rs` | what a validator follows: as little as it takes |
//! | `load.rs` | programs that ask as fast as they can, and how much of the machine they take |
//! | `figures.rs` | rounds, medians, spreads |
//! | `report.rs`, `plot.rs` | how it is told |
//!
//! Figures in seconds are this machine's on that day. What must hold are ratios.

mod authority;
mod bare;
mod figures;
mod load;
mod machine;
mod plot;
mod report;
mod rows;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use bare::Bare;
use report::Report;

/// Measures the product against what it could at best be.
#[derive(Debug, Parser)]
struct Options {
    /// How many rounds each comparison goes through, its sides in turns.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How many seconds a side is asked for in a round.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// The folder that the report and its plots are written to; without one it is only printed.
    #[arg(long)]
    write: Option<PathBuf>,
    #[command(subcommand)]
    side: Option<Side>,
    /// What to measure; everything, where nothing is named: http, grpc, decision, memory, join.
    rows: Vec<String>,
}

/// A side of a comparison, as a process of its own.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Side {
    /// Serves without the product behind it, for the others to be measured against
    Serve {
        /// What serves
        #[arg(value_enum)]
        bare: Bare,
    },
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How many rounds.
    pub rounds: usize,
    /// How many seconds of each side in each.
    pub seconds: u32,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    if let Some(Side::Serve { bare }) = options.side {
        return runtime.block_on(bare::serve(bare));
    }
    let unknown = |name: &&String| !rows::ALL.iter().any(|row| row.name == name.as_str());
    if let Some(name) = options.rows.iter().find(unknown) {
        bail!("there is no row {name}");
    }
    let effort = Effort {
        rounds: options.rounds,
        seconds: options.seconds,
    };
    let mut report = Report::new(effort);
    for row in rows::ALL {
        if options.rows.is_empty() || options.rows.iter().any(|name| name == row.name) {
            eprintln!("measuring {}", row.name);
            let section = (row.measure)(&runtime, effort);
            report.add(section.with_context(|| format!("measuring {}", row.name))?);
        }
    }
    println!("{}", report.text());
    if let Some(folder) = &options.write {
        report.write(folder).context("can't write the report")?;
    }
    Ok(())
}
