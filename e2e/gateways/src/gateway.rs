//! The gateways: the files of `examples/gateways`, with free ports in place of theirs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::application::Application;
use crate::http::{Request, ask};
use crate::service::{Service, free_port};

/// How long one may take to let somebody through.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway that can be started.
#[derive(Debug)]
pub struct Kind {
    /// As in the table.
    pub name: &'static str,
    /// Its folder in `examples/gateways`.
    folder: &'static str,
    program: &'static str,
    args: &'static [&'static str],
}

/// All of them.
pub const GATEWAYS: [Kind; 5] = [
    Kind {
        name: "nginx",
        folder: "nginx",
        program: "nginx",
        args: &[
            "-p",
            ".",
            "-c",
            "nginx.conf",
            "-e",
            "stderr",
            "-g",
            "daemon off;",
        ],
    },
    Kind {
        name: "caddy",
        folder: "caddy",
        program: "caddy",
        args: &["run", "--config", "Caddyfile"],
    },
    Kind {
        name: "haproxy",
        folder: "haproxy",
        program: "haproxy",
        args: &["-f", "haproxy.cfg"],
    },
    Kind {
        name: "envoy-http",
        folder: "envoy-http",
        program: "envoy",
        args: ENVOY_ARGS,
    },
    Kind {
        name: "envoy-grpc",
        folder: "envoy-grpc",
        program: "envoy",
        args: ENVOY_ARGS,
    },
];

const ENVOY_ARGS: &[&str] = &["-c", "envoy.yaml", "--disable-hot-restart", "-l", "warn"];

/// A running gateway. Killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    pub address: SocketAddr,
    _child: Child,
    folder: TempDir,
}

impl Gateway {
    /// Starts it in front of the application, asking the service.
    pub async fn start(
        kind: &'static Kind,
        service: &Service,
        application: &Application,
    ) -> Result<Self> {
        let address = free_port()?;
        let folder = tempfile::tempdir()?;
        // The addresses every example is written with, and those of this run.
        let addresses = [
            (8000, address),
            (8081, service.validator),
            (8082, service.grpc),
            (3000, application.address),
        ];
        for file in fs::read_dir(examples().join(kind.folder))? {
            let file = file?;
            let text = localised(&fs::read_to_string(file.path())?, &addresses);
            fs::write(folder.path().join(file.file_name()), text)?;
        }
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new(program(kind)?)
            .args(kind.args)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} can't be started", kind.name))?;
        let gateway = Self {
            address,
            _child: child,
            folder,
        };
        let begun = tokio::time::timeout(PATIENCE, gateway.lets_somebody_through(service)).await;
        let Ok(signed_in) = begun else {
            let log = fs::read_to_string(gateway.folder.path().join("log"))?;
            bail!("{} lets nobody through:\n{log}", kind.name);
        };
        signed_in?;
        application.take();
        Ok(gateway)
    }

    /// Returns once a signed-in user gets through. That it listens isn't enough: Envoy does before it
    /// has connected, and on a busy machine a validator can be between two leases just then, when a
    /// session is asked about elsewhere and may be refused as unavailable.
    async fn lets_somebody_through(&self, service: &Service) -> Result<()> {
        let somebody = service.sign_in("somebody").await?;
        let request = Request::get().bearer(&somebody.access);
        while !matches!(ask(self.address, &request).await, Ok(answer) if answer.status == 200) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// A configuration with other addresses: as `HOST:PORT`, as Caddy writes one to listen on for any
/// name, and as Envoy writes them.
fn localised(text: &str, addresses: &[(u16, SocketAddr)]) -> String {
    let mut text = text.to_owned();
    // By way of marks, so that no new port is taken for an old one.
    for (port, _) in addresses {
        text = text
            .replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:@{port}@"))
            .replace(&format!("http://:{port} "), &format!("http://:@{port}@ "))
            .replace(
                &format!("port_value: {port} "),
                &format!("port_value: @{port}@ "),
            );
    }
    for (port, address) in addresses {
        text = text.replace(&format!("@{port}@"), &address.port().to_string());
    }
    text
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gateways")
}

/// Where its program is: Envoy isn't in Debian, and comes from elsewhere.
fn program(kind: &Kind) -> Result<PathBuf> {
    if let Some(envoy) = std::env::var_os("ENVOY").filter(|_| kind.program == "envoy") {
        return Ok(envoy.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders
        .map(|folder| folder.join(kind.program))
        .find(|program| program.is_file())
        .with_context(|| {
            format!(
                "{} isn't installed: `make e2e-gateways` does it",
                kind.program
            )
        })
}
