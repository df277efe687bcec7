//! Ending many sessions at once: how far each such revocation has come.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// In the order of their creation.
const TABLES: [(&str, &str); 2] = [
    (
        "bulk_revocations",
        // Kept when finished: what was asked, by whom, and what came of it. tenant '' is everybody.
        // through: of what matches, the serials up to this one. is_floor: one log entry, seq, has
        // ended all of them, and until finished_at is set, readers of sessions compare the floor.
        // seen_tenant, seen_serial: everything up to there has been looked at.
        "CREATE TABLE bulk_revocations (
            id {uuid} PRIMARY KEY NOT NULL,
            tenant TEXT NOT NULL,
            is_floor {number} NOT NULL CHECK (is_floor IN (0, 1)),
            filter TEXT NOT NULL,
            through {number} NOT NULL,
            reason TEXT NOT NULL,
            note TEXT,
            actor TEXT NOT NULL,
            created_at {number} NOT NULL,
            expected {number},
            ended {number} NOT NULL,
            finished_at {number},
            seq {number} NOT NULL,
            seen_tenant TEXT NOT NULL,
            seen_serial {number} NOT NULL
        )",
    ),
    (
        "floored_counters",
        // What is to be added to session_counters for the sessions that floors have ended but whose
        // rows don't say so yet. Of the same form, so that one can be read with the other.
        "CREATE TABLE floored_counters (
            tenant TEXT NOT NULL,
            counter TEXT NOT NULL,
            label TEXT NOT NULL,
            part {number} NOT NULL,
            count {number} NOT NULL,
            PRIMARY KEY (tenant, counter, label, part)
        )",
    ),
];

const INDEXES: [&str; 3] = [
    // What is to be carried on, the first first; and the floors to compare.
    "CREATE INDEX bulk_revocations_unfinished ON bulk_revocations (through) WHERE finished_at IS NULL",
    // How the sessions below a floor ended.
    "CREATE INDEX bulk_revocations_by_entry ON bulk_revocations (seq)",
    // The sessions in use of a tenant, or of all, a batch at a time.
    "CREATE INDEX sessions_active ON sessions (tenant, serial) WHERE status = 'active'",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        let words = dialect::Words::of(backend);
        for (_, table) in TABLES {
            db.execute_unprepared(&words.fill(table)).await?;
        }
        for statement in INDEXES {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("DROP INDEX sessions_active").await?;
        for (name, _) in TABLES.iter().rev() {
            db.execute_unprepared(&format!("DROP TABLE {name}")).await?;
        }
        Ok(())
    }
}
