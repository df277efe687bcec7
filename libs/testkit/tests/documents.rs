//! The documents that come with the code: what they point to is there. A guide that names a file
//! or a command that doesn't exist any more is worse than none.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders without documents of ours.
const SKIPPED: [&str; 4] = ["target", "var", "node_modules", ".git"];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).expect("libs/testkit is two deep");
    root.to_owned()
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("its entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !SKIPPED.contains(&name.as_ref()) {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// Every document with its text.
fn texts() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a document is text");
        (path, text)
    };
    documents(&root()).into_iter().map(read).collect()
}

/// What the document's links point to: the texts between `](` and `)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let (target, _) = rest.split_once(')')?;
        let target = target.split(['#', ' ']).next()?;
        let elsewhere = target.is_empty() || target.contains(':');
        (!elsewhere).then_some(target)
    })
}

#[test]
fn links_within_the_project_lead_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in texts() {
        let folder = path.parent().expect("a document is in a folder");
        for target in links(&text) {
            if !folder.join(target).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "broken links:\n  {}",
        broken.join("\n  ")
    );
}

#[test]
fn commands_that_are_named_exist() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("there is a Makefile");
    let exists = |target: &str| {
        let rule = format!("{target}:");
        makefile.lines().any(|line| line.starts_with(&rule))
    };
    let mut missing = Vec::new();
    for (path, text) in texts() {
        for named in text.split("`make ").skip(1) {
            let end =
                named.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '-');
            let target = &named[..end.unwrap_or(named.len())];
            if !target.is_empty() && !exists(target) {
                missing.push(format!("{}: make {target}", path.display()));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "no such target:\n  {}",
        missing.join("\n  ")
    );
}
