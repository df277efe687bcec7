//! 13 to 24: header members that ask for something.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use session_domain::token::Refusal;

use crate::support::{Forge, b64, payload};

#[test]
fn refusal_13_jwk_header() {
    let forge = Forge::new();
    let theirs = Ed25519KeyPair::from_seed_unchecked(&[66; 32]).unwrap();
    let x = b64(theirs.public_key());
    let jwk = format!(r#""jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
    forge.refuses_header(Refusal::Header, forge.header_with(&jwk));
    let signed = format!("{}.{}", b64(forge.header_with(&jwk)), b64(payload()));
    let signature = b64(theirs.sign(signed.as_bytes()));
    forge.refuses(Refusal::Header, [format!("{signed}.{signature}")]);
}

#[test]
fn refusal_14_jku_header() {
    let forge = Forge::new();
    forge.refuses_header(
        Refusal::Header,
        forge.header_with(r#""jku":"https://sessions.example/jwks""#),
    );
}

#[test]
fn refusal_15_x5u_and_x5c_headers_and_nothing_is_fetched() {
    let forge = Forge::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    for name in ["x5u", "jku"] {
        forge.refuses_header(
            Refusal::Header,
            forge.header_with(&format!(r#""{name}":"{url}""#)),
        );
    }
    for more in [r#""x5c":["MIIB"]"#, r#""x5t":"AA""#, r#""x5t#S256":"AA""#] {
        forge.refuses_header(Refusal::Header, forge.header_with(more));
    }
    let connected = listener.accept().map(|_| ());
    assert_eq!(
        connected.unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
}

fn refuses_kid(forge: &Forge, kids: &[&str]) {
    for kid in kids {
        forge.refuses_header(
            Refusal::Header,
            forge.header().replace(forge.kid().as_str(), kid),
        );
    }
}

#[test]
fn refusal_16_kid_with_path_parts() {
    let forge = Forge::new();
    let genuine = forge.kid().as_str();
    let dotted = format!("./{genuine}");
    refuses_kid(
        &forge,
        &[
            "../../dev/null",
            "/dev/null",
            "..",
            "a/b",
            "a\\\\b",
            "%2e%2e",
            &dotted,
        ],
    );
}

#[test]
fn refusal_17_kid_with_sql_ldap_nul_or_too_long() {
    let forge = Forge::new();
    let long = "a".repeat(129);
    let genuine = forge.kid().as_str();
    let suffixed = format!("{genuine}\\u0000");
    refuses_kid(
        &forge,
        &[
            "' OR 1=1 --",
            "*)(uid=*",
            "\\u0000",
            &suffixed,
            &long,
            "",
            " ",
            "é",
            "a\\nb",
        ],
    );
}

#[test]
fn refusal_18_storms_of_unknown_keys_are_refused_from_memory() {
    let forge = Forge::new();
    let genuine = forge.kid().as_str();
    let storm = (0..20_000).map(|n| {
        let header = forge.header().replace(genuine, &format!("unknown-{n}"));
        format!("{}.{}.{}", b64(header), b64(payload()), b64([1; 64]))
    });
    forge.refuses(Refusal::UnknownKey, storm);
}

#[test]
fn refusal_19_kid_twice() {
    let forge = Forge::new();
    let genuine = forge.kid().as_str();
    for more in [
        format!(r#""kid":"{genuine}""#),
        r#""kid":"other""#.to_owned(),
    ] {
        forge.refuses_header(Refusal::Header, forge.header_with(&more));
    }
}

#[test]
fn refusal_20_any_crit() {
    let forge = Forge::new();
    for crit in [
        r#"["exp"]"#,
        r#"["b64"]"#,
        r#"["unknown"]"#,
        "null",
        r#""exp""#,
        "1",
    ] {
        forge.refuses_header(
            Refusal::Header,
            forge.header_with(&format!(r#""crit":{crit}"#)),
        );
    }
    forge.refuses_header(Refusal::Header, forge.header_with(r#""crit":["x"],"x":1"#));
}

#[test]
fn refusal_21_empty_crit_and_b64_false() {
    let forge = Forge::new();
    for more in [
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""b64":false,"crit":["b64"]"#,
    ] {
        forge.refuses_header(Refusal::Header, forge.header_with(more));
    }
    // RFC 7797: the payload itself stands between the dots.
    let header = b64(forge.header_with(r#""b64":false,"crit":["b64"]"#));
    forge.refuses(Refusal::Malformed, [forge.sign_parts(&header, &payload())]);
}

#[test]
fn refusal_22_zip() {
    let forge = Forge::new();
    for zip in [r#""DEF""#, r#""""#, "null"] {
        forge.refuses_header(
            Refusal::Header,
            forge.header_with(&format!(r#""zip":{zip}"#)),
        );
    }
}

#[test]
fn refusal_23_jwe_and_p2c_bomb() {
    let forge = Forge::new();
    let jwe = r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}"#;
    let parts = [
        b64(jwe),
        b64([1; 40]),
        b64([2; 12]),
        b64([3; 90]),
        b64([4; 16]),
    ];
    forge.refuses(Refusal::Malformed, [parts.join(".")]);
    forge.refuses_header(Refusal::Header, jwe);
    forge.refuses_header(
        Refusal::Header,
        forge.header_with(r#""p2c":2147483647,"p2s":"AAAA""#),
    );
    forge.refuses_header(Refusal::Header, forge.header_with(r#""enc":"A128GCM""#));
}

#[test]
fn refusal_24_nested_jwt() {
    let forge = Forge::new();
    forge.refuses_header(Refusal::Header, forge.header_with(r#""cty":"JWT""#));
    let inner = forge.valid();
    forge.refuses(Refusal::Claims, [forge.sign(forge.header(), &inner)]);
    forge.refuses(
        Refusal::Claims,
        [forge.sign(forge.header(), format!("\"{inner}\""))],
    );
}
