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

/// What begins a new epoch of the log, whoever writes: it goes with the row that everybody who adds
/// an entry updates. On PostgreSQL an update finds out by itself that the database is another than
/// before: of another cluster, on another timeline (a failover, a restored backup), or made anew
/// from a dump. A file can't tell; there, whoever opens it compares.
///
/// Serials go on 2^32 later at least (more than a day of 49 000 logins a second may have drawn), and
/// not before 2048 for each millisecond since 1970: if histories are lost one after the other, each
/// goes on beyond all of them, as none draws faster than that. On PostgreSQL a lost history may also
/// have drawn a few that are smaller than the greatest that is left, as serials aren't drawn in the
/// order of commits: of the last ones, those of no session are dead.
///
/// Events go on as far beyond, for the same reason: others know an event by its number, and take no
/// notice of one they have heard before.
pub(crate) fn log_epochs(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Sqlite {
        &[
            "UPDATE revocation_head SET origin = 'file'",
            "CREATE TRIGGER revocation_head_epoch AFTER UPDATE OF origin ON revocation_head
             WHEN NEW.origin IS NULL BEGIN
                 DELETE FROM revocation_log;
                 UPDATE revocation_head SET epoch = random(), origin = 'file', settled = 0,
                     prune_seq = 0, prune_at = 0, next_serial = 4294967296 + max(next_serial,
                         2048 * CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
                     lease_max = max(lease_max, (SELECT ifnull(max(duration), 0) FROM leases));
                 INSERT INTO skipped_serials (first_serial, last_serial)
                     SELECT NEW.next_serial, next_serial - 1 FROM revocation_head;
                 INSERT INTO sqlite_sequence (name, seq) SELECT 'session_events', 0
                     WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'session_events');
                 UPDATE sqlite_sequence SET seq = 4294967296 + max(seq,
                     2048 * CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
                     WHERE name = 'session_events';
             END",
        ]
    } else {
        &[
            // As its owner, so that it is the same for everybody. Some hosts keep the write-ahead
            // log from all eyes: there, only followers tell that something is lost.
            "CREATE FUNCTION revocation_origin(head regclass) RETURNS text LANGUAGE plpgsql
             SECURITY DEFINER SET search_path = pg_catalog AS $$
             DECLARE place text := concat_ws('/',
                 (SELECT oid FROM pg_database WHERE datname = current_database()),
                 pg_relation_filenode(head));
             BEGIN
                 RETURN concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
                     substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), place);
             EXCEPTION WHEN feature_not_supported OR insufficient_privilege OR undefined_function
                 OR object_not_in_prerequisite_state THEN
                 RETURN place;
             END $$",
            "UPDATE revocation_head SET origin = revocation_origin('revocation_head'::regclass)",
            "ALTER TABLE revocation_head
             ALTER COLUMN origin SET DEFAULT revocation_origin('revocation_head'::regclass)",
            "CREATE FUNCTION revocation_head_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE
                 here text := revocation_origin(TG_RELID);
                 by_time bigint := 2048 * (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
                 event_ids text := pg_get_serial_sequence('session_events', 'id');
                 lowest bigint;
                 highest bigint;
             BEGIN
                 IF NEW.origin = here THEN
                     RETURN NEW;
                 END IF;
                 -- Nobody has drawn a serial whose session isn't there yet.
                 PERFORM pg_advisory_xact_lock(hashtextextended('floors', 0));
                 SELECT 1 + greatest(
                     (SELECT max(serial) FROM sessions), (SELECT max(serial) FROM superseded_serials),
                     (SELECT max(through) FROM floors), (SELECT max(last_serial) FROM skipped_serials),
                     0) INTO lowest;
                 highest := 4294967296 + greatest(nextval('session_serial'), lowest, by_time);
                 PERFORM setval('session_serial', highest);
                 PERFORM setval(event_ids, 4294967296 + greatest(nextval(event_ids), by_time));
                 INSERT INTO skipped_serials (first_serial, last_serial) VALUES (lowest, highest);
                 INSERT INTO superseded_serials (serial, session_id, ended_seq, purge_after)
                     SELECT serial, '00000000-0000-0000-0000-000000000000', NEW.seq,
                         (extract(epoch FROM clock_timestamp() + interval '400 days') * 1000000)::bigint
                     FROM generate_series(greatest(lowest - 8192, 1), lowest - 1) AS serial
                     WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.serial = serial.serial)
                         AND NOT EXISTS (SELECT 1 FROM skipped_serials
                             WHERE serial.serial BETWEEN first_serial AND last_serial)
                     ON CONFLICT DO NOTHING;
                 DELETE FROM revocation_log;
                 NEW.epoch := hashtextextended(gen_random_uuid()::text, 0);
                 NEW.origin := here;
                 NEW.settled := 0;
                 NEW.prune_seq := 0;
                 NEW.prune_at := 0;
                 NEW.lease_max := greatest(NEW.lease_max, (SELECT max(duration) FROM leases));
                 RETURN NEW;
             END $$",
            "CREATE TRIGGER revocation_head_epoch BEFORE UPDATE ON revocation_head
             FOR EACH ROW EXECUTE FUNCTION revocation_head_epoch()",
        ]
    }
}

/// Undoes [`log_epochs`].
pub(crate) fn undo_log_epochs(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Sqlite {
        &["DROP TRIGGER revocation_head_epoch"]
    } else {
        &[
            "DROP TRIGGER revocation_head_epoch ON revocation_head",
            "DROP FUNCTION revocation_head_epoch",
            "ALTER TABLE revocation_head ALTER COLUMN origin DROP DEFAULT",
            "DROP FUNCTION revocation_origin",
        ]
    }
}
