//! Where a request comes from, and how many invalid credentials may come from there.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use poem::Request;
use poem::http::HeaderMap;
use session_domain::port::{Budget, Spent};

use super::problem::Problem;
use crate::app::App;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: the peer's, or, where that is a trusted proxy, the last one in
/// `X-Forwarded-For` that isn't. Whatever stands before that one, the client may have made up.
pub(super) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
    let mut client = peer.to_canonical();
    let values: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    for value in values.iter().rev() {
        for hop in value.as_bytes().rsplit(|&byte| byte == b',') {
            if !is_trusted(client) {
                return client;
            }
            let hop = std::str::from_utf8(hop).ok();
            match hop.and_then(|hop| hop.trim().parse::<IpAddr>().ok()) {
                Some(ip) => client = ip.to_canonical(),
                // A trusted proxy that says nonsense: it is the last we know of.
                None => return client,
            }
        }
    }
    client
}

/// Counts an invalid credential against where it came from. Valid ones are never counted or held
/// up, so nobody is locked out by whoever shares their address.
pub(super) async fn strike(app: &App, request: &Request, refusal: Problem) -> Problem {
    let Some(peer) = request.remote_addr().as_socket_addr() else {
        return refusal;
    };
    let client = address(peer.ip(), request.headers(), &app.trusted_proxies);
    let budget = Budget {
        name: "invalid-credentials",
        amount: app.invalid_credentials_per_minute,
        window: Duration::from_secs(60),
    };
    match app.ports.limiter.spend(&budget, &client.to_string()).await {
        Ok(Spent::Over { retry_after }) => {
            tracing::warn!(%client, "many invalid credentials from one address");
            Problem::too_many(&budget, retry_after)
        }
        Ok(Spent::Within { .. }) => refusal,
        Err(error) => {
            // A limit nobody can count by is no reason to turn anybody away.
            tracing::warn!(%error, "the rate limiter does not answer");
            refusal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::HeaderValue;

    fn read(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted = [
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ];
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn nobody_but_a_trusted_proxy_speaks_for_another() {
        assert_eq!(read("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(read("::ffff:192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(read("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn what_the_client_made_up_stands_before_what_proxies_saw() {
        assert_eq!(read("10.0.0.1", &["1.1.1.1, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            read("10.0.0.1", &["1.1.1.1", "198.51.100.1, 10.0.0.2"]),
            "198.51.100.1"
        );
        assert_eq!(
            read("10.0.0.1", &["198.51.100.1, 2001:db8::7"]),
            "198.51.100.1"
        );
        assert_eq!(read("10.0.0.1", &["198.51.100.1, nonsense"]), "10.0.0.1");
        assert_eq!(read("10.0.0.1", &["10.0.0.3"]), "10.0.0.3");
    }
}
