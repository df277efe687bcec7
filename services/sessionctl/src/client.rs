//! The API, asked as a service.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, Url};
use serde_json::Value;

use crate::failure::{Failure, Problem};

/// How long an answer may take. Ending waits for every validator, and for the leases of those that
/// are gone; longer than this, something else is wrong.
const ANSWER_SECONDS_MAX: u64 = 60;

/// The file the key is in where nobody says.
const KEY_FILE: &str = "var/service-key";

/// The API at an address, with the key it is asked with.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
}

/// Parts of a path below `/api/v1`, as they are before they are encoded.
pub type Segments<'a> = &'a [&'a str];

/// Names and values of a query.
pub type Query<'a> = &'a [(&'a str, &'a str)];

impl Client {
    /// The API at `api`, to be asked with this key.
    pub fn new(api: &str, key: &str) -> Result<Self, Failure> {
        let base: Url = api
            .parse()
            .map_err(|error| Failure::Usage(format!("{api:?} is no address of an API: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            let text = format!("{api:?} is no address of an API: it must begin with http(s)://");
            return Err(Failure::Usage(text));
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| Failure::Key("the service key isn't one".to_owned()))?;
        authorization.set_sensitive(true);
        let mut builder = reqwest::Client::builder()
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
            // The API doesn't redirect, and nobody else shall get the key.
            .redirect(Policy::none())
            .user_agent(concat!("sessionctl/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // Works on machines without any certificates too.
            builder = builder.tls_certs_only([]);
        }
        // Fails where the machine has no certificates to check the API's against.
        let http = builder.build().map_err(|error| Failure::Unreachable {
            api: base.to_string(),
            reason: innermost(&error),
        })?;
        Ok(Self {
            http,
            base,
            authorization,
        })
    }

    /// Whether the key goes over a network in the clear.
    pub fn is_exposed(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address = address.parse::<std::net::IpAddr>();
        let stays = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        self.base.scheme() == "http" && !stays
    }

    /// What is there.
    pub async fn get(&self, path: Segments<'_>, query: Query<'_>) -> Result<Value, Failure> {
        self.ask(Method::GET, path, query, None).await
    }

    /// Does something.
    pub async fn post(
        &self,
        path: Segments<'_>,
        query: Query<'_>,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.ask(Method::POST, path, query, body).await
    }

    /// Takes something away.
    pub async fn delete(&self, path: Segments<'_>) -> Result<Value, Failure> {
        self.ask(Method::DELETE, path, &[], None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: Segments<'_>,
        query: Query<'_>,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut request = self
            .http
            .request(method, self.url(path, query)?)
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| Failure::Unreachable {
            api: self.base.to_string(),
            reason: innermost(&error),
        };
        let answer = request.send().await.map_err(unreachable)?;
        read(answer).await.map_err(unreachable)?
    }

    fn url(&self, path: Segments<'_>, query: Query<'_>) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        // As parts of a path these two mean another place, however they are encoded.
        if let Some(part) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(Failure::Usage(format!("{part:?} can't be asked about")));
        }
        url.path_segments_mut()
            .expect("an http address has a path")
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

/// The answer's body, or the problem it is.
async fn read(answer: Response) -> Result<Result<Value, Failure>, reqwest::Error> {
    let status = answer.status();
    let body = answer.bytes().await?;
    if status.is_success() && body.is_empty() {
        return Ok(Ok(Value::Null));
    }
    let json = serde_json::from_slice(&body);
    Ok(match json {
        Ok(value) if status.is_success() => Ok(value),
        Ok(value) => Err(Problem::read(status, &value)
            .map_or_else(|| Failure::Unexpected(status.to_string()), Failure::Problem)),
        Err(_) => Err(Failure::Unexpected(status.to_string())),
    })
}

/// The service key: from the file somebody names, from the environment, or from where
/// `make run` keeps it.
pub fn service_key(file: Option<&Path>, environment: Option<String>) -> Result<String, Failure> {
    let path = match (file, environment) {
        (Some(path), _) => path,
        (None, Some(key)) => return Ok(key),
        (None, None) => Path::new(KEY_FILE),
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Failure::Key(format!(
            "can't read the service key in {path}: {error}; name its file with --service-key-file, or set SESSIONCTL_SERVICE_KEY"
        ))
    })?;
    match text.trim() {
        "" => Err(Failure::Key(format!(
            "there is no service key in {}",
            path.display()
        ))),
        key => Ok(key.to_owned()),
    }
}

/// What was the matter in the end; the errors around it say that a request failed.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(api: &str, path: Segments<'_>, query: Query<'_>) -> String {
        let client = Client::new(api, "ssk_x").unwrap();
        client.url(path, query).unwrap().to_string()
    }

    #[test]
    fn whatever_a_user_is_called_they_are_one_part_of_the_path() {
        let path = ["sessions", "user", "a/b?c#d e%2f", "active"];
        assert_eq!(
            url("http://127.0.0.1:8080", &path, &[("tenant", "x&y")]),
            "http://127.0.0.1:8080/api/v1/sessions/user/a%2Fb%3Fc%23d%20e%252f/active?tenant=x%26y"
        );
        let client = Client::new("http://localhost", "ssk_x").unwrap();
        for part in ["", ".", ".."] {
            let asked = client.url(&["sessions", part], &[]);
            assert!(matches!(asked, Err(Failure::Usage(_))), "{part:?}");
        }
    }

    #[test]
    fn the_api_may_be_below_a_path() {
        let expected = "https://example.com/auth/api/v1/sessions/stats";
        for api in ["https://example.com/auth", "https://example.com/auth/"] {
            assert_eq!(url(api, &["sessions", "stats"], &[]), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for api in ["", "localhost", "ftp://example.com", "mailto:a@example.com"] {
            assert!(
                matches!(Client::new(api, "k"), Err(Failure::Usage(_))),
                "{api}"
            );
        }
    }

    #[test]
    fn a_key_in_the_clear_is_noticed() {
        let exposed = |api| Client::new(api, "k").unwrap().is_exposed();
        assert!(exposed("http://example.com"));
        assert!(exposed("http://192.0.2.1:8080"));
        for fine in [
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost",
        ] {
            assert!(!exposed(fine), "{fine}");
        }
        assert!(!exposed("https://example.com"));
    }

    #[test]
    fn a_named_file_goes_before_the_environment() {
        let folder = std::env::temp_dir();
        let missing = folder.join("sessionctl-no-such-key");
        let key = service_key(Some(&missing), Some("ssk_env".into()));
        assert!(
            key.unwrap_err()
                .to_string()
                .contains("sessionctl-no-such-key")
        );
        assert_eq!(
            service_key(None, Some("ssk_env".into())).unwrap(),
            "ssk_env"
        );
    }
}
