//! How much memory knowing of sessions takes.

use anyhow::{Context, Result};
use tokio::runtime::Runtime;

use super::process::Validator;
use crate::figures::Figures;
use crate::report::{Gate, Section, Side};
use crate::{Effort, machine};

const MB: f64 = 1e6;

/// How many sessions there are, by name.
const AMOUNTS: [(&str, u64); 3] = [
    ("no sessions", 0),
    ("1 million", 1_000_000),
    ("100 million", 100_000_000),
];

pub fn measure(runtime: &Runtime, effort: Effort) -> Result<Section> {
    let mut taken = [Figures::default(), Figures::default(), Figures::default()];
    for _ in 0..effort.rounds.min(3) {
        for ((_, sessions), taken) in AMOUNTS.iter().zip(&mut taken) {
            let validator = Validator::start(runtime, *sessions)?;
            let bytes = machine::resident_bytes(validator.pid()?).context("it runs")?;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            taken.add(bytes as f64 / MB);
        }
    }
    let [empty, million, hundred] = &taken;
    let gates = vec![
        Gate::at_most("MB more for 1 million sessions", million.less(empty), 8.0),
        Gate::at_most(
            "MB more for 100 million sessions",
            hundred.less(empty),
            64.0,
        ),
        Gate::at_most("MB of a validator that knows of none", empty.clone(), 30.0),
    ];
    let sides = AMOUNTS.iter().zip(taken);
    let sides = sides.map(|((name, _), taken)| Side {
        name: (*name).to_owned(),
        figures: vec![("MB", taken)],
    });
    Ok(Section {
        name: "memory",
        title: "A validator's memory".to_owned(),
        text:
            "`session-validator` that has just become ready, every other session of the snapshot \
               ended: its resident memory less what it shares with its file (`RssAnon`)."
                .to_owned(),
        sides: sides.collect(),
        plotted: Some("MB"),
        gates,
    })
}
