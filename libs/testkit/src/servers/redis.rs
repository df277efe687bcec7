use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Process, free_port, program};
use super::{controls, folder};

/// Longer than a server that runs takes to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Redis server of a test's own. Writes to disk only when told to (`SAVE`), and starts again with
/// what was written last.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    settings: Vec<String>,
    folder: TempDir,
}

controls!(Redis);

impl Redis {
    /// An empty one that lets everybody in.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One with these arguments on its command line, besides its address and folder.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut server = Self::down(settings);
        server.run();
        server
    }

    /// One that isn't there yet: [`Self::restart`] starts it.
    pub fn down(settings: &[&str]) -> Self {
        let folder = folder::fresh("redis");
        let log = folder.path().join("log");
        Self {
            process: Process::new(program("redis-server", &[]), None, "KILL", log),
            port: free_port(),
            settings: settings.iter().map(|&text| text.to_owned()).collect(),
            folder,
        }
    }

    /// The one that all tests of this process share, each under keys of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Its URL, without a login.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Its URL, with a user and a password.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@{}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The folder with its log and what it saved.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it answers to a command, its first line: `+OK`, `:1`, `-ERR …`.
    pub fn say(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        let sent = stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| write!(stream, "{command}\r\n"));
        sent.expect("it takes commands");
        let mut answer = String::new();
        let read = BufReader::new(stream).read_line(&mut answer);
        read.expect("it answers");
        answer.trim_end().to_owned()
    }

    fn run(&mut self) {
        let port = self.port.to_string();
        let mut args: Vec<OsString> = ["--bind", "127.0.0.1", "--port", &port]
            .into_iter()
            .chain(["--save", "", "--appendonly", "no"])
            .chain(self.settings.iter().map(String::as_str))
            .map(Into::into)
            .collect();
        args.extend(["--dir".into(), self.folder.path().into()]);
        let address = self.address();
        self.process.start(&args, || answers(address));
    }
}

/// Whether it answers, be it that it wants a password first.
fn answers(address: SocketAddr) -> bool {
    let patience = Duration::from_secs(1);
    let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else {
        return false;
    };
    let mut answer = [0; 5];
    stream.set_read_timeout(Some(patience)).is_ok()
        && stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && (&answer == b"+PONG" || &answer == b"-NOAU")
}
