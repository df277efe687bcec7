//! The first service key: taken from the operator, or made and kept in a file only its owner reads.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use session_domain::port::Entropy;
use session_domain::secret::Credential;
use session_domain::service_key::{generate, is_well_formed};

/// The key in `path`; where `given` is one, that one is written there; where there is neither, a
/// fresh one is.
pub fn ready(path: &Path, given: Option<Credential>, entropy: &dyn Entropy) -> Result<Credential> {
    match (given, read(path)?) {
        (None, Some(kept)) => Ok(kept),
        (Some(given), Some(kept)) if given == kept => Ok(kept),
        (Some(given), _) => write(path, &given).map(|()| given),
        (None, None) => {
            let fresh = generate(entropy);
            write(path, &fresh).map(|()| fresh)
        }
    }
}

fn read(path: &Path) -> Result<Option<Credential>> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("can't read {shown}"))?,
    };
    let mode = fs::metadata(path)
        .with_context(|| format!("can't look at {shown}"))?
        .permissions()
        .mode();
    ensure!(
        mode & 0o077 == 0,
        "{shown} can be read by others than its owner; `chmod 600 {shown}`, or delete it"
    );
    let key = text.trim();
    ensure!(
        is_well_formed(key),
        "{shown} doesn't hold a service key; delete it to have one made"
    );
    Ok(Some(Credential::new(key.to_owned())))
}

/// Written beside and renamed, so that a crash leaves the whole key or none.
fn write(path: &Path, key: &Credential) -> Result<()> {
    let staged = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&staged)?;
        writeln!(file, "{}", key.expose())?;
        file.sync_all()?;
        fs::rename(&staged, path)
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_runtime::clock::SystemEntropy;

    #[test]
    fn a_key_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service-key");
        let made = ready(&path, None, &SystemEntropy).unwrap();
        assert!(is_well_formed(made.expose()));
        assert_eq!(ready(&path, None, &SystemEntropy).unwrap(), made);
        let given = generate(&SystemEntropy);
        assert_eq!(
            ready(&path, Some(given.clone()), &SystemEntropy).unwrap(),
            given
        );
        assert_eq!(ready(&path, None, &SystemEntropy).unwrap(), given);
    }

    #[test]
    fn a_key_others_can_read_or_that_is_none_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service-key");
        ready(&path, None, &SystemEntropy).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            ready(&path, None, &SystemEntropy)
                .unwrap_err()
                .to_string()
                .contains("chmod 600")
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "hunter2\n").unwrap();
        let error = ready(&path, None, &SystemEntropy).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "hunter2\n");
    }
}
