//! The log's epochs: where the database changes hands, what follows is another history. Leases that
//! are given up leave a word behind, and old entries go.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const EXPANSIONS: [&str; 7] = [
    // What the database is and was: the engines say below. Setting it to NULL begins a new epoch.
    "ALTER TABLE revocation_head ADD COLUMN origin TEXT",
    // 0 until every lease has run out that epochs before this one may have granted unknown to it.
    "ALTER TABLE revocation_head ADD COLUMN settled {number} NOT NULL DEFAULT 1",
    // The longest lease ever granted, in microseconds.
    "ALTER TABLE revocation_head ADD COLUMN lease_max {number} NOT NULL DEFAULT 0",
    // Where the log stood when it was last pruned, and when that was: so old is what is before it.
    "ALTER TABLE revocation_head ADD COLUMN prune_seq {number} NOT NULL DEFAULT 0",
    "ALTER TABLE revocation_head ADD COLUMN prune_at {number} NOT NULL DEFAULT 0",
    // When its holder gave it up; nobody waits for it any more. The row stays for a while, so that
    // a request of before, if it comes late, isn't granted.
    "ALTER TABLE leases ADD COLUMN released_at {number}",
    // Serials that were skipped when an epoch began, both ends included.
    "CREATE TABLE skipped_serials (
        first_serial {number} PRIMARY KEY NOT NULL,
        last_serial {number} NOT NULL
    )",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        let words = dialect::Words::of(backend);
        for statement in EXPANSIONS {
            db.execute_unprepared(&words.fill(statement)).await?;
        }
        for statement in dialect::log_epochs(backend) {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        for statement in dialect::undo_log_epochs(backend) {
            db.execute_unprepared(statement).await?;
        }
        db.execute_unprepared("DROP TABLE skipped_serials").await?;
        db.execute_unprepared("ALTER TABLE leases DROP COLUMN released_at")
            .await?;
        for column in ["prune_at", "prune_seq", "lease_max", "settled", "origin"] {
            let drop = format!("ALTER TABLE revocation_head DROP COLUMN {column}");
            db.execute_unprepared(&drop).await?;
        }
        Ok(())
    }
}
