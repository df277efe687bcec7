//! Events are told to other systems, and what is old is deleted.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

// One row. through: the last event told. holder: who tells, until expires_at by the database's own
// clock; '' is nobody's name, so NULL stands for nobody.
const TABLE: &str = "CREATE TABLE event_relay (
    id {number} PRIMARY KEY NOT NULL CHECK (id = 1),
    through {number} NOT NULL,
    holder {uuid},
    expires_at {number} NOT NULL
)";

const INDEXES: [&str; 2] = [
    // Ended sessions whose tokens' time is over. absolute_expires_at never changes.
    "CREATE INDEX sessions_purge ON sessions (absolute_expires_at) WHERE ended_seq IS NOT NULL",
    // Requests that nobody repeats any more.
    "CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        let table = dialect::Words::of(backend).fill(TABLE);
        db.execute_unprepared(&table).await?;
        db.execute_unprepared("INSERT INTO event_relay (id, through, expires_at) VALUES (1, 0, 0)")
            .await?;
        for statement in INDEXES {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for statement in [
            "DROP INDEX idempotency_keys_by_age",
            "DROP INDEX sessions_purge",
            "DROP TABLE event_relay",
        ] {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
