//! The truth about sessions: [`SessionStore`](session_domain::port::SessionStore) and
//! [`RevocationLog`](session_domain::port::RevocationLog) on a SQL database.
//!
//! What may happen to a session is decided by the domain's pure rules; this crate loads, lets them
//! decide, and writes down the outcome, its log entries and its events in one transaction. Read it
//! in this order:
//!
//! | file | what |
//! |---|---|
//! | `sqlite.rs` | [`SqliteStore`]: the ports, on a file |
//! | `open.rs`, `check.rs`, `lock.rs` | opening it, and refusing what must not be opened |
//! | `writer.rs` | one writer; concurrent changes share a transaction and its `fsync` |
//! | `postgres.rs`, `postgres/` | [`PostgresStore`]: the ports, on a server; `group.rs` carries out many changes in one transaction, `seal.rs` has a transaction's last words |
//! | `closing.rs` | what is written under the log's head, last of all |
//! | `change/` | one file per change |
//! | `moves.rs`, `serials.rs`, `sessions.rs`, `devices.rs`, `counters.rs`, `floors.rs`, `revocations.rs`, `keys.rs`, `log.rs`, `epochs.rs`, `leases.rs`, `events.rs` | the statements about each |
//! | `outbox.rs` | who tells other systems what happened, and how far they have come |
//! | `rows.rs` | rows to domain values and back |
//! | `entity.rs` | the tables |
//! | `dialect.rs`, `dialect/` | every difference between the engines |
//!
//! All but the first four rows of that table are written against sea-orm's `ConnectionTrait` and
//! serve any engine; the schema is in `session-migrations`.

mod change;
mod check;
mod closing;
mod counters;
mod devices;
mod dialect;
mod entity;
mod epochs;
mod events;
mod floors;
mod keys;
mod leases;
mod lock;
mod log;
mod moves;
mod open;
mod outbox;
mod postgres;
mod revocations;
mod rows;
mod serials;
mod sessions;
mod sqlite;
mod writer;

pub use open::OpenError;
pub use postgres::{
    InvalidPostgresUrl, PostgresCounts, PostgresOptions, PostgresStore, PostgresUrl,
};
pub use sqlite::SqliteStore;
pub use writer::WriterCounts;
