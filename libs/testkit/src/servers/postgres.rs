use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

use super::process::{Process, START_WITHIN, User, command, free_port, program, within};
use super::{controls, folder};

/// A PostgreSQL server of a test's own. It never waits for the disk, except where asked to
/// ([`Self::durable`]): what a killed server process had committed is kept by the system all the
/// same, and the machine isn't part of any test.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    psql: PathBuf,
    /// Whether a commit waits for the disk.
    durable: bool,
    /// The templates made so far.
    templates: Mutex<Vec<String>>,
    databases: AtomicU64,
    folder: TempDir,
}

controls!(Postgres);

impl Postgres {
    /// A fresh one. Takes more than a second: where tests don't hurt it they use
    /// [`Self::shared`].
    pub fn start() -> Self {
        Self::new(false)
    }

    /// A fresh one that waits for the disk at each commit, as one in service does: to measure by.
    pub fn durable() -> Self {
        Self::new(true)
    }

    fn new(durable: bool) -> Self {
        let folder = folder::fresh("postgres");
        // PostgreSQL refuses to run as root.
        let user = User::unless_ordinary(&["postgres", "nobody"]);
        if let Some(User { uid, gid }) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("root may give it away");
        }
        let bin = newest_bin();
        initialise(&program("initdb", &bin), user, folder.path());
        let log = folder.path().join("log");
        let mut server = Self {
            // A postmaster that is killed leaves its children to notice; QUIT takes them along.
            process: Process::new(program("postgres", &bin), user, "QUIT", log),
            port: free_port(),
            psql: program("psql", &bin),
            durable,
            templates: Mutex::default(),
            databases: AtomicU64::new(0),
            folder,
        };
        server.run();
        server
    }

    /// The one that all tests of this process share, each with databases of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// An empty database.
    pub fn empty(&self) -> Database<'_> {
        self.create("template0")
    }

    /// A copy of the template of that name. The first call makes it: an empty database, filled by
    /// `fill` at the URL it is given. No connection may stay open there.
    pub fn copy_of(&self, template: &str, fill: impl FnOnce(&str)) -> Database<'_> {
        let mut templates = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !templates.iter().any(|known| known == template) {
            self.execute(&format!(
                "CREATE DATABASE \"{template}\" TEMPLATE template0"
            ));
            fill(&self.url(template));
            templates.push(template.to_owned());
        }
        // Copying needs the template for itself, so the lock is kept.
        self.create(template)
    }

    fn create(&self, template: &str) -> Database<'_> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE \"{template}\""));
        Database { server: self, name }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Runs a statement as the administrator.
    fn execute(&self, statement: &str) {
        let output = Command::new(&self.psql)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement])
            .arg(self.url("postgres"))
            .stdin(Stdio::null())
            .output()
            .expect("psql can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statement}: {said}");
    }

    fn run(&mut self) {
        let data = data(self.folder.path());
        // Those a killed one left notice in their own time, and until they have, no other may use
        // what they share.
        let alone = within(START_WITHIN, || !somebody_works_in(&data));
        assert!(alone, "a server that was killed doesn't end");
        // What a killed one left; it belongs to nobody now.
        let _ = std::fs::remove_file(data.join("postmaster.pid"));
        let port = self.port.to_string();
        let mut args: Vec<OsString> = vec!["-D".into(), data.into(), "-p".into(), port.into()];
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            if self.durable {
                "fsync=on"
            } else {
                "fsync=off"
            },
            if self.durable {
                "full_page_writes=on"
            } else {
                "full_page_writes=off"
            },
            "max_connections=200",
        ] {
            args.extend(["-c".into(), setting.into()]);
        }
        let (psql, url) = (self.psql.clone(), self.url("postgres"));
        self.process.start(&args, || {
            let answered = Command::new(&psql)
                .args(["-X", "-q", "-c", "SELECT 1"])
                .arg(&url)
                .env("PGCONNECT_TIMEOUT", "1")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            answered.is_ok_and(|status| status.success())
        });
    }
}

/// A database of a test's own, removed when dropped.
#[derive(Debug)]
pub struct Database<'a> {
    server: &'a Postgres,
    name: String,
}

impl Database<'_> {
    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A failed test has more to say than that the server is gone, too.
        if !std::thread::panicking() && self.server.pid().is_some() {
            let name = &self.name;
            self.server
                .execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn initialise(initdb: &Path, user: Option<User>, folder: &Path) {
    let output = command(initdb, user, "KILL")
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
        .args(["--no-locale", "--no-sync", "-D"])
        .arg(data(folder))
        .current_dir(folder)
        .output()
        .expect("setpriv can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "initdb: {said}");
}

/// Whether any process has this as its folder, as all of a PostgreSQL server's have.
fn somebody_works_in(folder: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    processes
        .filter_map(Result::ok)
        .filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok())
        .any(|works_in| works_in == folder)
}

/// Where Debian keeps the newest version's programs.
pub(super) fn newest_bin() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut numbered: Vec<_> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect();
    numbered.sort();
    numbered.into_iter().rev().map(|(_, bin)| bin).collect()
}
