//! 25 to 31 and 40: how a token and its JSON are spelled.

use session_domain::token::{Refusal, TOKEN_BYTES_MAX};

use crate::support::{Forge, b64, payload};

#[test]
fn refusal_25_json_serialisation() {
    let forge = Forge::new();
    let token = forge.valid();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!()
    };
    let one = format!(r#""protected":"{header}","signature":"{signature}""#);
    forge.refuses(
        Refusal::Malformed,
        [
            format!(r#"{{"payload":"{payload}",{one}}}"#),
            format!(r#"{{"payload":"{payload}","signatures":[{{{one}}}]}}"#),
        ],
    );
}

#[test]
fn refusal_26_wrong_number_of_dots() {
    let forge = Forge::new();
    let token = forge.valid();
    forge.refuses(
        Refusal::Malformed,
        [
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.AA"),
            format!("{token}.{token}"),
            token.replacen('.', "..", 1),
            token.replace('.', ""),
            ".".repeat(1_000_000),
            ".".repeat(TOKEN_BYTES_MAX),
        ],
    );
}

#[test]
fn refusal_27_longer_than_8_kib() {
    let forge = Forge::new();
    let padded = |len: usize| {
        let filler = format!(r#"{{"x":"{}","iss""#, "a".repeat(len));
        forge.sign(forge.header(), payload().replacen(r#"{"iss""#, &filler, 1))
    };
    let mut fitting = (1..TOKEN_BYTES_MAX).rev().map(padded);
    let fitting = fitting
        .find(|token| token.len() <= TOKEN_BYTES_MAX)
        .unwrap();
    assert!(fitting.len() > TOKEN_BYTES_MAX - 2);
    assert!(forge.judge(&fitting).is_ok());
    let unpadded = forge.valid().len() * 3 / 4;
    let longer = padded(TOKEN_BYTES_MAX * 3 / 4 - unpadded + 60);
    assert!(longer.len() > TOKEN_BYTES_MAX && longer.len() < TOKEN_BYTES_MAX + 120);
    forge.refuses(
        Refusal::Malformed,
        [longer, padded(4 << 20), "a".repeat(TOKEN_BYTES_MAX + 1)],
    );
}

#[test]
fn refusal_28_a_member_twice_at_any_level() {
    let forge = Forge::new();
    for (from, to) in [
        (r#""iss""#, r#""iss":"https://evil.example","iss""#),
        (r#""exp""#, r#""exp":9999999999,"exp""#),
        (r#""sub""#, r#""sub":"user-1","sub""#),
        (r#""idx""#, r#""idx":6,"idx""#),
        (r#""iss""#, r#""unknown":1,"unknown":2,"iss""#),
        (r#""iss""#, r#""unknown":[{"a":1,"b":{"c":1,"c":1}}],"iss""#),
    ] {
        forge.refuses_payload(Refusal::Claims, from, to);
    }
    forge.refuses_header(Refusal::Header, forge.header_with(r#""alg":"EdDSA""#));
    forge.refuses_header(Refusal::Header, forge.header_with(r#""typ":"at+jwt""#));
}

#[test]
fn refusal_29_a_member_twice_by_escape() {
    let forge = Forge::new();
    forge.refuses_payload(
        Refusal::Claims,
        r#""exp""#,
        r#""e\u0078p":9999999999,"exp""#,
    );
    forge.refuses_payload(
        Refusal::Claims,
        r#""iss""#,
        r#""y":{"x":1,"\u0078":2},"iss""#,
    );
    forge.refuses_header(Refusal::Header, forge.header_with(r#""\u0061lg":"EdDSA""#));
    forge.refuses_header(Refusal::Header, forge.header_with(r#""k\u0069d":"other""#));
}

#[test]
fn refusal_30_bom_invalid_utf_8_and_trailing_json() {
    let forge = Forge::new();
    let spoil = |text: &str, from: &str| {
        let at = text.find(from).unwrap();
        let mut bytes = text.as_bytes().to_vec();
        bytes.insert(at, 0xff);
        bytes
    };
    let header = forge.header();
    forge.refuses_header(Refusal::Header, format!("\u{feff}{header}"));
    forge.refuses_header(Refusal::Header, format!("{header}{header}"));
    forge.refuses_header(Refusal::Header, format!("{header}\0"));
    forge.refuses_header(Refusal::Header, spoil(&header, "at+jwt"));
    let payload = payload();
    let bad = [
        format!("\u{feff}{payload}").into_bytes(),
        format!("{payload}{{}}").into_bytes(),
        format!("{payload},").into_bytes(),
        spoil(&payload, "user-1"),
        payload.replace("user-1", "\\ud800").into_bytes(),
        spoil(&payload.replace("{\"iss", "{\"unknown\":\"?\",\"iss"), "?"),
        Vec::from(&payload[..payload.len() - 1]),
    ];
    forge.refuses(Refusal::Claims, bad.map(|bad| forge.sign(&header, bad)));
}

#[test]
fn refusal_31_deep_nesting() {
    let forge = Forge::new();
    for depth in [8, 100, 2_500] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        forge.refuses_payload(Refusal::Claims, r#""iss""#, &format!(r#""x":{deep},"iss""#));
        let deep = format!(
            "{}1{}",
            r#"{"a":"#.repeat(depth / 3 + 6),
            "}".repeat(depth / 3 + 6)
        );
        forge.refuses_payload(Refusal::Claims, r#""iss""#, &format!(r#""x":{deep},"iss""#));
        forge.refuses_header(
            Refusal::Header,
            forge.header_with(&format!(r#""x":{deep}"#)),
        );
    }
    forge.refuses(
        Refusal::Claims,
        [forge.sign(forge.header(), "[".repeat(5_000))],
    );
}

#[test]
fn refusal_40_any_spelling_but_the_canonical_one() {
    let forge = Forge::new();
    let token = forge.valid();
    forge.refuses(
        Refusal::Malformed,
        [
            format!("{token}="),
            format!("{token}=="),
            format!("{token}\n"),
            format!(" {token}"),
            format!("{token}\0"),
            token.replacen('.', ".\t", 1),
            token.replacen('.', "=.", 1),
            format!("{token}+"),
            format!("{token}/"),
            format!("{token}é"),
            format!("%{token}"),
        ],
    );
    // 64 bytes leave four spare bits in the last character: fifteen other spellings.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(token.chars().last().unwrap()).unwrap();
    assert_eq!(last % 16, 0);
    for spare in 1..16 {
        let other = &alphabet[last + spare..=last + spare];
        let respelled = format!("{}{other}", &token[..token.len() - 1]);
        forge.refuses(Refusal::Signature, [respelled]);
    }
    // The other parts, signed as they are spelled.
    let spare = |part: String| {
        let last = alphabet.find(part.chars().last().unwrap()).unwrap();
        format!(
            "{}{}",
            &part[..part.len() - 1],
            &alphabet[last + 1..=last + 1]
        )
    };
    let (one_spare, payload) = (b64(format!("{} ", payload())), b64(payload()));
    let padded_payload = if payload.len() % 4 == 0 {
        one_spare
    } else {
        payload.clone()
    };
    assert_ne!(padded_payload.len() % 4, 0);
    let header = b64(forge.header());
    forge.refuses(
        Refusal::Malformed,
        [forge.sign_parts(&header, &spare(padded_payload))],
    );
    let header = [forge.header(), format!("{} ", forge.header())].map(b64);
    let header = header
        .into_iter()
        .find(|header| header.len() % 4 != 0)
        .unwrap();
    forge.refuses(
        Refusal::Malformed,
        [forge.sign_parts(&spare(header), &payload)],
    );
}

#[test]
fn an_array_is_not_taken_for_an_object() {
    let forge = Forge::new();
    forge.refuses_header(
        Refusal::Header,
        format!(r#"["EdDSA","{}","at+jwt"]"#, forge.kid()),
    );
    let status = r#"{"status_list":{"idx":5,"uri":"https://sessions.example/status-lists/1"}}"#;
    for bad in [
        r#"[{"idx":5,"uri":"https://sessions.example/status-lists/1"}]"#,
        r#"{"status_list":[5,"https://sessions.example/status-lists/1"]}"#,
    ] {
        forge.refuses_payload(Refusal::Claims, status, bad);
    }
}
