//! What an engine's error means: whether the same call may succeed later, whether anything of it may
//! have been done, what is wrong with a server.

use sea_orm::{DbErr, RuntimeErr, SqlxError};
use session_domain::port::PortError;

/// Turns a database's error into the port's.
pub(crate) fn failed(what: &'static str) -> impl Fn(DbErr) -> PortError {
    move |error| {
        if is_passing(&error) {
            PortError::retry(what, error)
        } else {
            PortError::fatal(what, error)
        }
    }
}

/// Whether the same call may succeed later.
fn is_passing(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match &**error {
                SqlxError::Database(error) => {
                    error.code().is_some_and(|code| is_passing_code(&code))
                }
                SqlxError::Io(_)
                | SqlxError::Tls(_)
                | SqlxError::PoolTimedOut
                | SqlxError::PoolClosed
                | SqlxError::WorkerCrashed => true,
                _ => false,
            }
        }
        _ => false,
    }
}

/// Whether the engine's code tells of a passing state.
fn is_passing_code(code: &str) -> bool {
    if code.len() == 5 {
        // PostgreSQL (SQLSTATE): connection lost, serialisation failure or deadlock, out of
        // resources, lock not available, shutting down; and, not whole classes, idle for too long
        // in a transaction, and a server that is (still, or no longer) a standby.
        ["08", "40", "53", "55", "57", "25P03", "25006"]
            .iter()
            .any(|class| code.starts_with(class))
    } else {
        // SQLite's extended codes hold the primary one in their low byte: busy, locked, I/O
        // error, disk full, can't open. At most four digits, so never taken for a SQLSTATE.
        code.parse::<u32>()
            .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14))
    }
}

/// Whether a SQLite file's own state is why it can't be read: `CORRUPT`, `NOTADB`.
pub(crate) fn is_sqlite_corrupt(error: &DbErr) -> bool {
    matches!(sqlite_code(error), Some(11 | 26))
}

/// Whether SQLite would first have to write: roll back or recover what a crash left behind.
pub(crate) fn is_sqlite_recovery_needed(error: &DbErr) -> bool {
    sqlite_code(error) == Some(8)
}

fn sqlite_code(error: &DbErr) -> Option<u32> {
    let code: u32 = engine_code(error)?.parse().ok()?;
    Some(code & 0xff)
}

/// The code an engine gave an error.
fn engine_code(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))
    | DbErr::Conn(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Whether PostgreSQL turned a whole transaction back in favour of another one (deadlock,
/// serialisation failure): nothing of it is left, and the same may well go through next time.
pub(crate) fn is_turned_back(error: &PortError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source
        .and_then(engine_code)
        .is_some_and(|code| code == "40P01" || code == "40001")
}

/// Whether the connection is why something failed, and not what was asked for.
pub(crate) fn is_severed(error: &PortError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    // Connection lost; out of resources; shutting down.
    let severing = |code: String| {
        ["08", "53", "57P"]
            .iter()
            .any(|class| code.starts_with(class))
    };
    source.is_none_or(|error: &DbErr| engine_code(error).is_none_or(severing))
}

/// Whether a commit that failed so may have happened all the same. Where the server says what is
/// wrong it has undone it, unless it is going down.
pub(crate) fn may_have_committed(error: &DbErr) -> bool {
    let going_down = |code: String| {
        ["08", "57P", "58", "XX"]
            .iter()
            .any(|class| code.starts_with(class))
    };
    engine_code(error).is_none_or(going_down)
}

/// Why a PostgreSQL server can't be used.
pub(crate) enum PostgresRefusal {
    /// It doesn't let this login in, not to this database, or not do what is needed.
    Access,
    /// It can't be reached, or not now.
    Passing,
    /// Something else.
    Other,
}

/// Sorts out why a PostgreSQL server can't be used.
pub(crate) fn postgres_refusal(error: &DbErr) -> PostgresRefusal {
    match engine_code(error) {
        // Wrong password and the like; no such database; no such schema; no privilege.
        Some(code)
            if code.starts_with("28") || ["3D000", "3F000", "42501"].contains(&code.as_str()) =>
        {
            PostgresRefusal::Access
        }
        Some(code) if !is_passing_code(&code) => PostgresRefusal::Other,
        Some(_) => PostgresRefusal::Passing,
        None => match error {
            // What can be wrong with the address or the certificate isn't mended by waiting, but
            // sqlx tells neither from a server that is about to come back.
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => PostgresRefusal::Passing,
            error if is_passing(error) => PostgresRefusal::Passing,
            _ => PostgresRefusal::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::is_passing_code;

    #[test]
    fn a_full_disk_passes_and_a_broken_rule_does_not() {
        for passing in ["5", "517", "10", "1034", "13", "40001", "57P01", "25P03"] {
            assert!(is_passing_code(passing), "{passing}");
        }
        for fatal in [
            "11", "19", "2067", "1555", "26", "23505", "42P01", "25P02", "XX000",
        ] {
            assert!(!is_passing_code(fatal), "{fatal}");
        }
    }
}
