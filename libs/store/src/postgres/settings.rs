//! Where the database is, and what a connection to it may take.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;

/// Where a PostgreSQL database is and in whose name to use it. Shows neither name nor password.
#[derive(Clone)]
pub struct PostgresUrl(PgConnectOptions);

/// A text that isn't the URL of a PostgreSQL database. Doesn't say it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")]
pub struct InvalidPostgresUrl;

impl FromStr for PostgresUrl {
    type Err = InvalidPostgresUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ours = ["postgres://", "postgresql://"];
        if !ours.iter().any(|scheme| text.starts_with(scheme)) {
            return Err(InvalidPostgresUrl);
        }
        text.parse().map(Self).map_err(|_| InvalidPostgresUrl)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.0.get_host(), self.0.get_port());
        let database = self.0.get_database().unwrap_or_default();
        write!(f, "postgres://{host}:{port}/{database}")
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a process uses the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// How many connections it opens at most.
    pub connections_max: u32,
    /// How long a call waits for one of them.
    pub connection_timeout: Duration,
    /// How long one statement may take, waiting for locks included.
    pub statement_timeout: Duration,
    /// How long a statement waits for one lock.
    pub lock_timeout: Duration,
    /// How long the server waits for the next statement of a transaction: one whose process
    /// stands still must not keep the log's head from everybody.
    pub idle_in_transaction_timeout: Duration,
}

impl Default for PostgresOptions {
    /// 16 connections; 5 s for a connection and for a lock, 10 s for a statement, 500 ms of
    /// silence in a transaction.
    fn default() -> Self {
        Self {
            connections_max: 16,
            connection_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_millis(500),
        }
    }
}

impl PostgresUrl {
    /// How connections for the daily work are made.
    pub(super) fn working(&self, options: &PostgresOptions) -> PgConnectOptions {
        let millis = |span: Duration| span.as_millis().to_string();
        self.0.clone().application_name("session-service").options([
            // What the locks and the retries were thought out for, whatever a server's default is.
            ("default_transaction_isolation", "read committed".to_owned()),
            // Each statement of ours finds its rows by an index. A plan that was made while a
            // table was small, and reads all of it, must not be kept when it has grown.
            ("enable_seqscan", "off".to_owned()),
            ("enable_hashjoin", "off".to_owned()),
            ("enable_mergejoin", "off".to_owned()),
            // Planned once, and not for each value anew: with the above there is nothing to choose,
            // and choosing takes longer than any statement of ours.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            // Compiling a plan takes longer than any statement of ours, and where all of a small
            // table is read all the same, that it was to be avoided makes it look worth it.
            ("jit", "off".to_owned()),
            ("statement_timeout", millis(options.statement_timeout)),
            ("lock_timeout", millis(options.lock_timeout)),
            (
                "idle_in_transaction_session_timeout",
                millis(options.idle_in_transaction_timeout),
            ),
        ])
    }

    /// How a connection for changing the schema is made: it waits as long as it takes, for others
    /// who do the same and for large tables.
    pub(super) fn migrating(&self) -> PgConnectOptions {
        self.0.clone().application_name("session-service").options([
            ("statement_timeout", "0"),
            ("lock_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_checked_and_shows_no_login() {
        let url: PostgresUrl = "postgres://sessions:s3cret@db.example:5433/sessions"
            .parse()
            .unwrap();
        assert_eq!(url.to_string(), "postgres://db.example:5433/sessions");
        assert!(!format!("{url:?}").contains("s3cret"));
        for bad in ["", "sqlite://x", "postgres://h:port/x", "db.example"] {
            assert_eq!(
                bad.parse::<PostgresUrl>().unwrap_err(),
                InvalidPostgresUrl,
                "{bad}"
            );
        }
    }
}
