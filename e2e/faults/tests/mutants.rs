//! That every mutant can still be made of the source as it is: `mutants.sh` takes an hour to say so.

use std::fs;
use std::path::Path;

/// What a patch replaces: a file, and lines of it.
fn hunks(patch: &str) -> Vec<(String, String)> {
    let (mut file, mut found) = (String::new(), Vec::new());
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            path.clone_into(&mut file);
        } else if line.starts_with("@@ ") {
            found.push((file.clone(), String::new()));
        } else if let (Some((_, old)), Some(' ' | '-')) = (found.last_mut(), line.chars().next()) {
            old.push_str(&line[1..]);
            old.push('\n');
        }
    }
    found
}

#[test]
fn every_mutant_is_of_the_source_as_it_is() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in fs::read_dir(here.join("mutants")).unwrap() {
        let path = entry.unwrap().path();
        let hunks = hunks(&fs::read_to_string(&path).unwrap());
        assert!(!hunks.is_empty(), "{} changes nothing", path.display());
        for (file, old) in hunks {
            let source = fs::read_to_string(here.join("../..").join(&file)).unwrap();
            let places = source.matches(&old).count();
            assert_eq!(
                places,
                1,
                "{}: {file} has not just one\n{old}",
                path.display()
            );
        }
        seen += 1;
    }
    assert_eq!(seen, 2, "mutants");
}
