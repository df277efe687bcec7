//! One process of the product: started, watched, hurt and ended.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Role;
use crate::servers::process::{command, spawn, within};

/// Longer than anything takes that works, on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the environment says to a process: names and values.
pub type Settings = BTreeMap<String, String>;

/// A command with these settings and none of this process's own. Whatever it starts ends with this
/// process.
fn configured(role: Role, settings: &Settings, death: &str) -> Command {
    let mut command = command(&role.path(), None, death);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SESSION_")) {
        command.env_remove(name);
    }
    command.envs(settings);
    command
}

/// Runs a program that is to end by itself; killed, should it go on after all.
pub fn output(role: Role, settings: &Settings, args: &[&str]) -> Output {
    let mut command = configured(role, settings, "KILL");
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = spawn(command).expect("setpriv can be run");
    let pid = Pid::from_child(&child);
    let (ended, waiting) = channel::<()>();
    std::thread::spawn(move || {
        use std::sync::mpsc::RecvTimeoutError::Timeout;
        if waiting.recv_timeout(PATIENCE) == Err(Timeout) {
            // Gone by itself in this very moment, perhaps.
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().expect("a child");
    drop(ended);
    output
}

/// A process of the product. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    role: Role,
    settings: Settings,
    child: Option<Child>,
    listens: BTreeMap<String, SocketAddr>,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Starts one, and returns once it listens, which is long before it is ready.
    pub fn start(role: Role, settings: Settings) -> Self {
        let mut program = Self {
            role,
            settings,
            child: None,
            listens: BTreeMap::new(),
            log: Arc::default(),
        };
        program.run();
        program
    }

    fn run(&mut self) {
        let mut command = configured(self.role, &self.settings, "KILL");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn(command).expect("setpriv can be run");
        let lines = child.stderr.take().expect("a pipe");
        self.child = Some(child);
        let (said, listening) = channel();
        let kept = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let event = serde_json::from_str::<Value>(&line).unwrap_or_default();
                if event["message"] == "listening" && event["private"].is_string() {
                    let _ = said.send(event);
                }
                let mut log = locked(&kept);
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(event) = listening.recv_timeout(PATIENCE) else {
            self.kill();
            panic!("{} doesn't listen:\n{}", self.role.program(), self.log());
        };
        let addresses = event.as_object().into_iter().flatten();
        self.listens = addresses
            .filter_map(|(name, address)| Some((name.clone(), address.as_str()?.parse().ok()?)))
            .collect();
        // Started again it shall be found where it was.
        for (name, address) in &self.listens {
            let variable = format!("SESSION_{}__LISTEN", name.to_uppercase());
            self.settings.insert(variable, address.to_string());
        }
    }

    /// What it is for.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Where it listens as `api`, `validator` or `private`; the same after a restart.
    pub fn address(&self, listener: &str) -> SocketAddr {
        self.listens[listener]
    }

    /// The URL of a path there.
    pub fn url(&self, listener: &str, path: &str) -> String {
        format!("http://{}{path}", self.address(listener))
    }

    /// The status of `/readyz`; `None` where nobody answers.
    pub fn readiness(&self) -> Option<u16> {
        let patience = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&self.address("private"), patience).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).ok()?;
        // "HTTP/1.1 200".
        std::str::from_utf8(&answer[9..]).ok()?.parse().ok()
    }

    /// Whether it may be sent work.
    pub fn is_ready(&self) -> bool {
        self.readiness() == Some(200)
    }

    /// Returns once it is ready.
    pub fn eventually_ready(&self) {
        assert!(
            within(PATIENCE, || self.is_ready()),
            "{} isn't ready:\n{}",
            self.role.program(),
            self.log()
        );
    }

    /// Its process id; `None` while it doesn't run.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it has logged, over all its lives.
    pub fn log(&self) -> String {
        locked(&self.log).clone()
    }

    /// Ends it as `kill -9` does. [`Self::restart`] brings it back.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it in its tracks (`SIGSTOP`).
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Self::stop`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again where it was, killing it first where it runs. Returns once it listens.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Tells it to stop (`SIGTERM`), and waits until it has. Says whether it did well.
    pub fn terminate(&mut self) -> bool {
        self.signal(Signal::TERM);
        let ended = within(PATIENCE, || {
            self.child
                .as_mut()
                .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
        });
        if !ended {
            return false;
        }
        let status = self.child.take().map(|mut child| child.wait());
        matches!(status, Some(Ok(status)) if status.success())
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // Started here and waited for only here, so the number is still its own.
            kill_process(Pid::from_child(child), signal).expect("a process of our own");
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} ---\n{}", self.role.program(), self.log());
        }
    }
}

fn locked(log: &Mutex<String>) -> MutexGuard<'_, String> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
