//! A server's process: found, started, watched over and ended.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};

/// How long a server may take to answer for the first time.
pub(super) const START_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A port nobody listened on a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound port").port()
}

/// The program of that name, on the PATH or in one of the folders where Debian keeps it.
pub(super) fn program(name: &str, folders: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path).collect();
    let debian = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].map(PathBuf::from);
    folders
        .iter()
        .chain(&on_path)
        .chain(&debian)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("{name} isn't installed, and this test needs it: run `make deps` once")
        })
}

/// Who a server runs as. Some refuse to run as root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    /// The user's number.
    pub(super) uid: u32,
    /// The number of its group.
    pub(super) gid: u32,
}

impl User {
    /// Somebody else where this process is root; `None` where it isn't.
    pub(super) fn unless_ordinary(names: &[&str]) -> Option<Self> {
        if !getuid().is_root() {
            return None;
        }
        let known = std::fs::read_to_string("/etc/passwd").expect("the list of users");
        let of_name = |name: &&str| {
            let line = known
                .lines()
                .find(|line| line.split(':').next() == Some(*name))?;
            let mut fields = line.split(':').skip(2);
            Some(Self {
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            })
        };
        let found = names.iter().find_map(of_name);
        Some(found.unwrap_or_else(|| panic!("none of the users {names:?} exists")))
    }
}

/// A command that ends with this process, by `death`, and runs as `user` where there is one.
pub(crate) fn command(program: &Path, user: Option<User>, death: &str) -> Command {
    let mut command = Command::new(self::program("setpriv", &[]));
    command.arg(format!("--pdeathsig={death}"));
    if let Some(User { uid, gid }) = user {
        command
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"))
            .arg("--clear-groups");
    }
    command.arg("--").arg(program).stdin(Stdio::null());
    command
}

type Job = (Command, SyncSender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as this process: by "parent" the kernel means
/// the thread that forked, and tests' threads end before the servers they share.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
        let (jobs, todo) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, done) in todo {
                let _ = done.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (done, child) = sync_channel(1);
    SPAWNER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, done))
        .expect("the thread never ends");
    child.recv().expect("the thread never ends")
}

/// A server's process and how to start it again.
#[derive(Debug)]
pub(super) struct Process {
    program: PathBuf,
    user: Option<User>,
    death: &'static str,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// One that doesn't run yet. What it says goes to `log`; `death` is the signal it gets should
    /// this process die.
    pub(super) fn new(
        program: PathBuf,
        user: Option<User>,
        death: &'static str,
        log: PathBuf,
    ) -> Self {
        Self {
            program,
            user,
            death,
            log,
            child: None,
        }
    }

    /// Starts it, and returns once `answers` says so.
    pub(super) fn start(&mut self, args: &[OsString], answers: impl Fn() -> bool) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("the log can be written to");
        let mut command = command(&self.program, self.user, self.death);
        command
            .args(args)
            .stdout(log.try_clone().expect("a file"))
            .stderr(log);
        let child = spawn(command).expect("setpriv can be run");
        self.child = Some(child);
        if !within(START_WITHIN, || self.has_ended() || answers()) || self.has_ended() {
            let said = std::fs::read_to_string(&self.log).unwrap_or_default();
            self.kill();
            panic!("{} doesn't answer:\n{said}", self.program.display());
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // It was started here and is waited for only here, so the number is still its own.
            kill_process(Pid::from_child(child), signal).expect("a process of our own");
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until `happens`, for at most `span`. Says whether it did.
#[expect(
    clippy::disallowed_methods,
    reason = "a test harness waits for other programs, in their time"
)]
pub(crate) fn within(span: Duration, mut happens: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if happens() {
            return true;
        }
        if begun.elapsed() > span {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
