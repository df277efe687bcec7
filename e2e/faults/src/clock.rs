//! Wall clocks that are wrong: a shim before the C library, which every process asks for the time.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use session_testkit::deployment::Role;

const SOURCE: &str = include_str!("../clock/skew.c");

/// How far one process's wall clock is off.
#[derive(Debug)]
pub struct Skew {
    /// Mapped by the process: eight bytes, seconds.
    file: PathBuf,
    shim: PathBuf,
}

impl Skew {
    /// Not at all, yet.
    pub fn new(folder: &Path, role: Role, number: usize) -> Self {
        let file = folder.join(format!("{}-{number}-skew", role.program()));
        let skew = Self {
            file,
            shim: shim(folder),
        };
        skew.set(0);
        skew
    }

    /// Sets the clock off by so many seconds, from this moment on.
    pub fn set(&self, seconds: i64) {
        // In place: the process has it mapped.
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.file);
        let written = file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0));
        written.expect("a folder of our own");
    }

    /// What the process has to be told.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.shim.display().to_string()),
            ("SKEW_FILE", self.file.display().to_string()),
        ]
    }
}

/// The shim, compiled once for each folder.
fn shim(folder: &Path) -> PathBuf {
    static COMPILING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let library = folder.join("skew.so");
    if !library.exists() {
        let source = folder.join("skew.c");
        fs::write(&source, SOURCE).expect("a folder of our own");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .expect("there is a C compiler, as for building");
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{said}");
    }
    library
}
