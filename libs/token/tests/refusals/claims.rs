//! 32 to 38: what the payload says.

use session_domain::port::TokenVerifier;
use session_domain::token::{Refusal, TokenKind};

use crate::support::{Forge, ISSUED, payload};

#[test]
fn refusal_32_dates_of_the_wrong_type() {
    let forge = Forge::new();
    for bad in [
        r#""1700000600""#,
        "null",
        "true",
        "[1700000600]",
        "{}",
        r#"{"$x":"1"}"#,
    ] {
        forge.refuses_payload(Refusal::Claims, "1700000600", bad);
        forge.refuses_payload(Refusal::Claims, "1699999940", bad);
        forge.refuses_payload(
            Refusal::Claims,
            r#""iat":1700000000"#,
            &format!(r#""iat":{bad}"#),
        );
        forge.refuses_payload(
            Refusal::Claims,
            r#""iss""#,
            &format!(r#""nbf":{bad},"iss""#),
        );
    }
    for missing in [
        r#""exp":1700000600,"#,
        r#""iat":1700000000,"#,
        r#""auth_time":1699999940,"#,
    ] {
        forge.refuses_payload(Refusal::Claims, missing, "");
    }
}

#[test]
fn refusal_33_negative_fractional_huge_dates_and_too_long_a_life() {
    let forge = Forge::new();
    let beyond = ((1_u64 << 53) + 1).to_string();
    let u64_max = u64::MAX.to_string();
    for bad in [
        "-1",
        "1700000600.0",
        "1700000600.5",
        "17000006e2",
        "1e300",
        "1e999",
        &beyond,
        &u64_max,
    ] {
        forge.refuses_payload(Refusal::Claims, "1700000600", bad);
        forge.refuses_payload(Refusal::Claims, "1699999940", bad);
    }
    let expiring = |life: i64| payload().replacen("1700000600", &(ISSUED + life).to_string(), 1);
    assert!(
        forge
            .judge(&forge.sign(forge.header(), expiring(900)))
            .is_ok()
    );
    assert!(
        forge
            .judge(&forge.sign(forge.header(), expiring(1)))
            .is_ok()
    );
    let bad = [901, 1_000_000, 0, -1].map(|life| forge.sign(forge.header(), expiring(life)));
    forge.refuses(Refusal::Claims, bad);
    // Not a longer life than allowed, but a date no clock will show.
    let far = (1_u64 << 53) + 600;
    let dates = format!(r#""exp":{far},"iat":{}"#, far - 600);
    forge.refuses_payload(
        Refusal::Claims,
        r#""exp":1700000600,"iat":1700000000"#,
        &dates,
    );
}

#[test]
fn refusal_34_nbf_after_the_token_was_issued() {
    let forge = Forge::new();
    let with_nbf = |nbf: i64| payload().replacen(r#""iss""#, &format!(r#""nbf":{nbf},"iss""#), 1);
    for good in [0, ISSUED - 5, ISSUED] {
        assert!(
            forge
                .judge(&forge.sign(forge.header(), with_nbf(good)))
                .is_ok()
        );
    }
    for bad in [ISSUED + 1, ISSUED + 600, 1 << 53] {
        forge.refuses(Refusal::Claims, [forge.sign(forge.header(), with_nbf(bad))]);
    }
    // Whether `iat` is in the future is the caller's to judge, who gets it exactly.
    let issued = forge.judge(&forge.valid()).unwrap().issued_at;
    assert_eq!(issued.unix_seconds(), ISSUED);
}

#[test]
fn refusal_35_iss_array_prefix_other_case_trailing_slash() {
    let forge = Forge::new();
    let genuine = r#""iss":"https://sessions.example""#;
    for bad in [
        "https://sessions.example/",
        "https://sessions.exampl",
        "https://sessions.example.evil",
        "https://Sessions.example",
        "HTTPS://sessions.example",
        "http://sessions.example",
        " https://sessions.example",
        "https://sessions.example\\u0000",
        "",
    ] {
        forge.refuses_payload(Refusal::Issuer, genuine, &format!(r#""iss":"{bad}""#));
    }
    for bad in [r#"["https://sessions.example"]"#, "null", "1", "{}"] {
        forge.refuses_payload(Refusal::Claims, genuine, &format!(r#""iss":{bad}"#));
    }
    forge.refuses_payload(Refusal::Claims, &format!("{genuine},"), "");
}

#[test]
fn refusal_36_aud_missing_or_mistyped() {
    let forge = Forge::new();
    let genuine = r#""aud":"https://api.example""#;
    forge.refuses_payload(Refusal::Claims, &format!("{genuine},"), "");
    for bad in [
        "null",
        "1",
        "true",
        "{}",
        "[]",
        "[1]",
        "[null]",
        r#"["a",1]"#,
        r#"[["a"]]"#,
        r#""""#,
        r#"["a",""]"#,
    ] {
        forge.refuses_payload(Refusal::Claims, genuine, &format!(r#""aud":{bad}"#));
    }
    // The caller compares whole strings, which it gets as they were signed.
    let several = payload().replacen(genuine, r#""aud":["https://api.example","b"]"#, 1);
    let audience = forge
        .judge(&forge.sign(forge.header(), several))
        .unwrap()
        .audience;
    assert_eq!(audience, ["https://api.example", "b"]);
}

#[test]
fn refusal_37_wrong_typ() {
    let forge = Forge::new();
    let with_typ = |typ: &str| forge.header().replace(r#""at+jwt""#, typ);
    for typ in [
        "session+jwt",
        "JWT",
        "jwt",
        "AT+JWT",
        "application/at+jwt",
        "at+jwt ",
        "",
    ] {
        forge.refuses_header(Refusal::Kind, with_typ(&format!("\"{typ}\"")));
    }
    for typ in ["null", "1", r#"["at+jwt"]"#] {
        forge.refuses_header(Refusal::Header, with_typ(typ));
    }
    forge.refuses_header(
        Refusal::Header,
        forge.header().replace(r#","typ":"at+jwt""#, ""),
    );
    let verdict = forge
        .verifier
        .verify(&forge.valid(), TokenKind::Session, &forge.keys);
    assert_eq!(verdict, Err(Refusal::Kind));
}

#[test]
fn refusal_38_missing_sid_bad_tenant_retired_key() {
    let forge = Forge::new();
    let sid = r#""sid":"0191d3c4-5b6e-7f80-8123-000000000001""#;
    forge.refuses_payload(Refusal::Claims, &format!("{sid},"), "");
    for bad in [
        r#""sid":null"#,
        r#""sid":"""#,
        r#""sid":"0191D3C4-5B6E-7F80-8123-000000000001""#,
        r#""sid":"0191d3c45b6e7f808123000000000001""#,
        r#""sid":["0191d3c4-5b6e-7f80-8123-000000000001"]"#,
    ] {
        forge.refuses_payload(Refusal::Claims, sid, bad);
    }
    let tenant = r#""tenant":"acme","#;
    for bad in [
        "",
        r#""tenant":"","#,
        r#""tenant":"Acme","#,
        r#""tenant":null,"#,
        r#""tenant":["acme"],"#,
    ] {
        forge.refuses_payload(Refusal::Claims, tenant, bad);
    }

    let mut keys = forge.keys.clone();
    let token = forge.valid();
    assert!(
        forge
            .verifier
            .verify(&token, TokenKind::Access, &keys)
            .is_ok()
    );
    keys.retire(forge.kid());
    let verdict = forge.verifier.verify(&token, TokenKind::Access, &keys);
    assert_eq!(verdict, Err(Refusal::UnknownKey));
}

#[test]
fn a_status_reference_that_is_not_ours_is_refused() {
    let forge = Forge::new();
    for (from, to) in [
        (r#""idx":5"#, r#""idx":1048576"#),
        (r#""idx":5"#, r#""idx":-1"#),
        (r#""idx":5"#, r#""idx":"5""#),
        ("/status-lists/1", "/status-lists/01"),
        ("/status-lists/1", "/status-lists/99999999999999999999"),
        ("sessions.example/status", "evil.example/status"),
        (r#""status":"#, r#""state":"#),
    ] {
        forge.refuses_payload(Refusal::Claims, from, to);
    }
}

#[test]
fn a_claim_of_the_wrong_type_is_refused_and_an_unknown_one_is_not() {
    let forge = Forge::new();
    for (from, to) in [
        (r#""sub":"user-1""#, r#""sub":1"#),
        (r#""sub":"user-1""#, r#""sub":"""#),
        (r#""jti":"jti-1""#, r#""jti":"""#),
        (r#""jti":"jti-1","#, ""),
        (r#""acr":"aal2""#, r#""acr":null"#),
        (r#""amr":["pwd","otp"]"#, r#""amr":"pwd""#),
        (r#""amr":["pwd","otp"]"#, r#""amr":null"#),
        (r#""scope":"read write""#, r#""scope":["read"]"#),
        (r#""client_id":"web""#, r#""client_id":null"#),
        // RFC 7800: bound to a key. Nobody here can check that yet.
        (r#""sub""#, r#""cnf":{"jkt":"AA"},"sub""#),
    ] {
        forge.refuses_payload(Refusal::Claims, from, to);
    }
    let newer = payload().replacen(r#""iss""#, r#""new":{"a":[1.5,null,-3,true]},"iss""#, 1);
    assert!(forge.judge(&forge.sign(forge.header(), newer)).is_ok());
}
