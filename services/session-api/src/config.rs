//! What an operator decides about the API.

use std::time::Duration;

use ipnet::IpNet;
use session_domain::policy::SessionPolicy;
use session_domain::port::{Eviction, SessionLimit};
use session_runtime::config::{Mistaken, Reader, origin};

/// The decisions, with the names that depend on where the process ended up listening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Lifetimes, limits, names.
    pub policy: SessionPolicy,
    /// How long validators' leases are (L): the longest a revoke waits for one that is gone.
    pub lease: Duration,
    /// How far the reaper may lag before session tokens are checked with the database.
    pub reaper_lag_max: Duration,
    /// How often it is written which sessions are used.
    pub activity_interval: Duration,
    /// The origins whose pages may act with the session cookie.
    pub origins: Vec<String>,
    /// The proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// How many invalid credentials may come from one address in a minute.
    pub invalid_credentials_per_minute: u32,
}

/// The decisions as they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    issuer: Option<String>,
    policy: SessionPolicy,
    lease: Duration,
    reaper_lag_max: Duration,
    activity_interval: Duration,
    origins: Vec<String>,
    trusted_proxies: Vec<IpNet>,
    invalid_credentials_per_minute: u32,
}

impl Settings {
    /// Reads `issuer`, `origins`, `lease`, and the sections `session` and `token`.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let issuer = reader
            .value("issuer")
            .doc("The URL tokens are issued under (`iss`), without a trailing slash. Where nobody sets it, the API's own address.")
            .example("https://sessions.example.com")
            .optional_with(issuer);
        let origins = reader
            .value("origins")
            .doc("The origins whose pages may act with the session cookie, besides the issuer's own.")
            .example("https://app.example.com")
            .list_with(origin);
        let trusted_proxies = reader
            .value("trusted_proxies")
            .doc("The networks of the proxies in front of the API, whose X-Forwarded-For is believed. Where nobody sets it, nobody's is.")
            .example("10.0.0.0/8, 2001:db8::/32")
            .list();
        let invalid_credentials_per_minute = reader
            .value("limit.invalid_credentials_per_minute")
            .doc("How many invalid credentials may come from one address in a minute before it is told to wait.")
            .default("20")
            .within(1, 1_000_000);
        let lease = reader
            .value("lease")
            .doc("How long a validator may answer from memory without hearing from the API (L): the longest a revoke waits for a validator that is gone.")
            .default("5s")
            .duration_within("1s", "1m");
        let reaper_lag_max = reader
            .value("reaper.lag_max")
            .doc("How far the reaper may lag before session tokens are checked with the database on each request.")
            .default("1m")
            .duration_within("1s", "1d");
        let activity_interval = reader
            .value("activity.interval")
            .doc("How often it is written which sessions are used: a process that dies may lose as much, and a session ends for being idle as much later.")
            .default("1s")
            .duration_within("10ms", "1m");
        let policy = policy(reader);
        Ok(Self {
            issuer: issuer?,
            origins: origins?,
            lease: lease?,
            reaper_lag_max: reaper_lag_max?,
            activity_interval: activity_interval?,
            trusted_proxies: trusted_proxies?,
            invalid_credentials_per_minute: invalid_credentials_per_minute?,
            policy: policy?,
        })
    }

    /// The decisions of a process whose API listens at `address`.
    pub fn at(self, address: std::net::SocketAddr) -> Config {
        let issuer = self.issuer.unwrap_or_else(|| format!("http://{address}"));
        let mut origins = self.origins;
        if !origins.contains(&issuer) {
            origins.push(issuer.clone());
        }
        Config {
            policy: SessionPolicy {
                issuer,
                ..self.policy
            },
            lease: self.lease,
            reaper_lag_max: self.reaper_lag_max,
            activity_interval: self.activity_interval,
            origins,
            trusted_proxies: self.trusted_proxies,
            invalid_credentials_per_minute: self.invalid_credentials_per_minute,
        }
    }
}

fn policy(reader: &mut Reader) -> Result<SessionPolicy, Mistaken> {
    let absolute_lifetime = reader
        .value("session.absolute_lifetime")
        .doc("The longest a session lives, however often it is extended.")
        .default("30d")
        .duration_within("1s", "365d");
    let idle_timeout = reader
        .value("session.idle_timeout")
        .doc("How long a session may be unused before it ends. Where nobody sets it, for as long as it lives.")
        .example("30m")
        .optional_with(session_runtime::config::duration);
    let max = reader
        .value("session.max_per_user")
        .doc("How many sessions a user may have at once. Where nobody sets it, any number.")
        .example("5")
        .optional_with(|text| match text.parse::<u32>() {
            Ok(max) if max > 0 => Ok(max),
            _ => Err("must be a whole number from 1"),
        });
    let eviction = reader
        .value("session.eviction")
        .doc("What gives way when a user would have too many: the new one, the oldest, or the one unused for longest.")
        .default("oldest")
        .one_of(&[
            ("reject", Eviction::Reject),
            ("oldest", Eviction::Oldest),
            ("least_recent", Eviction::LeastRecent),
        ]);
    let access_token_lifetime = reader
        .value("token.access_lifetime")
        .doc("How long an access token lives; third parties that check it by the public keys alone accept it for as long.")
        .default("10m")
        .duration_within("10s", "1h");
    let refresh_grace = reader
        .value("token.refresh_grace")
        .doc("For how long a used refresh token is still answered with the same successor: a lost answer or a second tab logs nobody out.")
        .default("10s")
        .duration_within("0", "1m");
    let (max, eviction) = (max?, eviction?);
    Ok(SessionPolicy {
        issuer: String::new(),
        absolute_lifetime: absolute_lifetime?,
        idle_timeout: idle_timeout?,
        access_token_lifetime: access_token_lifetime?,
        refresh_grace: refresh_grace?,
        session_limit: max.map(|max| SessionLimit { max, eviction }),
    })
}

/// An issuer (RFC 8414 §2): https, or http on this machine; scheme, host and port alone.
fn issuer(text: &str) -> Result<String, &'static str> {
    let text = origin(text)?;
    if text.len() > 200 {
        Err("must be at most 200 characters")
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_runtime::config::{Layers, load};

    #[test]
    fn the_issuer_is_where_it_listens_unless_named() {
        let settings = load(Layers::default(), Settings::read).unwrap().value;
        let config = settings.at("127.0.0.1:8080".parse().unwrap());
        assert_eq!(config.policy.issuer, "http://127.0.0.1:8080");
        assert_eq!(config.origins, ["http://127.0.0.1:8080"]);
        let defaults = SessionPolicy::new("http://127.0.0.1:8080".into());
        assert_eq!(
            config.policy, defaults,
            "the documented defaults are the domain's"
        );
    }
}
