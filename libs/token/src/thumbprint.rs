use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use session_domain::ids::KeyId;

use crate::base64url;

/// The RFC 7638 thumbprint (SHA-256) of a JSON Web Key's members, the `kid` we give it. `None`
/// where its type is unknown or a member the thumbprint is made of is missing.
pub fn thumbprint(jwk: &BTreeMap<String, String>) -> Option<KeyId> {
    let required: &[&str] = match jwk.get("kty")?.as_str() {
        "OKP" => &["crv", "kty", "x"],
        "EC" => &["crv", "kty", "x", "y"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let members: BTreeMap<&str, &str> = required
        .iter()
        .map(|&name| Some((name, jwk.get(name)?.as_str())))
        .collect::<Option<_>>()?;
    // A `BTreeMap` in `serde_json`'s compact form is what RFC 7638 hashes: members in the order
    // of their names, no white space. (The values are base64url, so nothing is escaped.)
    let text = serde_json::to_vec(&members).ok()?;
    base64url::encode(digest(&SHA256, &text)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8037_a_3() {
        let jwk = [
            ("kty", "OKP"),
            ("crv", "Ed25519"),
            ("x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
        ];
        let jwk = jwk.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let kid = thumbprint(&jwk.into()).unwrap();
        assert_eq!(kid.as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_of_another_type_or_with_a_member_missing_has_none() {
        let of = |members: &[(&str, &str)]| {
            let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
            thumbprint(&members.iter().map(own).collect())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("kty", "oct"), ("k", "AA")]), None);
        assert_eq!(of(&[("kty", "OKP"), ("crv", "Ed25519")]), None);
    }
}
