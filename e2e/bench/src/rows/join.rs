//! How long a validator takes from its start until it is ready.

use anyhow::Result;
use tokio::runtime::Runtime;

use super::process::Validator;
use crate::Effort;
use crate::figures::Figures;
use crate::report::{Gate, Section, Side};

pub fn measure(runtime: &Runtime, effort: Effort) -> Result<Section> {
    let mut took = [Figures::default(), Figures::default()];
    for _ in 0..effort.rounds.min(5) {
        for (took, sessions) in took.iter_mut().zip([0, 10_000_000]) {
            took.add(Validator::start(runtime, sessions)?.took.as_secs_f64());
        }
    }
    let gates = vec![
        Gate::at_most("s with no sessions", took[0].clone(), 0.5),
        Gate::at_most("s with 10 million sessions", took[1].clone(), 3.0),
    ];
    let side = |name: &str, took| Side {
        name: name.to_owned(),
        figures: vec![("s", took)],
    };
    let [empty, many] = took;
    Ok(Section {
        name: "join",
        title: "From start to ready".to_owned(),
        text: "`session-validator` from the moment it is started, over a NATS that runs, until \
               `/readyz` says 200. The snapshot's bits are handed over from memory, so what the API \
               takes to read them isn't in it."
            .to_owned(),
        sides: vec![side("no sessions", empty), side("10 million", many)],
        plotted: None,
        gates,
    })
}
