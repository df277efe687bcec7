//! Every difference between the engines that the schema knows of.

use sea_orm_migration::sea_orm::DbBackend;

/// What the engines call things.
pub(crate) struct Words {
    /// A whole number of 64 bits. On SQLite the word that lets a primary key be the row's own
    /// number, so that no second index is needed.
    number: &'static str,
    /// Bytes.
    blob: &'static str,
    /// An identifier of 16 bytes, ordered by them on both engines.
    uuid: &'static str,
    /// A primary key the engine counts up and never gives twice.
    counted: &'static str,
}

impl Words {
    pub(crate) fn of(backend: DbBackend) -> Self {
        if backend == DbBackend::Sqlite {
            Self {
                number: "INTEGER",
                blob: "BLOB",
                uuid: "BLOB",
                counted: "INTEGER PRIMARY KEY AUTOINCREMENT",
            }
        } else {
            Self {
                number: "BIGINT",
                blob: "BYTEA",
                uuid: "UUID",
                counted: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            }
        }
    }

    /// Writes a statement in this engine's words.
    pub(crate) fn fill(&self, sql: &str) -> String {
        sql.replace("{number}", self.number)
            .replace("{blob}", self.blob)
            .replace("{uuid}", self.uuid)
            .replace("{counted}", self.counted)
    }
}

/// What makes `session_events` append-only, and serials count up: PostgreSQL draws them from a
/// sequence, which doesn't wait for other transactions; SQLite, where writers wait for each other
/// anyway, counts in `revocation_head.next_serial`, which rolls back with the transaction.
pub(crate) fn particulars(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Sqlite {
        &[
            "CREATE TRIGGER session_events_append_only BEFORE UPDATE ON session_events
           BEGIN SELECT RAISE(ABORT, 'session_events is append-only'); END",
        ]
    } else {
        &[
            // One at a time: a sequence that hands out blocks lets a later login have the smaller
            // serial, and floors compare serials.
            "CREATE SEQUENCE session_serial AS BIGINT START 1 CACHE 1",
            "CREATE FUNCTION session_events_append_only() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'session_events is append-only'; END $$",
            "CREATE TRIGGER session_events_append_only BEFORE UPDATE ON session_events
             FOR EACH ROW EXECUTE FUNCTION session_events_append_only()",
        ]
    }
}

/// Undoes [`particulars`]; what belongs to a table goes with it.
pub(crate) fn undo_particulars(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Sqlite {
        &[]
    } else {
        &[
            "DROP FUNCTION session_events_append_only",
            "DROP SEQUENCE session_serial",
        ]
    }
}

/// Keeps other processes from migrating until the transaction ends. SQLite's immediate
/// transaction does so by itself; PostgreSQL needs a lock, since sea-orm takes none. The number is
/// arbitrary and only has to be always the same.
pub(crate) fn migration_lock(backend: DbBackend) -> Option<&'static str> {
    (backend == DbBackend::Postgres).then_some("SELECT pg_advisory_xact_lock(7305523041296379)")
}

/// Counts (as `n`) what is in the database, to recognise one that belongs to another program.
/// Only a SQLite file is ours as a whole; a PostgreSQL schema may be shared.
pub(crate) fn count_of_everything(backend: DbBackend) -> Option<&'static str> {
    (backend == DbBackend::Sqlite).then_some("SELECT COUNT(*) AS n FROM sqlite_master")
}
