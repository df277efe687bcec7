//! What an operator says about policies: the sections `policy.<name>`, and `acr.levels`.

use std::convert::Infallible;
use std::time::Duration;

use session_client::{DEFAULT, FailureStatus, Policies, Policy, is_acr, is_scope};
use session_runtime::config::{Mistaken, Reader, origin};

/// The policies as configured: who issues and which origins are the product's own is decided
/// elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySettings {
    levels: Vec<String>,
    named: Vec<(String, Unresolved)>,
}

/// A policy with what it leaves to others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unresolved {
    audience: Option<String>,
    policy: Policy,
}

impl PolicySettings {
    /// Reads every section `policy.<name>`; `policy.default` is always there.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let levels = reader
            .value("acr.levels")
            .doc("The authentication context classes (`acr`) that login systems state, the weakest first: where one is demanded, a later one will do.")
            .example("one-factor,two-factors,hardware-key")
            .list_with(|text| class(text));
        let mut names = reader.names("policy");
        names.insert(DEFAULT.to_owned());
        let known = levels.as_deref().unwrap_or_default();
        let policies: Vec<_> = names
            .into_iter()
            .map(|name| {
                let policy = Unresolved::read(reader, &name, known)?;
                Ok((name, policy))
            })
            .collect();
        Ok(Self {
            levels: levels?,
            named: policies.into_iter().collect::<Result<_, _>>()?,
        })
    }

    /// The policies of a deployment that issues in the name of `issuer` and whose own pages are of
    /// these `origins`.
    pub fn resolve(&self, issuer: &str, origins: &[String]) -> Policies {
        let mut policies = Policies::new(Policy::new(issuer.to_owned()));
        for (name, Unresolved { audience, policy }) in &self.named {
            let mut policy = policy.clone();
            policy.audience = audience.clone().unwrap_or_else(|| issuer.to_owned());
            if policy.websocket_origins.is_empty() {
                policy.websocket_origins = origins.to_vec();
            }
            policies = policies.with(name, policy);
        }
        policies.with_levels(self.levels.clone())
    }
}

impl Unresolved {
    fn read(reader: &mut Reader, name: &str, levels: &[String]) -> Result<Self, Mistaken> {
        let field = |of: &str| format!("policy.{name}.{of}");
        let audience = reader
            .value(&field("audience"))
            .doc("The audience (`aud`) a token must be for; where nobody sets it, the issuer's. As all settings of `policy.default`, it can be set for any other name: `/v1/authz/{convention}/NAME` then judges by those, with the same defaults.")
            .optional_with(|text| Ok::<_, Infallible>(text.to_owned()));
        let scopes = reader
            .value(&field("scopes"))
            .doc("The scopes a token must have, all of them.")
            .list_with(|text| {
                is_scope(text)
                    .then(|| text.to_owned())
                    .ok_or("must be a scope (RFC 6749)")
            });
        let min_acr = reader
            .value(&field("min_acr"))
            .doc("The least class of authentication (`acr`), one of `acr.levels`.")
            .optional_with(|text| {
                let text = class(text)?;
                let known = levels.contains(&text);
                known.then_some(text).ok_or("must be one of acr.levels")
            });
        let max_age = reader
            .value(&field("max_age"))
            .doc("How long ago the user may have authenticated at most.")
            .optional_with(|text| match session_runtime::config::duration(text) {
                Ok(span) if span >= Duration::from_secs(1) => Ok(span),
                Ok(_) => Err("must be at least 1s".to_owned()),
                Err(error) => Err(error),
            });
        let mut flag =
            |of: &str, doc, default| reader.value(&field(of)).doc(doc).default(default).parse();
        let cookie = flag(
            "cookie",
            "Whether the session cookie is a credential, besides bearer tokens.",
            "true",
        );
        let websocket_token = flag(
            "websocket_token",
            "Whether a WebSocket handshake may bring an access token as the subprotocol `session-token.` and the token.",
            "false",
        );
        let preflight = flag(
            "preflight",
            "Whether CORS preflights pass without a credential, as nobody. Gateways must then say each request's method.",
            "false",
        );
        let websocket_origins = reader
            .value(&field("websocket_origins"))
            .doc("The origins whose pages may open WebSockets with the session cookie; where nobody sets any, the issuer's own and `origins`.")
            .list_with(origin);
        let failure = reader
            .value(&field("failure_status"))
            .doc("The status where the truth can't be known: `403` for gateways that let a 503 through.")
            .default("503")
            .one_of(&[
                ("503", FailureStatus::Unavailable),
                ("403", FailureStatus::Forbidden),
            ]);
        Ok(Self {
            audience: audience?,
            policy: Policy {
                audience: String::new(),
                scopes: scopes?,
                min_acr: min_acr?,
                max_age: max_age?,
                cookie: cookie?,
                websocket_origins: websocket_origins?,
                websocket_token: websocket_token?,
                preflight: preflight?,
                failure: failure?,
            },
        })
    }
}

fn class(text: &str) -> Result<String, &'static str> {
    is_acr(text)
        .then(|| text.to_owned())
        .ok_or("must be printable, without spaces and quotes")
}

#[cfg(test)]
mod tests {
    use session_runtime::config::{Layers, Mistakes, load};

    use super::*;

    fn read(file: &str) -> Result<Policies, Mistakes> {
        let layers = Layers::default().file("f.toml", file);
        let loaded = load(layers, PolicySettings::read)?;
        let origins = ["https://app.example".to_owned()];
        Ok(loaded.value.resolve("https://s.example", &origins))
    }

    #[test]
    fn without_a_word_there_is_the_default_policy() {
        let policies = read("").unwrap();
        let expected = Policy {
            websocket_origins: vec!["https://app.example".into()],
            ..Policy::new("https://s.example".into())
        };
        assert_eq!(policies.get("default"), Some(&expected));
        assert_eq!(policies.iter().count(), 1);
    }

    #[test]
    fn every_setting_of_a_named_policy_is_taken() {
        let policies = read(
            r#"
            [acr]
            levels = ["one", "two"]
            [policy.step-up]
            audience = "https://bank.example"
            scopes = ["pay", "read"]
            min_acr = "two"
            max_age = "5m"
            cookie = false
            websocket_token = true
            preflight = true
            websocket_origins = ["https://other.example"]
            failure_status = 403
            "#,
        )
        .unwrap();
        let expected = Policy {
            audience: "https://bank.example".into(),
            scopes: vec!["pay".into(), "read".into()],
            min_acr: Some("two".into()),
            max_age: Some(Duration::from_secs(300)),
            cookie: false,
            websocket_origins: vec!["https://other.example".into()],
            websocket_token: true,
            preflight: true,
            failure: FailureStatus::Forbidden,
        };
        assert_eq!(policies.get("step-up"), Some(&expected));
        let default = policies.get("default").unwrap();
        assert!(
            default.cookie && default.min_acr.is_none(),
            "it inherits nothing"
        );
    }

    #[test]
    fn every_mistake_in_every_policy_is_told_at_once() {
        let mistakes = read(
            r#"
            [policy.default]
            cookie = "maybe"
            [policy.a]
            min_acr = "two"
            failure_status = 500
            max_age = "0s"
            [policy.b]
            scopes = ["a b"]
            audiense = "x"
            websocket_origins = ["http://far.example"]
            [policy."C d"]
            cookie = true
            "#,
        )
        .unwrap_err();
        let mut fields: Vec<_> = mistakes.0.iter().map(|one| one.field.as_str()).collect();
        fields.sort_unstable();
        let expected = [
            "policy.C d",
            "policy.a.failure_status",
            "policy.a.max_age",
            "policy.a.min_acr",
            "policy.b.audiense",
            "policy.b.scopes",
            "policy.b.websocket_origins",
            "policy.default.cookie",
        ];
        assert_eq!(fields, expected, "{mistakes}");
    }
}
