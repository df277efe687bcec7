//! Forward authentication over HTTP, connections kept, tokens known.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, ensure};
use tokio::runtime::Runtime;

use super::process::Validator;
use crate::Effort;
use crate::bare::{Bare, Process};
use crate::figures::Figures;
use crate::load::{self, Run};
use crate::report::{Gate, Section, Side};

const PATH: &str = "/v1/authz/forwarded/default";

/// Runs of one side.
#[derive(Default)]
struct Runs {
    rate: Figures,
    p99: Figures,
    share: Figures,
}

impl Runs {
    fn add(&mut self, run: Run) {
        self.rate.add(run.rate);
        self.p99.add(run.p99_millis);
        self.share.add(run.share);
    }

    fn side(self, name: &str) -> Side {
        Side {
            name: name.to_owned(),
            figures: vec![
                ("requests/s", self.rate),
                ("p99, ms", self.p99),
                ("wrk's share of processor time", self.share),
            ],
        }
    }
}

pub fn measure(runtime: &Runtime, effort: Effort) -> Result<Section> {
    let validator = Validator::start(runtime, 0)?;
    let (poem, hyper) = (Process::start(Bare::Poem)?, Process::start(Bare::Hyper)?);
    let ours = validator.address("validator");
    let bearer = format!("Bearer {}", validator.authority.token(1)?);
    let fields = [
        ("Authorization", bearer),
        ("X-Forwarded-Method", "GET".to_owned()),
    ];
    same_fields(ours, poem.address, &fields)?;
    same_fields(ours, hyper.address, &fields)?;
    let mut runs = [Runs::default(), Runs::default(), Runs::default()];
    let sides = [
        (poem.pid(), poem.address),
        (validator.pid()?, ours),
        (hyper.pid(), hyper.address),
    ];
    for (pid, address) in sides {
        load::wrk(pid, address, PATH, &fields, 1)?;
    }
    for _ in 0..effort.rounds {
        for ((pid, address), runs) in sides.iter().zip(&mut runs) {
            runs.add(load::wrk(*pid, *address, PATH, &fields, effort.seconds)?);
        }
    }
    let [poem, ours, hyper] = runs;
    let gates = vec![
        Gate::at_least(
            "requests/s of bare poem's",
            ours.rate.over(&poem.rate),
            0.90,
        ),
        Gate::at_most("p99 of bare poem's", ours.p99.over(&poem.p99), 1.2),
        Gate::told("requests/s of bare hyper's", ours.rate.over(&hyper.rate)),
    ];
    Ok(Section {
        name: "http",
        title: "Validate over HTTP".to_owned(),
        text: format!(
            "`GET {PATH}` with one access token that was asked about before, over {} connections \
             that are kept, by `wrk` with one thread. The bare ones answer 200 with fields of the \
             same names and lengths, whatever they are asked.",
            load::CONNECTIONS
        ),
        sides: vec![
            poem.side("bare poem handler"),
            ours.side("session-validator"),
            hyper.side("bare hyper"),
        ],
        plotted: Some("requests/s"),
        gates,
    })
}

/// Whether both answer 200 with the same fields.
fn same_fields(one: SocketAddr, other: SocketAddr, fields: &[(&str, String)]) -> Result<()> {
    let (one, other) = (names(one, fields)?, names(other, fields)?);
    ensure!(one == other, "different answers: {one:?} {other:?}");
    ensure!(one[0] == "http/1.1 200 ok", "not let through: {one:?}");
    Ok(())
}

/// The status line and the names of the fields.
fn names(address: SocketAddr, fields: &[(&str, String)]) -> Result<Vec<String>> {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let fields: String = fields.collect();
    let mut stream = TcpStream::connect(address)?;
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: v\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let head = answer
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default().to_owned();
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let mut names: Vec<_> = lines.map(name).collect();
    names.sort_unstable();
    names.insert(0, status);
    Ok(names)
}
