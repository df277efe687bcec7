//! `make demo`: a day in the life of one user, played over HTTP against a running instance.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

/// Plays a day of one user on four devices against a running instance.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Where the API is.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    api: String,
    /// Where a validator is; several times for several, all of which are asked each time.
    #[arg(long = "validator", default_value = "http://127.0.0.1:8081")]
    validators: Vec<String>,
    /// The file that holds a service key.
    #[arg(long, default_value = "var/service-key")]
    service_key_file: PathBuf,
}

/// Where the user signs in from: documentation addresses (RFC 5737, RFC 3849).
const DEVICES: [(&str, &str, &str); 4] = [
    (
        "Chrome on Windows",
        "192.0.2.10",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (
        "Safari on iPhone",
        "198.51.100.20",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    ),
    (
        "Firefox on Linux",
        "203.0.113.30",
        "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    ),
    (
        "DoCodeGo Desktop",
        "2001:db8::40",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0 Tauri/2.9",
    ),
];

/// One signed-in device.
struct Device {
    label: &'static str,
    id: String,
    access: String,
    refresh: String,
    cookie: String,
}

struct Day {
    http: Client,
    options: Options,
    service_key: String,
}

impl Day {
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Result<Response> {
        let url = format!("{}{path}", self.options.api);
        let mut request = self.http.request(method, &url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request
            .send()
            .await
            .with_context(|| format!("{url} does not answer; is `make run` running?"))
    }

    async fn json(response: Response, expected: StatusCode) -> Result<Value> {
        let status = response.status();
        let body = response.text().await?;
        ensure!(
            status == expected,
            "expected {expected}, got {status}: {body}"
        );
        Ok(serde_json::from_str(&body)?)
    }

    async fn sign_in(
        &self,
        user: &str,
        (label, ip, agent): (&'static str, &str, &str),
    ) -> Result<Device> {
        let login =
            json!({ "user_id": user, "ip_address": ip, "user_agent": agent, "amr": ["pwd"] });
        let response = self
            .call(
                Method::POST,
                "/api/v1/sessions",
                &self.service_key,
                Some(login),
            )
            .await?;
        let started = Self::json(response, StatusCode::CREATED).await?;
        let shown = started["session"]["device"]["label"]
            .as_str()
            .unwrap_or_default();
        ensure!(
            shown == label,
            "the device is shown as {shown:?}, not {label:?}"
        );
        println!("  signed in on {label} from {ip}");
        let text = |name: &str| started[name].as_str().unwrap_or_default().to_owned();
        Ok(Device {
            label,
            id: started["session"]["id"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            access: text("access_token"),
            refresh: text("refresh_token"),
            cookie: text("session_token"),
        })
    }

    /// What a gateway is told about a device, whichever validator it asks.
    async fn validates(&self, device: &Device) -> Result<bool> {
        let mut answers = Vec::new();
        for validator in &self.options.validators {
            answers.push(self.validates_at(validator, device).await?);
        }
        let first = *answers.first().context("no validator")?;
        ensure!(
            answers.iter().all(|answer| *answer == first),
            "the validators disagree about {}: {answers:?}",
            device.label
        );
        Ok(first)
    }

    /// What one validator says, by the access token and by the cookie.
    async fn validates_at(&self, validator: &str, device: &Device) -> Result<bool> {
        let url = format!("{validator}/v1/authz/forwarded/default");
        let by_token = self
            .http
            .get(&url)
            .bearer_auth(&device.access)
            .send()
            .await?
            .status();
        let cookie = ["__Host-session", "session"].map(|name| format!("{name}={}", device.cookie));
        let by_cookie = self
            .http
            .get(&url)
            .header("Cookie", cookie.join("; "))
            .send()
            .await?
            .status();
        match (by_token, by_cookie) {
            (StatusCode::OK, StatusCode::OK) => Ok(true),
            (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED) => Ok(false),
            other => bail!(
                "the validator is of two minds about {}: {other:?}",
                device.label
            ),
        }
    }

    async fn expect_valid(&self, device: &Device, expected: bool) -> Result<()> {
        ensure!(
            self.validates(device).await? == expected,
            "{} should be valid: {expected}",
            device.label
        );
        let word = if expected {
            "accepted"
        } else {
            "refused at once"
        };
        let by = match self.options.validators.len() {
            1 => "the validator".to_owned(),
            count => format!("all {count} validators"),
        };
        println!("  {} is {word} by {by}", device.label);
        Ok(())
    }

    async fn list(&self, with: &Device) -> Result<usize> {
        let response = self
            .call(Method::GET, "/api/v1/sessions", &with.access, None)
            .await?;
        let page = Self::json(response, StatusCode::OK).await?;
        let sessions = page["sessions"].as_array().context("no list of sessions")?;
        for session in sessions {
            let (label, ip) = (&session["device"]["label"], &session["network"]["ip"]);
            let here = if session["is_current"] == json!(true) {
                "  <- this one"
            } else {
                ""
            };
            println!(
                "    {:<18} {:<15}{here}",
                label.as_str().unwrap_or("?"),
                ip.as_str().unwrap_or("?")
            );
        }
        Ok(sessions.len())
    }

    async fn play(&self) -> Result<()> {
        let user = format!("demo-{}", std::process::id());
        println!("Morning: {user} signs in on four devices.");
        let mut devices = Vec::new();
        for device in DEVICES {
            devices.push(self.sign_in(&user, device).await?);
        }
        let [mut chrome, iphone, firefox, desktop] =
            <[Device; 4]>::try_from(devices).map_err(|_| anyhow::anyhow!("four devices"))?;
        for device in [&chrome, &iphone, &firefox, &desktop] {
            self.expect_valid(device, true).await?;
        }
        println!("They look at their sessions, on {}:", chrome.label);
        ensure!(
            self.list(&chrome).await? == 4,
            "four sessions should be listed"
        );

        println!("Noon: the access token is refreshed; the refresh token is used up.");
        let body = json!({ "refresh_token": chrome.refresh });
        let response = self
            .call(Method::POST, "/api/v1/sessions/refresh", "", Some(body))
            .await?;
        let refreshed = Self::json(response, StatusCode::OK).await?;
        for (field, name) in [
            (&mut chrome.access, "access_token"),
            (&mut chrome.refresh, "refresh_token"),
        ] {
            let new = refreshed[name].as_str().context("no token")?;
            ensure!(new != field, "{name} should be a new one");
            new.clone_into(field);
        }
        self.expect_valid(&chrome, true).await?;

        println!(
            "Afternoon: the iPhone is lost. They end its session from {}.",
            chrome.label
        );
        let path = format!("/api/v1/sessions/{}", iphone.id);
        let response = self
            .call(Method::DELETE, &path, &chrome.access, None)
            .await?;
        ensure!(
            response.status() == StatusCode::NO_CONTENT,
            "expected 204, got {}",
            response.status()
        );
        self.expect_valid(&iphone, false).await?;
        self.expect_valid(&firefox, true).await?;

        println!("Evening: they end all other sessions.");
        let response = self
            .call(
                Method::POST,
                "/api/v1/sessions/revoke-others",
                &chrome.access,
                None,
            )
            .await?;
        let revoked = Self::json(response, StatusCode::OK).await?;
        ensure!(
            revoked["revoked"] == json!(2),
            "two others should be ended, not {}",
            revoked["revoked"]
        );
        for device in [&firefox, &desktop] {
            self.expect_valid(device, false).await?;
        }
        self.expect_valid(&chrome, true).await?;
        ensure!(self.list(&chrome).await? == 1, "one session should be left");

        println!("Night: they log out.");
        let response = self
            .call(
                Method::DELETE,
                "/api/v1/sessions/current",
                &chrome.access,
                None,
            )
            .await?;
        ensure!(
            response.status() == StatusCode::NO_CONTENT,
            "expected 204, got {}",
            response.status()
        );
        self.expect_valid(&chrome, false).await?;
        let body = json!({ "refresh_token": chrome.refresh });
        let response = self
            .call(Method::POST, "/api/v1/sessions/refresh", "", Some(body))
            .await?;
        ensure!(
            response.status() == StatusCode::UNAUTHORIZED,
            "a refresh after logout got {}",
            response.status()
        );
        println!("  and the refresh token is worthless too");
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let day = async {
        let key = std::fs::read_to_string(&options.service_key_file).with_context(|| {
            format!(
                "cannot read {}; is `make run` running?",
                options.service_key_file.display()
            )
        })?;
        let http = Client::builder().build()?;
        Day {
            http,
            options,
            service_key: key.trim().to_owned(),
        }
        .play()
        .await
    };
    match day.await {
        Ok(()) => {
            println!(
                "\nEverything held: each ended session was refused in the first request after the answer."
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
