//! What has to hold behind every gateway, one function each.

mod identity;

use std::pin::Pin;

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};

use crate::application::{Application, Arrived};
use crate::gateway::Gateway;
use crate::http::{Answer, Connection, Request, ask};
use crate::service::{ORIGIN, Service, SignedIn};
use identity::{
    alias_with_dots, alias_with_underscores, connection_names_identity, spoofed_identity,
    spoofed_identity_alone,
};

/// The identity fields, all of which an application gets, always.
const FIELDS: [&str; 7] = [
    "X-Session-Subject",
    "X-Session-Id",
    "X-Session-Tenant",
    "X-Session-Acr",
    "X-Session-Auth-Time",
    "X-Session-Expires",
    "X-Session-Scope",
];

/// Longer than a stopped validator may hold a request up, in seconds.
const HELD_UP_SECONDS_MAX: i64 = 5;

/// What a case works with.
#[derive(Clone, Copy)]
struct Stage<'a> {
    gateway: &'a Gateway,
    service: &'a Service,
    application: &'a Application,
}

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A case, by its row in the table.
pub struct Case {
    /// The row.
    pub name: &'static str,
    run: for<'a> fn(Stage<'a>) -> Outcome<'a>,
}

macro_rules! cases {
    ($($name:literal => $run:ident),* $(,)?) => {
        [$(Case { name: $name, run: |stage| Box::pin($run(stage)) }),*]
    };
}

/// All of them, in the table's order. The last ones take the validator away.
pub const CASES: [Case; 22] = cases! {
    "allowed by token" => allowed_by_token,
    "allowed by cookie" => allowed_by_cookie,
    "no credential" => no_credential,
    "token that is none" => no_token,
    "token of another kind" => another_kind,
    "token in the query" => token_in_the_query,
    "spoofed identity replaced" => spoofed_identity,
    "spoofed identity alone" => spoofed_identity_alone,
    "alias with underscores" => alias_with_underscores,
    "alias with dots" => alias_with_dots,
    "doubled Authorization" => doubled_authorization,
    "doubled cookie" => doubled_cookie,
    "Connection names identity" => connection_names_identity,
    "HEAD, POST with a body" => methods_and_bodies,
    "OPTIONS without credential" => options,
    "two users, one connection" => two_users_one_connection,
    "WebSocket" => web_socket,
    "60 KB of headers" => long_headers,
    "120 header fields" => many_headers,
    "refused right after its end" => refused_right_after_its_end,
    "validator stands still" => validator_stands_still,
    "validator is gone" => validator_is_gone,
};

/// Runs all of them through one gateway.
pub async fn run(
    gateway: &Gateway,
    service: &Service,
    application: &Application,
) -> Vec<Result<()>> {
    let stage = Stage {
        gateway,
        service,
        application,
    };
    let mut outcomes = Vec::new();
    for case in &CASES {
        // What an earlier case left behind is not this one's.
        application.take();
        outcomes.push((case.run)(stage).await);
    }
    outcomes
}

impl Stage<'_> {
    async fn ask(&self, request: &Request) -> Result<Answer> {
        ask(self.gateway.address, request).await
    }

    /// Sends a request that must reach the application, as this user.
    async fn passes(&self, request: &Request, user: &SignedIn) -> Result<(Answer, Arrived)> {
        let answer = self.ask(request).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        let arrived = self.one_arrived()?;
        is(&arrived, user)?;
        Ok((answer, arrived))
    }

    fn one_arrived(&self) -> Result<Arrived> {
        let mut arrived = self.application.take();
        ensure!(arrived.len() == 1, "{} requests arrived", arrived.len());
        arrived.pop().context("it arrived")
    }

    /// Sends a request that must not reach the application.
    async fn refused(&self, request: &Request) -> Result<Answer> {
        let answer = self.ask(request).await?;
        let arrived = self.application.take();
        ensure!(
            arrived.is_empty(),
            "it reached the application: {arrived:?}"
        );
        ensure!(answer.status >= 400, "{}", answer.status);
        Ok(answer)
    }

    /// As [`Self::refused`], by the validator, with 401 and this code.
    async fn unauthorized(&self, request: &Request, code: &str) -> Result<()> {
        let answer = self.refused(request).await?;
        ensure!(answer.status == 401, "{}: {}", answer.status, answer.text());
        let challenges = answer.all("www-authenticate");
        ensure!(challenges.len() == 1, "challenges: {challenges:?}");
        let told = answer.all("x-session-error");
        ensure!(told == [code], "X-Session-Error: {told:?}");
        ensure!(answer.text().contains(code), "body: {}", answer.text());
        Ok(())
    }
}

/// Whether a request arrived as this user's, and nobody else's.
fn is(arrived: &Arrived, user: &SignedIn) -> Result<()> {
    for field in FIELDS {
        let values = arrived.all(field);
        ensure!(values.len() == 1, "{field}: {values:?}");
    }
    let subject = arrived.all("X-Session-Subject");
    ensure!(subject == [user.user.as_str()], "subject: {subject:?}");
    let id = arrived.all("X-Session-Id");
    ensure!(id == [user.id.as_str()], "id: {id:?}");
    Ok(())
}

async fn allowed_by_token(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    let request = Request::new("GET", "/page?a=b").bearer(&alice.access);
    let (_, arrived) = stage.passes(&request, &alice).await?;
    ensure!(arrived.method == "GET" && arrived.target == "/page?a=b");
    Ok(())
}

async fn allowed_by_cookie(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    let cookie = format!("theme=dark; {}; lang=en", alice.cookie);
    stage
        .passes(&Request::get().with("Cookie", &cookie), &alice)
        .await?;
    Ok(())
}

async fn no_credential(stage: Stage<'_>) -> Result<()> {
    stage.unauthorized(&Request::get(), "no_credential").await
}

async fn no_token(stage: Stage<'_>) -> Result<()> {
    for token in ["nonsense", "a.b.c", "srt_AAAA"] {
        stage
            .unauthorized(&Request::get().bearer(token), "invalid_token")
            .await?;
    }
    Ok(())
}

async fn another_kind(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    let (_, session_token) = alice.cookie.split_once('=').context("a cookie")?;
    for token in [session_token, &alice.refresh] {
        stage
            .unauthorized(&Request::get().bearer(token), "invalid_token")
            .await?;
    }
    let cookie = format!("session={}", alice.access);
    stage
        .unauthorized(&Request::get().with("Cookie", &cookie), "invalid_token")
        .await
}

async fn token_in_the_query(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    for name in ["access_token", "token", "session"] {
        let target = format!("/page?{name}={}", alice.access);
        stage
            .unauthorized(&Request::new("GET", &target), "no_credential")
            .await?;
    }
    Ok(())
}

async fn doubled_authorization(stage: Stage<'_>) -> Result<()> {
    let (alice, bob) = (
        stage.service.sign_in("alice").await?,
        stage.service.sign_in("bob").await?,
    );
    let doubled = Request::get().bearer(&alice.access).bearer(&bob.access);
    let joined = format!("Bearer {}, Bearer {}", alice.access, bob.access);
    for request in [doubled, Request::get().with("Authorization", &joined)] {
        let answer = stage.refused(&request).await?;
        ensure!(matches!(answer.status, 400 | 401), "{}", answer.status);
    }
    Ok(())
}

async fn doubled_cookie(stage: Stage<'_>) -> Result<()> {
    let (alice, bob) = (
        stage.service.sign_in("alice").await?,
        stage.service.sign_in("bob").await?,
    );
    let joined = format!("{}; {}", alice.cookie, bob.cookie);
    let apart = Request::get()
        .with("Cookie", &alice.cookie)
        .with("Cookie", &bob.cookie);
    for request in [Request::get().with("Cookie", &joined), apart] {
        let answer = stage.refused(&request).await?;
        ensure!(matches!(answer.status, 400 | 401), "{}", answer.status);
    }
    Ok(())
}

async fn methods_and_bodies(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    let head = Request::new("HEAD", "/page").bearer(&alice.access);
    let (answer, arrived) = stage.passes(&head, &alice).await?;
    ensure!(answer.body.is_empty() && arrived.method == "HEAD");
    let body = vec![b'x'; 200_000];
    let post = Request::new("POST", "/page")
        .bearer(&alice.access)
        .body(&body);
    let (answer, arrived) = stage.passes(&post, &alice).await?;
    ensure!(arrived.method == "POST" && arrived.body == body);
    ensure!(answer.text() == "application: 200000", "{}", answer.text());
    // Without a credential the body goes nowhere.
    let post = Request::new("POST", "/page").body(b"secret");
    stage.unauthorized(&post, "no_credential").await
}

async fn options(stage: Stage<'_>) -> Result<()> {
    let request = Request::new("OPTIONS", "/page");
    stage.unauthorized(&request, "no_credential").await
}

async fn two_users_one_connection(stage: Stage<'_>) -> Result<()> {
    let (alice, bob) = (
        stage.service.sign_in("alice").await?,
        stage.service.sign_in("bob").await?,
    );
    let mut connection = Connection::open(stage.gateway.address).await?;
    for user in [&alice, &bob, &alice] {
        let answer = connection.ask(&Request::get().bearer(&user.access)).await?;
        ensure!(answer.status == 200, "{}", answer.status);
        is(&stage.one_arrived()?, user)?;
    }
    let answer = connection.ask(&Request::get()).await?;
    ensure!(answer.status == 401, "{}", answer.status);
    ensure!(stage.application.take().is_empty());
    Ok(())
}

async fn web_socket(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    let handshake = |origin: &str| {
        Request::new("GET", "/socket")
            .with("Connection", "Upgrade")
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13")
            .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .with("Cookie", &alice.cookie)
            .with("Origin", origin)
    };
    let mut connection = Connection::open(stage.gateway.address).await?;
    let answer = connection.ask(&handshake(ORIGIN)).await?;
    ensure!(answer.status == 101, "{}: {}", answer.status, answer.text());
    is(&stage.one_arrived()?, &alice)?;
    let echoed = connection.echo(b"hello through the tunnel").await?;
    ensure!(echoed == b"hello through the tunnel");
    let answer = stage.refused(&handshake("https://evil.example")).await?;
    ensure!(answer.status == 403, "{}", answer.status);
    Ok(())
}

async fn long_headers(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    let padding = "x".repeat(58_000);
    let cookie = format!("padding={padding}; {}", alice.cookie);
    stage
        .passes(&Request::get().with("Cookie", &cookie), &alice)
        .await?;
    Ok(())
}

/// The validator takes 100, gateways' own included. Who sends more is refused, by whomever.
async fn many_headers(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    let with = |count: usize| {
        let request = Request::get().bearer(&alice.access);
        (0..count).fold(request, |request, n| request.with(&format!("X-{n}"), "y"))
    };
    stage.passes(&with(80), &alice).await?;
    stage.refused(&with(120)).await?;
    Ok(())
}

async fn refused_right_after_its_end(stage: Stage<'_>) -> Result<()> {
    for _ in 0..50 {
        let alice = stage.service.sign_in("alice").await?;
        let request = Request::get().bearer(&alice.access);
        stage.passes(&request, &alice).await?;
        stage.service.end(&alice).await?;
        stage.unauthorized(&request, "invalid_token").await?;
    }
    Ok(())
}

async fn validator_stands_still(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    stage.service.stop()?;
    let begun = clock_gettime(ClockId::Monotonic).tv_sec;
    let refused = stage.refused(&Request::get().bearer(&alice.access)).await;
    let took = clock_gettime(ClockId::Monotonic).tv_sec - begun;
    stage.service.resume()?;
    ensure!(refused?.status >= 500);
    ensure!(took <= HELD_UP_SECONDS_MAX, "held up for {took} s");
    Ok(())
}

async fn validator_is_gone(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    stage.service.kill()?;
    for _ in 0..3 {
        let answer = stage.refused(&Request::get().bearer(&alice.access)).await?;
        ensure!(answer.status >= 500, "{}", answer.status);
    }
    Ok(())
}
