//! The configurations of `examples/gateways`: those that are YAML can be read, and all of them name
//! the identity fields as the code does, each of them and no other. A field added here and forgotten
//! there would be one that clients can make up.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_yaml::Value;
use session_client::identity;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gateways")
}

/// Every configuration, by its path, with its text.
fn configurations() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(examples()).expect("the examples") {
        let folder = folder.expect("its entry").path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder).expect("an example") {
            let path = file.expect("its file").path();
            let text = fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
    assert!(found.len() >= 12, "{} files", found.len());
    found
}

/// What a text is but for its comments.
fn without_comments(text: &str) -> String {
    let is_comment = |line: &&str| {
        let line = line.trim_start();
        line.starts_with('#') || line.starts_with("--")
    };
    let lines: Vec<_> = text.lines().filter(|line| !is_comment(line)).collect();
    lines.join("\n")
}

/// What a text names with this beginning, whatever its case and whatever stands before and after.
fn named(text: &str, beginning: &str) -> BTreeSet<String> {
    let text = text.to_ascii_lowercase();
    let starts = text.match_indices(beginning).map(|(at, _)| at);
    let names = starts.map(|at| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    names.collect()
}

fn fields() -> BTreeSet<String> {
    let names = identity::FIELDS.into_iter();
    names.map(|field| field.as_str().to_owned()).collect()
}

#[test]
fn what_is_yaml_can_be_read() {
    let mut read = 0;
    for (path, text) in configurations() {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        for document in serde_yaml::Deserializer::from_str(&text) {
            let value = Value::deserialize(document);
            let value = value.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(value.is_mapping(), "{}", path.display());
            read += 1;
        }
    }
    assert!(read >= 12, "{read} documents");
}

#[test]
fn wherever_the_identity_fields_are_listed_all_of_them_are_and_nothing_else() {
    // Those that overwrite the fields over gRPC, or take whatever begins like them, list none.
    let listing = [
        "nginx.conf",
        "Caddyfile",
        "haproxy.cfg",
        "dynamic.yaml",
        "ingress.yaml",
        "envoy-gateway.yaml",
    ];
    let mut seen = BTreeSet::new();
    for (path, text) in configurations() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut listed = named(&without_comments(&text), "x-session-");
        // What only a denial has, and a bare beginning, which stands for all of them.
        listed.retain(|name| name != "x-session-error" && name != "x-session-");
        if listing.contains(&name.as_ref()) {
            assert_eq!(listed, fields(), "{}", path.display());
            seen.insert(name.into_owned());
        } else {
            assert!(listed.is_empty(), "{}: {listed:?}", path.display());
        }
    }
    assert_eq!(seen.len(), listing.len(), "{seen:?}");
}

/// nginx and `HAProxy` take each value from a variable of its own: one taken from another's would be
/// a mistake that every request makes.
#[test]
fn each_field_is_set_from_its_own_variable() {
    for (folder, file, variable) in [
        ("nginx", "nginx.conf", "$session_"),
        ("haproxy", "haproxy.cfg", "txn.session_"),
    ] {
        let text = fs::read_to_string(examples().join(folder).join(file)).expect("text");
        for field in fields() {
            let own = field.replace("x-session-", "").replace('-', "_");
            let lines = text.lines().filter(|line| {
                let line = line.to_ascii_lowercase();
                let mut words = line.split_whitespace();
                words.any(|word| word == field) && line.contains("set") && line.contains("header")
            });
            let lines: Vec<_> = lines.collect();
            assert_eq!(lines.len(), 1, "{file}: {field}: {lines:?}");
            let value = lines[0].split(variable).nth(1).expect("a variable");
            let named: String = value
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            assert_eq!(named, own, "{file}");
        }
    }
    let script = examples().join("haproxy/session.lua");
    let script = fs::read_to_string(script).expect("text");
    let list = script.lines().find(|line| line.starts_with("local fields"));
    let list: BTreeSet<_> = list
        .expect("the list")
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    let expected = fields();
    let expected: BTreeSet<_> = expected
        .iter()
        .map(|field| field.trim_start_matches("x-session-"))
        .collect();
    assert_eq!(list, expected);
}

/// A gateway that lets requests through where nobody answers needs no validator.
#[test]
fn nothing_fails_open() {
    for (path, text) in configurations() {
        let text = without_comments(&text).to_ascii_lowercase();
        for said in [
            "failure_mode_allow: true",
            "failopen: true",
            "fail_open: true",
        ] {
            assert!(!text.contains(said), "{}: {said}", path.display());
        }
        if text.contains("extauthz") || text.contains("extauth:") {
            let said = ["failure_mode_allow: false", "failopen: false"];
            let says = said.iter().any(|said| text.contains(said));
            assert!(says, "{}", path.display());
        }
    }
}
