//! `make e2e-gateways`: real gateways, run with the very configurations of `examples/gateways`, in
//! front of a tiny application and the real validator. Prints a table, gateway by case.
//!
//! `session-gateways [GATEWAY…]`; the programs are looked for on the PATH, Envoy also where
//! `ENVOY` says.

mod application;
mod cases;
mod gateway;
mod http;
mod service;

use std::process::ExitCode;

use anyhow::{Result, bail};

use application::Application;
use gateway::{GATEWAYS, Gateway};
use service::Service;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("session-gateways: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every case through every gateway. Says whether all of them held.
async fn run() -> Result<bool> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !GATEWAYS.iter().any(|known| known.name == **name))
    {
        bail!("{unknown} isn't one of the gateways");
    }
    let chosen: Vec<_> = GATEWAYS
        .iter()
        .filter(|known| wanted.is_empty() || wanted.iter().any(|name| name == known.name))
        .collect();
    let mut columns = Vec::new();
    for kind in &chosen {
        println!("{} …", kind.name);
        let service = Service::start().await?;
        let application = Application::start().await?;
        let gateway = Gateway::start(kind, &service, &application).await?;
        columns.push(cases::run(&gateway, &service, &application).await);
    }
    let width = cases::CASES.iter().map(|case| case.name.len()).max();
    print!("\n{:width$}", "", width = width.unwrap_or(0) + 2);
    for kind in &chosen {
        print!("{:>12}", kind.name);
    }
    println!();
    for (row, case) in cases::CASES.iter().enumerate() {
        print!("{:width$}", case.name, width = width.unwrap_or(0) + 2);
        for column in &columns {
            print!("{:>12}", if column[row].is_ok() { "ok" } else { "FAILED" });
        }
        println!();
    }
    let mut held = true;
    for (kind, column) in chosen.iter().zip(&columns) {
        for (case, outcome) in cases::CASES.iter().zip(column) {
            if let Err(error) = outcome {
                held = false;
                println!("\n{}, {}: {error:#}", kind.name, case.name);
            }
        }
    }
    Ok(held)
}
