//! The session service behind the gateways: the real program, all in one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// The origin whose pages may open `WebSockets`.
pub const ORIGIN: &str = "https://app.example";

/// A running service. Killed when dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    api: String,
    pub validator: SocketAddr,
    pub grpc: SocketAddr,
    key: String,
    http: Client,
    _folder: TempDir,
}

/// A signed-in user.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub id: String,
    pub user: String,
    pub access: String,
    pub refresh: String,
    /// The session cookie, name and value.
    pub cookie: String,
}

impl Service {
    /// Starts it on free ports and an empty folder.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let grpc = free_port()?;
        let mut child = Command::new(program()?)
            .arg("--data-dir")
            .arg(folder.path())
            .args([
                "--api-listen",
                "127.0.0.1:0",
                "--validator-listen",
                "127.0.0.1:0",
            ])
            .args([
                "--private-listen",
                "127.0.0.1:0",
                "--grpc-listen",
                &grpc.to_string(),
            ])
            .env("SESSION_LOG__FORMAT", "json")
            .env("SESSION_ORIGINS", ORIGIN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(child.stderr.take().context("a pipe")?);
        let ready = tokio::time::timeout(PATIENCE, ready(lines)).await??;
        let address = |name: &str| ready[name].as_str().context("an address");
        let key = std::fs::read_to_string(folder.path().join("service-key"))?;
        Ok(Self {
            api: format!("http://{}", address("api")?),
            validator: address("validator")?.parse()?,
            grpc,
            key: key.trim().to_owned(),
            http: Client::new(),
            child,
            _folder: folder,
        })
    }

    /// Starts a session.
    pub async fn sign_in(&self, user: &str) -> Result<SignedIn> {
        let login = json!({ "user_id": user, "ip_address": "192.0.2.1", "user_agent": "e2e" });
        let asked = self.http.post(format!("{}/api/v1/sessions", self.api));
        let answer = asked.bearer_auth(&self.key).json(&login).send().await?;
        let body: Value = answer.error_for_status()?.json().await?;
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned).context("a text");
        Ok(SignedIn {
            id: text(&body["session"]["id"])?,
            user: user.to_owned(),
            access: text(&body["access_token"])?,
            refresh: text(&body["refresh_token"])?,
            cookie: format!("session={}", text(&body["session_token"])?),
        })
    }

    /// Ends a session; back once no validator accepts it.
    pub async fn end(&self, session: &SignedIn) -> Result<()> {
        let url = format!("{}/api/v1/sessions/{}", self.api, session.id);
        let answer = self.http.delete(url).bearer_auth(&self.key).send().await?;
        ensure!(answer.status().as_u16() == 204, "{}", answer.status());
        Ok(())
    }

    /// Stops it in its tracks: connections stay open and nobody answers.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Ends it.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().context("it has ended")?;
        let pid = Pid::from_raw(i32::try_from(id)?).context("a process id")?;
        Ok(kill_process(pid, signal)?)
    }
}

/// Reads the log until it says where everything is; then goes on reading, so that it never blocks.
async fn ready(lines: BufReader<tokio::process::ChildStderr>) -> Result<Value> {
    let mut lines = lines.lines();
    let mut log = String::new();
    while let Some(line) = lines.next_line().await? {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if event["message"] == "ready" {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(event);
        }
        log.push_str(&line);
        log.push('\n');
    }
    anyhow::bail!("session-standalone ended:\n{log}")
}

/// A port nobody listened on a moment ago.
pub fn free_port() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The program, beside this one.
fn program() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let beside = this
        .parent()
        .map(|folder: &Path| folder.join("session-standalone"));
    let program = beside.context("a folder")?;
    ensure!(program.is_file(), "build session-standalone first");
    Ok(program)
}
