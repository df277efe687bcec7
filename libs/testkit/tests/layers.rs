//! The dependency rule, as `CONTRIBUTING.md` explains it to people. Breaking it fails this test
//! with the rule that was broken, so that it can be argued about in a review and not found out
//! about in a year.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const DOMAIN: &str = "session-domain";
const CLIENT: &str = "session-client";
const MIGRATIONS: &str = "session-migrations";
const RUNTIME: &str = "session-runtime";
const STANDALONE: &str = "session-standalone";
const TESTKIT: &str = "session-testkit";
const BENCH: &str = "session-bench";

/// The crates that adapt the domain's ports to something in the world.
const ADAPTERS: [&str; 5] = [
    "session-store",
    "session-cache",
    "session-bus",
    "session-token",
    "session-device",
];

/// Libraries whose use is one crate's secret, and the crates that may know it. A name ending in
/// `*` stands for all that begin so.
const WRAPPED: [(&str, &[&str]); 14] = [
    ("sea-orm", &["session-store", MIGRATIONS]),
    ("sea-orm-migration", &["session-store", MIGRATIONS]),
    ("sqlx", &["session-store", MIGRATIONS]),
    ("sea-query-sqlx", &["session-store"]),
    ("async-nats", &["session-bus"]),
    ("bb8-redis", &["session-cache"]),
    ("redis", &["session-cache"]),
    ("jsonwebtoken", &["session-token"]),
    ("maxminddb", &["session-device"]),
    ("memmap2", &["session-device"]),
    ("poem", &[RUNTIME, CLIENT, SERVICES, BENCH]),
    ("poem-openapi", &[SERVICES]),
    ("envoy-types", &["session-validator", BENCH]),
    ("tonic", &["session-validator", BENCH]),
];

/// What the client puts together for services that aren't ours, as their `main.rs` would: only where
/// asked to, by the feature `nats`, and only in `connect.rs`.
const READY_MADE: [&str; 3] = ["session-bus", RUNTIME, "session-token"];

/// Stands for every crate under `services/`.
const SERVICES: &str = "services/*";

/// What the domain must not know: I/O, runtimes, clocks, randomness.
const IMPURE: [&str; 9] = [
    "tokio",
    "getrandom",
    "rand",
    "rustix",
    "reqwest",
    "hyper",
    "tracing",
    "time",
    "chrono",
];

struct Package {
    name: String,
    folder: PathBuf,
    /// What it is built with; not what only its tests use.
    dependencies: BTreeSet<String>,
    /// Those of them that a feature asks for.
    optional: BTreeSet<String>,
    is_service: bool,
    /// Whether it tests the whole from outside.
    is_e2e: bool,
}

impl Package {
    fn ours(&self) -> impl Iterator<Item = &str> {
        let names = self.dependencies.iter().map(String::as_str);
        names.filter(|name| name.starts_with("session-"))
    }
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).expect("libs/testkit is two deep");
    root.to_owned()
}

/// Every crate of the workspace, by name.
fn packages() -> BTreeMap<String, Package> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| (text(&package["name"]), read(package)))
        .collect()
}

fn read(package: &Value) -> Package {
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    let folder = manifest.parent().expect("a manifest is in a folder");
    let dependencies = package["dependencies"].as_array().expect("a list");
    let built_with = || dependencies.iter().filter(|one| one["kind"] != "dev");
    let optional = built_with().filter(|one| one["optional"] == true);
    let above = folder.parent();
    Package {
        name: text(&package["name"]),
        folder: folder.to_owned(),
        dependencies: built_with().map(|one| text(&one["name"])).collect(),
        optional: optional.map(|one| text(&one["name"])).collect(),
        is_service: above.is_some_and(|above| above.ends_with("services")),
        is_e2e: above.is_some_and(|above| above.ends_with("e2e")),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn fail_if_any(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn the_domain_depends_on_none_of_ours_and_on_nothing_impure() {
    let packages = packages();
    let domain = &packages[DOMAIN];
    let broken: Vec<_> = domain
        .dependencies
        .iter()
        .filter(|name| name.starts_with("session-") || IMPURE.contains(&name.as_str()))
        .map(|name| format!("{DOMAIN} depends on {name}"))
        .collect();
    fail_if_any("the domain is pure", &broken);
}

#[test]
fn libraries_depend_on_the_domain_and_never_on_each_other() {
    let mut broken = Vec::new();
    for package in packages().values() {
        let allowed: &[&str] = match package.name.as_str() {
            "session-store" => &[DOMAIN, MIGRATIONS],
            MIGRATIONS | DOMAIN => &[],
            // Tests may put anything together.
            TESTKIT => continue,
            _ if package.is_service || package.is_e2e => continue,
            _ => &[DOMAIN],
        };
        let ready_made = |name: &str| {
            package.name == CLIENT && READY_MADE.contains(&name) && package.optional.contains(name)
        };
        let others = package.ours();
        let others = others.filter(|name| !allowed.contains(name) && !ready_made(name));
        broken.extend(others.map(|name| format!("{} depends on {name}", package.name)));
    }
    fail_if_any("adapters know the domain, not each other", &broken);
}

#[test]
fn only_standalone_depends_on_services() {
    let packages = packages();
    let mut broken = Vec::new();
    for package in packages.values().filter(|one| one.name != STANDALONE) {
        let services = package
            .ours()
            .filter(|name| packages.get(*name).is_some_and(|one| one.is_service));
        broken.extend(services.map(|name| format!("{} depends on {name}", package.name)));
    }
    fail_if_any(
        "processes are separate; standalone puts them together",
        &broken,
    );
}

/// What it can do, anybody can do over HTTP.
#[test]
fn the_command_line_knows_only_the_api() {
    let packages = packages();
    let broken: Vec<_> = packages["sessionctl"]
        .ours()
        .map(|name| format!("sessionctl depends on {name}"))
        .collect();
    fail_if_any("the command line is a client like others", &broken);
}

#[test]
fn each_technology_is_known_to_its_own_crate() {
    let mut broken = Vec::new();
    for package in packages().values() {
        for (library, allowed) in WRAPPED {
            let may = allowed.contains(&package.name.as_str())
                || (package.is_service && allowed.contains(&SERVICES));
            if package.dependencies.contains(library) && !may {
                broken.push(format!("{} depends on {library}", package.name));
            }
        }
    }
    fail_if_any("a technology is one crate's secret", &broken);
}

/// Only where a process is put together is it known from what.
#[test]
fn inside_services_only_main_and_config_name_adapters() {
    let mut broken = Vec::new();
    for package in packages().values().filter(|package| package.is_service) {
        let source = package.folder.join("src");
        for file in rust_files(&source) {
            let within = file.strip_prefix(&source).expect("it was found there");
            if within == Path::new("main.rs")
                || within == Path::new("config.rs")
                || within.starts_with("bin")
            {
                continue;
            }
            broken.extend(adapters_named_in(&file));
        }
    }
    fail_if_any("only main.rs, config.rs and bin/ name adapters", &broken);
}

#[test]
fn inside_the_client_only_connect_names_adapters() {
    let source = packages()[CLIENT].folder.join("src");
    let others = rust_files(&source).into_iter();
    let others = others.filter(|file| !file.ends_with("connect.rs"));
    let broken: Vec<_> = others.flat_map(|file| adapters_named_in(&file)).collect();
    fail_if_any("the decision core knows ports, not adapters", &broken);
}

fn adapters_named_in(file: &Path) -> Vec<String> {
    let code = fs::read_to_string(file).expect("source code is text");
    let mut named = Vec::new();
    for (number, line) in code.lines().enumerate() {
        // What a comment says, nobody links.
        let line = line.split("//").next().unwrap_or_default();
        for adapter in ADAPTERS {
            // As a path: a variable may well be called `session_token`.
            if line.contains(&format!("{}::", adapter.replace('-', "_"))) {
                named.push(format!("{}:{} names {adapter}", file.display(), number + 1));
            }
        }
    }
    named
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of source code") {
        let path = entry.expect("its entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
