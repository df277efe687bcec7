//! `make run-distributed`: the product as separate processes over private servers, until Ctrl-C.
//!
//! `cargo run -p session-testkit --example distributed -- FOLDER` writes the service key and where
//! the validators are into FOLDER, for `make demo`. Everything else is gone with the process.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use session_testkit::deployment::{Deployment, Program, Role, SERVICE_KEY};
use tokio::signal::unix::{SignalKind, signal};

/// Where the API listens: as in one process.
const API: &str = "127.0.0.1:8080";

/// Where the validators do.
const VALIDATORS: [&str; 3] = ["127.0.0.1:8081", "127.0.0.1:8083", "127.0.0.1:8084"];

/// Where they listen for gateways that ask over gRPC, in the same order.
const GRPC: [&str; 3] = ["127.0.0.1:8082", "127.0.0.1:8085", "127.0.0.1:8086"];

/// Where health and metrics of the first process are; the others' are on the ports after it.
const PRIVATE: u16 = 9090;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: distributed FOLDER");
        return ExitCode::from(64);
    };
    println!("Starting PostgreSQL, NATS and Redis, and building the programs.");
    let deployment = Deployment::prepare_with_redis();
    let mut processes = start(&deployment);
    for process in &processes {
        process.eventually_ready();
    }
    if let Err(error) = leave_word(&folder) {
        eprintln!("can't write to {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    println!("{}", welcome(&deployment, &processes, &folder));
    told_to_stop().await;
    // A demo of a single process must not look for the others.
    let _ = fs::remove_file(folder.join("validators"));
    // The terminal has told them, too; the API goes last, so that the others can say goodbye.
    let well = processes
        .iter_mut()
        .map(Program::terminate)
        .fold(true, |all, well| all & well);
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One API, three validators, one reaper; the API last.
fn start(deployment: &Deployment) -> Vec<Program> {
    let issuer = format!("http://{API}");
    let mut private = PRIVATE;
    let mut start = |role: Role, listens: &[(&str, &str)]| {
        let address = format!("127.0.0.1:{private}");
        private += 1;
        let mut settings = vec![
            ("SESSION_ISSUER", issuer.as_str()),
            ("SESSION_PRIVATE__LISTEN", &address),
        ];
        settings.extend(listens);
        deployment.start_with(role, &settings)
    };
    let api = start(Role::Api, &[("SESSION_API__LISTEN", API)]);
    let validators = [0, 1, 2].map(|number| {
        let listens = [
            ("SESSION_VALIDATOR__LISTEN", VALIDATORS[number]),
            ("SESSION_GRPC__LISTEN", GRPC[number]),
        ];
        start(Role::Validator, &listens)
    });
    let reaper = start(Role::Reaper, &[]);
    validators.into_iter().chain([reaper, api]).collect()
}

/// Writes the service key, for its owner alone, and where the validators are.
fn leave_word(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let key = folder.join("distributed-service-key");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(key)?;
    writeln!(file, "{SERVICE_KEY}")?;
    let addresses = VALIDATORS.map(|address| format!("http://{address}\n"));
    fs::write(folder.join("validators"), addresses.concat())
}

async fn told_to_stop() {
    let handlers = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = handlers else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn welcome(deployment: &Deployment, processes: &[Program], folder: &Path) -> String {
    let of = |role: Role, listener: &str| {
        let urls = processes.iter().filter(|one| one.role() == role);
        let urls: Vec<_> = urls.map(|one| one.url(listener, "")).collect();
        urls.join("  ")
    };
    let (api, validators) = (of(Role::Api, "api"), of(Role::Validator, "validator"));
    let private = [Role::Api, Role::Validator, Role::Reaper].map(|role| of(role, "private"));
    let key = folder.join("distributed-service-key");
    format!(
        "\nThe session service is ready, as five processes over PostgreSQL, NATS and Redis.\n\n\
         \x20 API         {api}   documentation: {api}/docs\n\
         \x20 validators  {validators}\n\
         \x20 gRPC        {}   (Envoy's ext_authz)\n\
         \x20 NATS        {}   (for services that use session-client)\n\
         \x20 health      {}   (/readyz, /metrics)\n\
         \x20 service key in {}\n\n\
         `make demo` in another terminal plays a day of one user, and asks all three validators each\n\
         time. Ctrl-C stops it all, and nothing is kept.\n",
        GRPC.join("  "),
        deployment.nats.url(),
        private.join("  "),
        key.display(),
    )
}
