//! What processes are told about the servers they talk to. What the texts mean is the adapters'
//! business, so the types are theirs; the names and the words are the same for every process.

use std::convert::Infallible;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use session_domain::secret::Credential;

use super::{Mistaken, Reader};

/// The section `database`; `U` is what a URL is read as.
#[derive(Debug, Clone)]
pub struct DatabaseLink<U> {
    /// Where it is, and in whose name to use it.
    pub url: U,
    /// How many connections the process opens at most.
    pub connections_max: u32,
    /// How long a call waits for one of them.
    pub connection_timeout: Duration,
}

impl<U: FromStr<Err: Display>> DatabaseLink<U> {
    /// Reads it.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let url = reader
            .value("database.url")
            .doc("The PostgreSQL database (15 or newer), with a user and a password before the host.")
            .example("postgres://sessions:PASSWORD@db.example.com:5432/sessions")
            .secret()
            .parse();
        let connections_max = reader
            .value("database.connections")
            .doc("How many connections to the database the process opens at most.")
            .default("16")
            .within(2, 1_000);
        let connection_timeout = reader
            .value("database.timeout")
            .doc("How long a call waits for a connection to the database before it fails and may be tried again.")
            .default("5s")
            .duration_within("100ms", "1m");
        Ok(Self {
            url: url?,
            connections_max: connections_max?,
            connection_timeout: connection_timeout?,
        })
    }
}

/// The section `nats`; `S` is what servers are read as, `P` the beginning of subjects.
#[derive(Debug, Clone)]
pub struct NatsLink<S, P> {
    /// Where the servers are.
    pub servers: S,
    /// What every subject begins with.
    pub prefix: P,
    /// What the subjects begin with that answers come to.
    pub inbox: P,
    /// A JWT and its key.
    pub credentials_file: Option<PathBuf>,
    /// An NKEY seed.
    pub nkey_file: Option<PathBuf>,
    /// The authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether to insist on TLS.
    pub require_tls: bool,
}

impl<S: FromStr<Err: Display>, P: FromStr<Err: Display>> NatsLink<S, P> {
    /// Reads it; answers come to subjects that begin with `inbox` where nobody says otherwise.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader, inbox: &str) -> Result<Self, Mistaken> {
        let servers = reader
            .value("nats.url")
            .doc("The NATS servers: `nats://` or `tls://`, a user and password or a token before the host, several separated by commas.")
            .example("tls://sessions:PASSWORD@nats.example.com:4222")
            .secret()
            .parse();
        let prefix = reader
            .value("nats.prefix")
            .doc(
                "What every NATS subject begins with; deployments that share servers differ in it.",
            )
            .default("session")
            .parse();
        let inbox = reader
            .value("nats.inbox")
            .doc("What the NATS subjects begin with that answers to this process come to.")
            .default(inbox)
            .parse();
        let mut file = |name, doc| {
            reader
                .value(name)
                .doc(doc)
                .optional_with(|text| Ok::<_, Infallible>(PathBuf::from(text)))
        };
        let credentials_file = file(
            "nats.credentials_file",
            "A `.creds` file for NATS: a JWT and its key.",
        );
        let nkey_file = file("nats.nkey_file", "A file with an NKEY seed for NATS.");
        let ca_file = file(
            "nats.ca_file",
            "The authorities (PEM) NATS servers' certificates must come from, instead of the system's.",
        );
        let require_tls = reader
            .value("nats.require_tls")
            .doc("Whether to insist on TLS where the URL says `nats://`.")
            .default("false")
            .parse();
        Ok(Self {
            servers: servers?,
            prefix: prefix?,
            inbox: inbox?,
            credentials_file: credentials_file?,
            nkey_file: nkey_file?,
            ca_file: ca_file?,
            require_tls: require_tls?,
        })
    }
}

/// The section `redis`; `U` is what a URL is read as, `P` the beginning of keys.
#[derive(Debug, Clone)]
pub struct RedisLink<U, P> {
    /// Where it is, and in whose name to use it; without one each process remembers for itself.
    pub url: Option<U>,
    /// The password, where it isn't in the URL.
    pub password: Option<Credential>,
    /// What every key begins with.
    pub prefix: P,
    /// How many connections the process opens at most.
    pub connections_max: u32,
    /// How long a call waits for it.
    pub timeout: Duration,
    /// The authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl<U: FromStr<Err: Display>, P: FromStr<Err: Display>> RedisLink<U, P> {
    /// Reads it.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let url = reader
            .value("redis.url")
            .doc("The Redis (7 or newer) or Valkey server that processes share recent readings and rate limits through: `redis://`, or `rediss://` for TLS, a user and a password before the host, a database's number after it. Where nobody sets it, each process has its own.")
            .example("rediss://sessions:PASSWORD@redis.example.com:6379/0")
            .secret()
            .optional();
        let password = reader
            .value("redis.password")
            .doc("The password for Redis, where it isn't in the URL.")
            .secret()
            .optional_with(|text| match text {
                "" => Err("must not be empty"),
                text => Ok(Credential::new(text.to_owned())),
            });
        let prefix = reader
            .value("redis.prefix")
            .doc("What every key in Redis begins with; deployments that share a server differ in it.")
            .default("session")
            .parse();
        let connections_max = reader
            .value("redis.connections")
            .doc("How many connections to Redis the process opens at most.")
            .default("8")
            .within(1, 1_000);
        let timeout = reader
            .value("redis.timeout")
            .doc("How long a request waits for Redis before it goes on without; the requests after it don't wait at all until Redis answers again.")
            .default("100ms")
            .duration_within("5ms", "2s");
        let ca_file = reader
            .value("redis.ca_file")
            .doc("The authorities (PEM) the Redis server's certificate must come from, instead of the system's.")
            .optional_with(|text| Ok::<_, Infallible>(PathBuf::from(text)));
        Ok(Self {
            url: url?,
            password: password?,
            prefix: prefix?,
            connections_max: connections_max?,
            timeout: timeout?,
            ca_file: ca_file?,
        })
    }
}
