//! The program's command line.

use std::process::{Command, Output};

fn reaper(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-reaper"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SESSION_")) {
        command.env_remove(name);
    }
    command.args(args).output().expect("the program is there")
}

#[test]
fn it_lists_its_settings() {
    let output = reaper(&["settings"]);
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).expect("text");
    for field in ["database.url", "nats.url", "reaper.tick", "retention."] {
        assert!(table.contains(field), "{field}");
    }
}

#[test]
fn every_mistake_is_told_at_once_and_none_of_a_secret() {
    let mistaken = [
        "--set",
        "database.url=mysql://root:hunter2@db/x",
        "--set",
        "reaper.tick=never",
        "--set",
        "reaper.tock=1s",
    ];
    let output = reaper(&mistaken);
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8(output.stderr).expect("text");
    for field in ["database.url", "nats.url", "reaper.tick", "reaper.tock"] {
        assert!(said.contains(field), "{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}
