//! Folders that don't outlive their test process for long, however it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use tempfile::TempDir;

const PREFIX: &str = "session-testkit-";

/// An empty folder, removed when dropped.
pub(crate) fn fresh(what: &str) -> TempDir {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep);
    let prefix = format!("{PREFIX}{}-{what}-", std::process::id());
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir()
        .expect("the temporary folder can be written to")
}

/// Removes what processes left behind that no longer run.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    let left_behind = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(is_orphan));
    for entry in left_behind {
        // Another process may be sweeping, too.
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn is_orphan(name: &str) -> bool {
    let owner = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split('-').next())
        .and_then(|pid| pid.parse::<u32>().ok());
    owner.is_some_and(|pid| Path::new("/proc/self").exists() && !process_folder(pid).exists())
}

fn process_folder(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_left_is_an_orphan() {
        assert!(!is_orphan(&format!(
            "{PREFIX}{}-nats-x",
            std::process::id()
        )));
        assert!(is_orphan(&format!("{PREFIX}{}-nats-x", u32::MAX)));
        assert!(!is_orphan("something-else") && !is_orphan(&format!("{PREFIX}x-nats")));
    }
}
