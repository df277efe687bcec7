//! Sessions, the revocation log and its leases, keys, events.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// In the order of their creation.
const TABLES: [(&str, &str); 13] = [
    (
        "schema_info",
        // min_binary: the oldest generation of binaries that may work on this schema.
        "CREATE TABLE schema_info (min_binary {number} NOT NULL)",
    ),
    (
        "sessions",
        // status is what is shown (active, expired, revoked), so that a list by it is one range of
        // an index. due_at is the earliest of the session's ends, idleness included: what the
        // reaper looks for. seed is the row's half of what refresh tokens are derived from.
        "CREATE TABLE sessions (
            id {uuid} PRIMARY KEY NOT NULL,
            serial {number} NOT NULL UNIQUE,
            tenant TEXT NOT NULL,
            user_id TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('active', 'expired', 'revoked')),
            ended_at {number},
            end_reason TEXT,
            ended_seq {number},
            created_at {number} NOT NULL,
            last_seen_at {number} NOT NULL,
            expires_at {number} NOT NULL,
            absolute_expires_at {number} NOT NULL,
            idle_timeout {number},
            due_at {number} NOT NULL,
            authentication TEXT NOT NULL,
            authorization_json TEXT NOT NULL,
            device TEXT NOT NULL,
            device_id {uuid} NOT NULL,
            network TEXT NOT NULL,
            refresh_generation {number} NOT NULL,
            rotated_at {number} NOT NULL,
            metadata TEXT NOT NULL,
            seed {blob} NOT NULL,
            version {number} NOT NULL,
            CHECK ((status = 'active') = (ended_seq IS NULL)),
            CHECK ((ended_at IS NULL) = (ended_seq IS NULL)),
            CHECK ((end_reason IS NULL) = (ended_seq IS NULL))
        )",
    ),
    (
        "superseded_serials",
        // Serials that living sessions left behind at a step-up: dead, though no session says so.
        // purge_after: no credential of theirs can be within its own time any more. No reference
        // to sessions: a row may outlive its session.
        "CREATE TABLE superseded_serials (
            serial {number} PRIMARY KEY NOT NULL,
            session_id {uuid} NOT NULL,
            ended_seq {number} NOT NULL,
            purge_after {number} NOT NULL
        )",
    ),
    (
        "revocation_log",
        "CREATE TABLE revocation_log (seq {number} PRIMARY KEY NOT NULL, entry TEXT NOT NULL)",
    ),
    (
        "revocation_head",
        // One row. seq counts entries; whoever updates it holds the lock that orders them. epoch
        // is 64 random bits, read as a signed number.
        "CREATE TABLE revocation_head (
            id {number} PRIMARY KEY NOT NULL CHECK (id = 1),
            epoch {number} NOT NULL,
            seq {number} NOT NULL CHECK (seq >= 0),
            next_serial {number} NOT NULL CHECK (next_serial >= 1)
        )",
    ),
    (
        "leases",
        // duration is in microseconds. granted_head: what a renewal must have applied.
        // activity_through: up to when the holder has told of every use of a session.
        "CREATE TABLE leases (
            instance {uuid} PRIMARY KEY NOT NULL,
            counter {number} NOT NULL,
            applied {number} NOT NULL,
            granted_head {number} NOT NULL,
            duration {number} NOT NULL,
            secret {blob} NOT NULL,
            activity_through {number} NOT NULL
        )",
    ),
    // tenant '' is everybody: unlike NULL, it can be part of a key on both engines.
    (
        "floors",
        "CREATE TABLE floors (tenant TEXT PRIMARY KEY NOT NULL, through {number} NOT NULL)",
    ),
    (
        "signing_keys",
        "CREATE TABLE signing_keys (
            kid TEXT PRIMARY KEY NOT NULL,
            public_key TEXT NOT NULL,
            sealed {blob} NOT NULL,
            created_at {number} NOT NULL,
            retired_at {number}
        )",
    ),
    (
        "service_keys",
        "CREATE TABLE service_keys (
            id {uuid} PRIMARY KEY NOT NULL,
            hash {blob} NOT NULL UNIQUE,
            name TEXT NOT NULL,
            tenant TEXT,
            scopes TEXT NOT NULL,
            created_at {number} NOT NULL,
            revoked_at {number}
        )",
    ),
    (
        "devices",
        // What is the same across the sessions a user started on one device. Sessions refer to it
        // without a foreign key: they outlive its being forgotten.
        "CREATE TABLE devices (
            id {uuid} PRIMARY KEY NOT NULL,
            tenant TEXT NOT NULL,
            user_id TEXT NOT NULL,
            agent TEXT NOT NULL,
            name TEXT,
            trusted {number} NOT NULL,
            first_seen_at {number} NOT NULL,
            last_seen_at {number} NOT NULL
        )",
    ),
    (
        "session_counters",
        // Moved with every change, as counting sessions takes as long as there are sessions. part
        // spreads one counter over several rows; their sum is what counts.
        "CREATE TABLE session_counters (
            tenant TEXT NOT NULL,
            counter TEXT NOT NULL,
            label TEXT NOT NULL,
            part {number} NOT NULL,
            count {number} NOT NULL,
            PRIMARY KEY (tenant, counter, label, part)
        )",
    ),
    (
        "idempotency_keys",
        "CREATE TABLE idempotency_keys (
            caller {uuid} NOT NULL,
            idempotency_key TEXT NOT NULL,
            digest {blob} NOT NULL,
            session_id {uuid} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
            created_at {number} NOT NULL,
            PRIMARY KEY (caller, idempotency_key)
        )",
    ),
    (
        "session_events",
        // Audit trail and outbox at once. No reference to sessions: it outlives them.
        "CREATE TABLE session_events (
            id {counted},
            at {number} NOT NULL,
            tenant TEXT,
            session_id {uuid},
            user_id TEXT,
            actor TEXT NOT NULL,
            type TEXT NOT NULL,
            severity TEXT NOT NULL,
            fact TEXT NOT NULL
        )",
    ),
];

const INDEXES: [&str; 7] = [
    // A page of a user's sessions, newest first, is one range; so is counting their active ones.
    "CREATE INDEX sessions_by_user ON sessions (tenant, user_id, status, created_at DESC, id DESC)",
    // What the reaper ends next, and how far it has come.
    "CREATE INDEX sessions_due ON sessions (due_at) WHERE status = 'active'",
    // The bits of a status list.
    "CREATE INDEX sessions_ended ON sessions (serial) WHERE ended_seq IS NOT NULL",
    // A page of a user's devices, newest first.
    "CREATE INDEX devices_by_user ON devices (tenant, user_id, first_seen_at DESC, id DESC)",
    // What may be forgotten of the serials left behind.
    "CREATE INDEX superseded_serials_purge ON superseded_serials (purge_after)",
    // What deleting a session looks for.
    "CREATE INDEX idempotency_keys_by_session ON idempotency_keys (session_id)",
    // The history of one session.
    "CREATE INDEX session_events_by_session ON session_events (session_id, id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        let words = dialect::Words::of(backend);
        for (_, table) in TABLES {
            db.execute_unprepared(&words.fill(table)).await?;
        }
        for statement in INDEXES.iter().chain(dialect::particulars(backend)) {
            db.execute_unprepared(statement).await?;
        }
        db.execute_unprepared("INSERT INTO schema_info (min_binary) VALUES (1)")
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        for (name, _) in TABLES.iter().rev() {
            db.execute_unprepared(&format!("DROP TABLE {name}")).await?;
        }
        for statement in dialect::undo_particulars(backend) {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
