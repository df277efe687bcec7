use std::net::IpAddr;

use poem::http::Uri;

/// An origin (RFC 6454): scheme, host and port, spelled as browsers send it; https, or http on this
/// machine.
///
/// # Errors
/// The rule, worded to follow the value.
pub fn origin(text: &str) -> Result<String, &'static str> {
    const RULE: &str =
        "must be https://HOST[:PORT], or http:// and a loopback address, and nothing after it";
    let uri: Uri = text.parse().map_err(|_| RULE)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(RULE);
    };
    let host = authority.host();
    let loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    let safe = scheme == "https" || (scheme == "http" && loopback);
    if safe && text == format!("{scheme}://{authority}") && !authority.as_str().contains('@') {
        Ok(text.to_owned())
    } else {
        Err(RULE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_safe() {
        for good in [
            "https://a.example",
            "https://a.example:8443",
            "http://127.0.0.1:8080",
            "http://localhost",
            "http://[::1]:80",
        ] {
            assert_eq!(origin(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "https://a.example/",
            "https://u@a.example",
            "ftp://127.0.0.1",
            "https://a.example?x",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
