use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Process, free_port, program};
use super::{controls, folder};

/// A Redis server of a test's own. Keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    folder: TempDir,
}

controls!(Redis);

impl Redis {
    /// An empty one.
    pub fn start() -> Self {
        let folder = folder::fresh("redis");
        let log = folder.path().join("log");
        let mut server = Self {
            process: Process::new(program("redis-server", &[]), None, "KILL", log),
            port: free_port(),
            folder,
        };
        server.run();
        server
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn run(&mut self) {
        let port = self.port.to_string();
        let mut args: Vec<OsString> = ["--bind", "127.0.0.1", "--port", &port]
            .into_iter()
            .chain(["--save", "", "--appendonly", "no", "--dir"])
            .map(Into::into)
            .collect();
        args.push(self.folder.path().into());
        let address = self.address();
        self.process.start(&args, || answers(address));
    }
}

fn answers(address: SocketAddr) -> bool {
    let patience = Duration::from_secs(1);
    let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else {
        return false;
    };
    let mut pong = [0; 5];
    stream.set_read_timeout(Some(patience)).is_ok()
        && stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut pong).is_ok()
        && &pong == b"+PONG"
}
