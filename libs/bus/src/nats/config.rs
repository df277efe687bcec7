//! How a process reaches its NATS servers, and in whose name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use session_domain::port::PortError;

use super::subjects::SubjectPrefix;

/// A cut link is noticed after the third of these without an answer: within the default lease.
const PING_EVERY: Duration = Duration::from_millis(1_500);

/// How long one attempt to connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// The longest pause between two attempts to connect.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// One or more servers of one cluster: `nats://HOST[:PORT]` or `tls://…`, separated by commas.
/// `USER:PASSWORD@` or `TOKEN@` before the host says who connects; said once, it holds for all,
/// and for those the cluster tells of. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsServers {
    addresses: Vec<ServerAddr>,
    login: Login,
}

#[derive(Clone, PartialEq, Eq)]
enum Login {
    Nobody,
    Token(String),
    User(String, String),
}

impl fmt::Display for NatsServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for address in &self.addresses {
            let (scheme, host, port) = (address.scheme(), address.host(), address.port());
            write!(f, "{separator}{scheme}://{host}:{port}")?;
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for NatsServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no servers. Doesn't quote it, for it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be nats://[USER:PASSWORD@]HOST[:PORT] or tls://…, more of them separated by commas")]
pub struct InvalidServers;

impl FromStr for NatsServers {
    type Err = InvalidServers;

    fn from_str(text: &str) -> Result<Self, InvalidServers> {
        let mut servers = Self {
            addresses: Vec::new(),
            login: Login::Nobody,
        };
        for part in text.split(',') {
            let (address, login) = read_server(part.trim()).ok_or(InvalidServers)?;
            servers.addresses.push(address);
            if servers.login == Login::Nobody {
                servers.login = login;
            }
        }
        Ok(servers)
    }
}

/// A server without what the URL says of the login, and that.
fn read_server(text: &str) -> Option<(ServerAddr, Login)> {
    if !(text.starts_with("nats://") || text.starts_with("tls://")) {
        return None;
    }
    let mut url = text.parse::<ServerAddr>().ok()?.into_inner();
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !bare || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().ok()?;
        Some(decoded.into_owned())
    };
    let login = match (url.username(), url.password()) {
        ("", None) => Login::Nobody,
        ("", Some(_)) => return None,
        (token, None) => Login::Token(decoded(token)?),
        (user, Some(password)) => Login::User(decoded(user)?, decoded(password)?),
    };
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some((ServerAddr::from_url(url).ok()?, login))
}

/// How a process reaches its NATS servers, and in whose name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsConfig {
    /// The servers.
    pub servers: NatsServers,
    /// What every subject begins with.
    pub prefix: SubjectPrefix,
    /// What kind of process this is, for example `validator`: names the connection in the servers'
    /// reports.
    pub role: &'static str,
    /// What the subjects answers come to begin with: one word, by default `_INBOX_` and the role.
    /// Permissions tell by it whose answers are whose.
    pub inbox: SubjectPrefix,
    /// A `.creds` file: a JWT and the key that proves it.
    pub credentials_file: Option<PathBuf>,
    /// A file with an NKEY seed.
    pub nkey_file: Option<PathBuf>,
    /// The authorities (PEM) the servers' certificates must come from, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether to insist on TLS where the URL doesn't.
    pub require_tls: bool,
}

impl NatsConfig {
    /// A connection to `servers` for a process of this kind, everything else by default.
    pub fn new(servers: NatsServers, role: &'static str) -> Self {
        Self {
            servers,
            prefix: SubjectPrefix::default(),
            role,
            inbox: SubjectPrefix::inbox_of(role),
            credentials_file: None,
            nkey_file: None,
            ca_file: None,
            require_tls: false,
        }
    }

    /// Where to connect to.
    pub(super) fn addresses(&self) -> Vec<ServerAddr> {
        self.servers.addresses.clone()
    }

    /// How to connect. Reads the files it names.
    pub(super) async fn options(&self) -> Result<ConnectOptions, PortError> {
        let mut options = ConnectOptions::new()
            .name(format!("session-{}", self.role))
            .custom_inbox_prefix(&self.inbox)
            .ping_interval(PING_EVERY)
            .connection_timeout(CONNECT_WITHIN)
            .reconnect_delay_callback(pause_before);
        if self.require_tls {
            options = options.require_tls(true);
        }
        if let Some(file) = &self.ca_file {
            options = options.add_root_certificates(file.clone());
        }
        options = match &self.servers.login {
            Login::Nobody => options,
            Login::Token(token) => options.token(token.clone()),
            Login::User(user, password) => {
                options.user_and_password(user.clone(), password.clone())
            }
        };
        if let Some(file) = &self.nkey_file {
            let seed = tokio::fs::read_to_string(file)
                .await
                .map_err(|error| PortError::fatal("can't read the NKEY file", error))?;
            options = options.nkey(seed.trim().to_owned());
        }
        if let Some(file) = &self.credentials_file {
            options = options
                .credentials_file(file)
                .await
                .map_err(|error| PortError::fatal("can't read the credentials file", error))?;
        }
        Ok(options)
    }
}

/// How long to pause before an attempt to connect, by how many there were: none before the first,
/// then twice as long each time.
fn pause_before(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(2)).unwrap_or(u32::MAX);
    if attempt <= 1 {
        Duration::ZERO
    } else {
        Duration::from_millis(25)
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_their_login_never_shown() {
        let servers: NatsServers = "nats://api:p%40ss%2Fw@a.example, tls://b.example:4223"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{servers} {servers:?}"),
            "nats://a.example:4222,tls://b.example:4223 nats://a.example:4222,tls://b.example:4223"
        );
        assert!(servers.login == Login::User("api".into(), "p@ss/w".into()));
        let servers: NatsServers = "nats://s3cret@127.0.0.1".parse().unwrap();
        assert!(servers.login == Login::Token("s3cret".into()));
        assert!(!format!("{servers:?}").contains("s3cret"));
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "ws://a.example",
            "nats://",
            "nats://a.example/path",
            "nats://a.example?x=y",
            "nats://:password@a.example",
            "nats://a.example,",
        ] {
            assert!(bad.parse::<NatsServers>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert_eq!(pause_before(1), Duration::ZERO);
        assert_eq!(pause_before(2), Duration::from_millis(25));
        assert!((2..100).all(|n| pause_before(n) <= pause_before(n + 1)));
        assert_eq!(pause_before(usize::MAX), PAUSE_MAX);
    }
}
