use std::ffi::OsString;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Process, free_port, program};
use super::{controls, folder};

/// A NATS server of a test's own.
#[derive(Debug)]
pub struct Nats {
    process: Process,
    port: u16,
    /// Removed after the process has ended: fields are dropped in this order.
    folder: TempDir,
}

controls!(Nats);

impl Nats {
    /// One that lets everybody in and has `JetStream`.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// One with these lines in its configuration file, besides its address and folder.
    pub fn start_with(configuration: &str) -> Self {
        let mut server = Self::down(configuration);
        server.run();
        server
    }

    /// One that isn't there yet: [`Self::restart`] starts it.
    pub fn down(configuration: &str) -> Self {
        let folder = folder::fresh("nats");
        let port = free_port();
        let path = folder.path().display();
        let file = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{path}/jetstream\" }}\n{configuration}\n"
        );
        std::fs::write(folder.path().join("nats.conf"), file).expect("a folder of our own");
        let log = folder.path().join("log");
        Self {
            process: Process::new(program("nats-server", &[]), None, "KILL", log),
            port,
            folder,
        }
    }

    /// Its URL, without a login.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Its URL, with a user and a password.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("nats://{user}:{password}@{}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The folder with its configuration (`nats.conf`) and its log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn run(&mut self) {
        let configuration = self.folder.path().join("nats.conf");
        let args = [OsString::from("-c"), configuration.into()];
        let address = self.address();
        self.process.start(&args, || greets(address));
    }
}

/// Whether a server says hello there, as NATS servers do first.
fn greets(address: SocketAddr) -> bool {
    let patience = Duration::from_secs(1);
    let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else {
        return false;
    };
    let mut hello = [0; 5];
    stream.set_read_timeout(Some(patience)).is_ok()
        && stream.read_exact(&mut hello).is_ok()
        && &hello == b"INFO "
}
