//! The file: what is kept in it, who may open it, and what is refused without touching it.

mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use sea_orm::ConnectionTrait;
use session_domain::contract::log::entries;
use session_domain::contract::sample;
use session_domain::ids::{EventId, LogEpoch, Seq, Serial};
use session_domain::port::{EventOutbox, RevocationLog, SessionStore};
use session_store::{OpenError, SqliteStore};
use support::{directory, end, open, raw, start, try_open};

/// Everything in a directory but the lock, which is nobody's data.
fn contents(directory: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with("-lock"))
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// Opens what must be refused, and checks that nothing was written, made or removed.
async fn refused(path: &Path) -> OpenError {
    let before = contents(path.parent().unwrap());
    let error = try_open(path).await.unwrap_err();
    let after = contents(path.parent().unwrap());
    assert!(
        before == after,
        "touched: {:?} became {:?}",
        before.keys(),
        after.keys()
    );
    error
}

/// A closed store with `count` sessions, the even ones ended.
async fn filled(path: &Path, count: u128) {
    let store = open(path).await;
    for number in 1..=count {
        start(&store, number, "alice").await;
        if number % 2 == 0 {
            end(&store, number).await;
        }
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn reopening_finds_everything() {
    let (_directory, path) = directory();
    let store = open(&path).await;
    let first = start(&store, 1, "alice").await;
    start(&store, 2, "alice").await;
    end(&store, 2).await;
    let head = store.head().await.unwrap();
    assert_ne!(
        head.epoch,
        LogEpoch(0),
        "the epoch is drawn when the log is founded"
    );
    store.close().await.unwrap();
    assert_eq!(
        contents(path.parent().unwrap()).len(),
        1,
        "a closed store is one file"
    );

    let store = open(&path).await;
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(
        store.find(&first.tenant, first.id).await.unwrap(),
        Some(first)
    );
    assert_eq!(
        store.ended_serials(Serial(0), Serial(9)).await.unwrap(),
        [Serial(2)]
    );
    assert_eq!(entries(&*store, Seq(0), 10).await.len(), 1);
    assert_eq!(start(&store, 3, "alice").await.serial, Serial(3));
}

/// The number of the last event.
async fn last_event(store: &dyn EventOutbox) -> EventId {
    let events = store.unrelayed(1_000).await.unwrap();
    events.last().expect("something has happened").id
}

/// No serial and no event's number is given twice, and what only the lost file knew is dead.
#[tokio::test]
async fn a_file_restored_from_a_backup_begins_a_new_epoch() {
    let (_directory, path) = directory();
    let backup = path.with_file_name("backup.db");
    filled(&path, 2).await;
    fs::copy(&path, &backup).unwrap();
    let store = open(&path).await;
    let before = store.head().await.unwrap();
    assert_eq!(start(&store, 3, "alice").await.serial, Serial(3));
    let lost_event = last_event(&*store).await;
    store.close().await.unwrap();

    fs::copy(&backup, &path).unwrap();
    let store = open(&path).await;
    let head = store.head().await.unwrap();
    assert_ne!(head.epoch, before.epoch);
    assert_eq!(head.seq, before.seq, "it goes on counting");
    let serial = start(&store, 4, "alice").await.serial;
    assert!(serial > Serial(1 << 32), "{serial}");
    let skipped = store.snapshot(None).await.unwrap().skipped;
    assert!(skipped[0].contains(Serial(3)) && !skipped[0].contains(serial));
    let event = last_event(&*store).await;
    assert!(event.0 > lost_event.0 + (1 << 32), "{event}");
    store.close().await.unwrap();

    // The same file again is the same history, also as a killed process leaves it.
    let store = open(&path).await;
    assert_eq!(store.head().await.unwrap(), head);
    let (_copies, copy) = directory();
    for suffix in ["", "-wal", "-lock"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(&path), name(&copy)).unwrap();
    }
    assert_eq!(open(&copy).await.head().await.unwrap(), head);
}

#[tokio::test]
async fn a_closed_store_answers_with_errors() {
    let (_directory, path) = directory();
    let store = open(&path).await;
    store.close().await.unwrap();
    assert!(store.head().await.is_err());
    assert!(
        store
            .release(session_domain::ids::InstanceId(uuid::Uuid::nil()), 1)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused() {
    let (_directory, path) = directory();
    let store = open(&path).await;
    assert!(matches!(try_open(&path).await, Err(OpenError::InUse)));
    // By another name it is the same file.
    let link = path.with_file_name("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(try_open(&link).await, Err(OpenError::InUse)));
    start(&store, 1, "alice").await;
    store.close().await.unwrap();
    open(&path).await;
}

#[tokio::test]
async fn what_a_crash_left_in_the_write_ahead_log_is_kept() {
    let (_directory, path) = directory();
    let store = open(&path).await;
    let session = start(&store, 1, "alice").await;
    // The files as a killed process leaves them.
    let (_copies, copy) = directory();
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(&path), name(&copy)).unwrap();
    }
    let store = open(&copy).await;
    assert_eq!(
        store.find(&session.tenant, session.id).await.unwrap(),
        Some(session)
    );
}

#[tokio::test]
async fn an_empty_file_is_founded() {
    let (_directory, path) = directory();
    fs::write(&path, "").unwrap();
    assert_eq!(open(&path).await.head().await.unwrap().seq, Seq(0));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    for garbage in [
        "x",
        "not a database ".repeat(1_000).as_str(),
        "SQLite format 3\0 and then nothing of it",
    ] {
        let (_directory, path) = directory();
        fs::write(&path, garbage).unwrap();
        assert!(
            matches!(refused(&path).await, OpenError::Corrupt { .. }),
            "{garbage:.20}"
        );
    }
}

#[tokio::test]
async fn a_truncated_file_is_refused() {
    let (_directory, path) = directory();
    filled(&path, 100).await;
    let whole = fs::read(&path).unwrap();
    for kept in [
        whole.len() / 2,
        whole.len() - 4_096,
        whole.len() - 1,
        4_096,
        100,
        20,
    ] {
        fs::write(&path, &whole[..kept]).unwrap();
        let error = refused(&path).await;
        assert!(
            matches!(error, OpenError::Corrupt { .. }),
            "{kept} of {}: {error:?}",
            whole.len()
        );
    }
    fs::write(&path, &whole).unwrap();
    open(&path).await;
}

#[tokio::test]
async fn a_damaged_page_is_refused() {
    let (_directory, path) = directory();
    filled(&path, 100).await;
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 4_096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(refused(&path).await, OpenError::Corrupt { .. }));
}

#[tokio::test]
async fn a_schema_expanded_by_a_newer_binary_is_worked_on_as_long_as_it_admits_this_one() {
    let (_directory, path) = directory();
    filled(&path, 2).await;
    let db = raw(&path).await;
    db.execute_unprepared(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000000_future', 0)",
    )
    .await
    .unwrap();
    session_migrations::migrate(&db).await.unwrap();
    db.close().await.unwrap();
    try_open(&path).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    for newer in [
        // Its history and ours forked.
        "UPDATE seaql_migrations SET version = 'm29991231_000000_future'
         WHERE version = (SELECT max(version) FROM seaql_migrations)",
        "UPDATE schema_info SET min_binary = 1000",
    ] {
        let (_directory, path) = directory();
        filled(&path, 2).await;
        let db = raw(&path).await;
        db.execute_unprepared(newer).await.unwrap();
        // Once while it is in the write-ahead log only, once in the file itself.
        let (_copies, copy) = directory();
        for suffix in ["", "-wal", "-shm"] {
            let name = |path: &Path| format!("{}{suffix}", path.display());
            fs::copy(name(&path), name(&copy)).unwrap();
        }
        assert!(matches!(
            try_open(&copy).await,
            Err(OpenError::Newer { .. })
        ));
        for suffix in ["", "-wal"] {
            let name = |path: &Path| format!("{}{suffix}", path.display());
            assert!(fs::read(name(&path)).unwrap() == fs::read(name(&copy)).unwrap());
        }
        db.close().await.unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::Newer { unknown } if unknown.len() == 1));
    }
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let (_directory, path) = directory();
    let db = raw(&path).await;
    db.execute_unprepared("CREATE TABLE recipes (name TEXT)")
        .await
        .unwrap();
    db.close().await.unwrap();
    assert!(matches!(refused(&path).await, OpenError::Foreign));
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error() {
    let (directory, path) = directory();
    drop(directory);
    assert!(matches!(try_open(&path).await, Err(OpenError::Io(_))));
}

#[tokio::test]
async fn the_schema_goes_down_and_up_again() {
    use session_migrations::Migrator;
    use session_migrations::MigratorTrait as _;
    let (_directory, path) = directory();
    let db = raw(&path).await;
    session_migrations::migrate(&db).await.unwrap();
    session_migrations::migrate(&db).await.unwrap();
    Migrator::down(&db, None).await.unwrap();
    session_migrations::migrate(&db).await.unwrap();
    db.close().await.unwrap();
    let store: SqliteStore = try_open(&path).await.unwrap();
    assert_eq!(
        store
            .find(&sample::tenant("a"), sample::session_id(1))
            .await
            .unwrap(),
        None
    );
}
