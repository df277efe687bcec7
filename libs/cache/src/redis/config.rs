//! How a process reaches its Redis server, and in whose name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult};
use session_domain::secret::Credential;

/// Where `redis` has no port.
const PORT: u16 = 6379;

/// One server: `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`, or `rediss://…` over TLS, whose
/// certificate is always checked. Neither `Debug` nor `Display` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    tls: bool,
    host: String,
    port: u16,
    database: i64,
    user: Option<String>,
    password: Option<Credential>,
}

impl RedisUrl {
    /// Whether it says a password.
    pub const fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether it asks for TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The same server, with this password.
    #[must_use]
    pub fn with_password(self, password: Credential) -> Self {
        Self {
            password: Some(password),
            ..self
        }
    }

    /// How to connect.
    pub(super) fn connection(&self) -> RedisResult<ConnectionInfo> {
        let host = self.host.clone();
        let address = if self.tls {
            ConnectionAddr::TcpTls {
                host,
                port: self.port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, self.port)
        };
        let mut login = RedisConnectionInfo::default().set_db(self.database);
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.expose());
        }
        Ok(address.into_connection_info()?.set_redis_settings(login))
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let (host, port, database) = (&self.host, self.port, self.database);
        let (open, close) = if host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        write!(f, "{scheme}://{open}{host}{close}:{port}/{database}")
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no server. Doesn't quote it, for it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or rediss://…")]
pub struct InvalidUrl;

impl FromStr for RedisUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        read(text).ok_or(InvalidUrl)
    }
}

fn read(text: &str) -> Option<RedisUrl> {
    let url = redis::parse_redis_url(text)?;
    let tls = match url.scheme() {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return None,
    };
    // A fragment could say "#insecure": there is no such thing here.
    if url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    let host = url.host_str()?.trim_matches(['[', ']']);
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().ok()?;
        Some(decoded.into_owned())
    };
    let database = match url.path() {
        "" | "/" => 0,
        path => path.strip_prefix('/')?.parse::<u16>().ok()?,
    };
    let user = match url.username() {
        "" => None,
        user => Some(decoded(user)?),
    };
    let password = match url.password() {
        None => None,
        Some(password) => Some(Credential::new(decoded(password)?)),
    };
    (!host.is_empty()).then(|| RedisUrl {
        tls,
        host: host.to_owned(),
        port: url.port().unwrap_or(PORT),
        database: database.into(),
        user,
        password,
    })
}

/// What every key begins with: 1 to 64 characters of `[A-Za-z0-9_.-]`. Deployments that share a
/// server differ in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that can't begin keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of A-Z, a-z, 0-9, '_', '.' and '-'")]
pub struct InvalidPrefix;

impl FromStr for KeyPrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPrefix)
        }
    }
}

/// How a process reaches its Redis server, and how long it waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// The server.
    pub url: RedisUrl,
    /// What every key begins with.
    pub prefix: KeyPrefix,
    /// How long a call waits for the server, connecting included, before it goes on without.
    pub timeout: Duration,
    /// How many connections are held at most.
    pub connections_max: u32,
    /// The authorities (PEM) the server's certificate must come from, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl RedisConfig {
    /// That server, everything else by default.
    pub fn new(url: RedisUrl) -> Self {
        Self {
            url,
            prefix: KeyPrefix("session".to_owned()),
            timeout: Duration::from_millis(100),
            connections_max: 8,
            ca_file: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_its_password_never_shown() {
        let url: RedisUrl = "rediss://api:p%40ss%2Fw@cache.example/3".parse().unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "rediss://cache.example:6379/3 rediss://cache.example:6379/3"
        );
        assert!(url.is_tls() && url.has_password());
        let connection = url.connection().unwrap();
        assert_eq!(connection.redis_settings().username(), Some("api"));
        assert_eq!(connection.redis_settings().password(), Some("p@ss/w"));
        assert_eq!(connection.redis_settings().db(), 3);
        let other: RedisUrl = "redis://:other@[::1]:7000".parse().unwrap();
        assert_eq!(other.to_string(), "redis://[::1]:7000/0");
        let set = other.with_password(Credential::new("set".into()));
        assert_eq!(
            set.connection().unwrap().redis_settings().password(),
            Some("set")
        );
    }

    #[test]
    fn what_names_no_server_or_gives_up_checking_it_is_refused() {
        for bad in [
            "",
            "cache.example",
            "http://cache.example",
            "redis://",
            "redis://cache.example/x",
            "redis://cache.example/1/2",
            "redis://cache.example?protocol=resp3",
            "rediss://cache.example#insecure",
            "redis+unix:///run/redis.sock",
        ] {
            assert!(bad.parse::<RedisUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_can_t_reach_into_other_keys() {
        assert!("session.eu-1_a".parse::<KeyPrefix>().is_ok());
        for bad in ["", "a:b", "a*", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<KeyPrefix>().is_err(), "{bad}");
        }
    }
}
