//! The folder of keys: made once, never replaced, refused when in doubt.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use session_domain::ids::Generation;
use session_domain::port::RefreshTokens;
use session_domain::secret::Secret256;
use session_domain::time::Timestamp;
use session_token::secrets::SecretsError;
use session_token::{RefreshDeriver, Secrets, SigningKey};

mod support;
use support::{SeededEntropy, session};

const KEK: &str = "key-encryption-key";
const REFRESH: &str = "refresh-key-1";
const NAMES: [&str; 2] = [KEK, REFRESH];

fn load(dir: &Path, seed: u64) -> Result<Secrets, SecretsError> {
    Secrets::load_or_create(dir, &SeededEntropy::new(seed))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_new_folder_is_filled_and_then_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a/b");
    let first = load(&dir, 1).unwrap();
    let files = contents(&dir);
    assert_eq!(
        files
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        NAMES
    );
    for (name, content) in &files {
        assert_eq!((content.len(), content[64]), (65, b'\n'), "{name}");
        assert!(content[..64].iter().all(u8::is_ascii_hexdigit));
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_ne!(files[0].1, files[1].1);

    let again = load(&dir, 2).unwrap();
    assert_eq!(contents(&dir), files);
    // Both are the same keys: what one sealed and derived, the other opens and proves.
    let entropy = SeededEntropy::new(3);
    let key = SigningKey::generate(&entropy).unwrap();
    let stored = key.seal(&first.kek, &entropy, Timestamp(0)).unwrap();
    assert!(SigningKey::open(&stored, &again.kek).is_ok());
    let (first, again) = [first, again]
        .map(|s| RefreshDeriver::new(s.refresh_keys, 1).unwrap())
        .into();
    let seed = Secret256([5; 32]);
    let token = first.derive(session(1), Generation(0), &seed);
    let claim = again.read(token.expose()).unwrap();
    assert!(again.proves(&claim, &seed));
}

#[test]
fn refusal_12_a_short_or_garbled_key_is_refused_by_name_and_not_replaced() {
    for name in NAMES {
        for bad in [
            "",
            "\n",
            "secret",
            &"a".repeat(63),
            &"g".repeat(64),
            &"a".repeat(66),
        ] {
            let root = tempfile::tempdir().unwrap();
            load(root.path(), 1).unwrap();
            let path = root.path().join(name);
            fs::write(&path, bad).unwrap();
            let error = load(root.path(), 1).unwrap_err();
            assert!(
                matches!(&error, SecretsError::NotAKey(at) if *at == path),
                "{error}"
            );
            assert!(error.to_string().contains(name));
            assert!(bad.is_empty() || bad == "\n" || !error.to_string().contains(bad));
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
    }
}

#[test]
fn a_key_others_may_read_or_change_is_refused() {
    for name in NAMES {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777] {
            let root = tempfile::tempdir().unwrap();
            load(root.path(), 1).unwrap();
            let path = root.path().join(name);
            set_mode(&path, mode);
            let error = load(root.path(), 1).unwrap_err();
            let named = matches!(&error, SecretsError::Exposed { path: at, mode: found }
                if *at == path && *found == mode);
            assert!(named, "{error}");
        }
        let root = tempfile::tempdir().unwrap();
        load(root.path(), 1).unwrap();
        set_mode(&root.path().join(name), 0o400);
        assert!(load(root.path(), 1).is_ok());
    }
}

#[test]
fn a_lost_key_is_not_made_anew() {
    for name in NAMES {
        let root = tempfile::tempdir().unwrap();
        load(root.path(), 1).unwrap();
        let path = root.path().join(name);
        fs::remove_file(&path).unwrap();
        let before = contents(root.path());
        let error = load(root.path(), 1).unwrap_err();
        assert!(
            matches!(&error, SecretsError::Missing(at) if *at == path),
            "{error}"
        );
        assert_eq!(contents(root.path()), before);
    }
}

#[test]
fn a_folder_is_not_a_key() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join(KEK)).unwrap();
    let error = load(root.path(), 1).unwrap_err();
    assert!(matches!(error, SecretsError::NotAKey(_)), "{error}");
}

#[test]
fn every_numbered_refresh_key_is_read_and_no_other_name() {
    let root = tempfile::tempdir().unwrap();
    load(root.path(), 1).unwrap();
    let add = |name: &str| {
        let path = root.path().join(name);
        fs::copy(root.path().join(REFRESH), &path).unwrap();
        path
    };
    add("refresh-key-2");
    add("refresh-key-255");
    let numbers: Vec<u8> = load(root.path(), 1)
        .unwrap()
        .refresh_keys
        .into_keys()
        .collect();
    assert_eq!(numbers, [1, 2, 255]);
    for bad in [
        "refresh-key-0",
        "refresh-key-02",
        "refresh-key-256",
        "refresh-key-x",
        "refresh-key-",
    ] {
        let path = add(bad);
        let error = load(root.path(), 1).unwrap_err();
        assert!(
            matches!(&error, SecretsError::Name(at) if *at == path),
            "{error}"
        );
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_a_crash_left_half_made_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(".key-encryption-key.new"), "half").unwrap();
    load(root.path(), 1).unwrap();
    let names: Vec<_> = contents(root.path())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, NAMES);
}

#[test]
fn processes_that_start_together_agree() {
    for round in 0..20_u64 {
        let root = tempfile::tempdir().unwrap();
        let dir = &root.path().join("secrets");
        let seed = Secret256([1; 32]);
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let one = |thread| {
                let secrets = load(dir, round * 100 + thread).unwrap();
                let deriver = RefreshDeriver::new(secrets.refresh_keys, 1).unwrap();
                deriver
                    .derive(session(1), Generation(0), &seed)
                    .expose()
                    .to_owned()
            };
            let threads: Vec<_> = (0..8_u64)
                .map(|thread| scope.spawn(move || one(thread)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }
}

#[test]
fn debug_shows_no_key() {
    let root = tempfile::tempdir().unwrap();
    let shown = format!("{:?}", load(root.path(), 1).unwrap());
    assert_eq!(
        shown,
        "Secrets { kek: KeyEncryptionKey(…), refresh_keys: {1: RefreshKey(…)} }"
    );
}
