//! The product's own programs, as fresh as the source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a process of the product is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `session-api`.
    Api,
    /// `session-validator`.
    Validator,
    /// `session-reaper`.
    Reaper,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Api, Self::Validator, Self::Reaper];

    /// The program's name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Api => "session-api",
            Self::Validator => "session-validator",
            Self::Reaper => "session-reaper",
        }
    }

    /// Where the program is. The first call builds all of them, in the profile this one was built
    /// in and beside it.
    pub fn path(self) -> PathBuf {
        static FOLDER: OnceLock<PathBuf> = OnceLock::new();
        FOLDER.get_or_init(build).join(self.program())
    }
}

/// Builds the programs. Gives the folder they are in.
fn build() -> PathBuf {
    let folder = folder();
    // `make test` has built them with everything else; on their own, cargo would build their
    // dependencies once more, with fewer features.
    if std::env::var_os("TESTKIT_PROGRAMS").is_some_and(|state| state == "built") {
        return folder;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "-q", "-j2"]).stdin(Stdio::null());
    for role in Role::ALL {
        build.args(["-p", role.program()]);
    }
    if folder.ends_with("release") {
        build.arg("--release");
    }
    // Cargo's own variables are about the crate under test, and would have others built anew.
    let status = build
        .current_dir(workspace())
        .env_remove("CARGO_MANIFEST_DIR")
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "the programs can't be built");
    folder
}

/// The folder of this build's programs: above the one of tests and examples.
fn folder() -> PathBuf {
    let this = std::env::current_exe().expect("a program knows where it is");
    let folder = this.parent().expect("a folder");
    let above = ["deps", "examples"]
        .iter()
        .any(|name| folder.ends_with(name));
    let folder = if above { folder.parent() } else { Some(folder) };
    folder.expect("a target folder").to_owned()
}

fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate is two deep")
}
