//! Those who use the product: they sign in, ask validators, end sessions, and record all of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue};
use hyper::{Method, Request};
use serde_json::{Value, json};
use session_testkit::deployment::SERVICE_KEY;

use crate::http::{Answer, Client, Lost};
use crate::life::{Life, Said, Tokens};
use crate::moment::Moment;
use crate::world::{APIS, World};

/// Longer than anything is broken.
const PATIENCE: Duration = Duration::from_secs(40);

/// The pause before something is asked for again that failed.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// How many people sign in, again and again.
const PEOPLE: usize = 1_000;

/// What everybody knows: where the servers are, and all sessions there ever were.
#[derive(Debug)]
pub struct Users {
    apis: Vec<Client>,
    validators: Vec<Client>,
    service: HeaderValue,
    lives: Mutex<Vec<Arc<Life>>>,
    turn: AtomicUsize,
    people: AtomicUsize,
}

impl Users {
    /// Users of that world.
    pub fn of(world: &World) -> Self {
        let client =
            |node: &crate::world::Node, listener| Client::new(node.program.address(listener));
        let apis = world.apis.iter().map(|node| client(node, "api"));
        let validators = world
            .validators
            .iter()
            .map(|node| client(node, "validator"));
        let service = HeaderValue::try_from(format!("Bearer {SERVICE_KEY}"));
        Self {
            apis: apis.collect(),
            validators: validators.collect(),
            service: service.expect("keys are header values"),
            lives: Mutex::default(),
            turn: AtomicUsize::new(0),
            people: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Life>>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All sessions so far.
    pub fn lives(&self) -> Vec<Arc<Life>> {
        self.lock().clone()
    }

    /// Looks at all sessions so far.
    pub fn count(&self, which: impl Fn(&Life) -> bool) -> usize {
        self.lock().iter().filter(|life| which(life)).count()
    }

    /// How many validators there are.
    pub fn validators(&self) -> usize {
        self.validators.len()
    }

    /// Whose turn it is to be asked: every API in turn.
    fn next_api(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.apis.len()
    }

    /// Asks an API as the service.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn ask(
        &self,
        api: usize,
        method: Method,
        path: &str,
        body: Option<&Value>,
        prefer: Option<&'static str>,
    ) -> Result<Answer, Lost> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, &self.service);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(prefer) = prefer {
            request = request.header("prefer", prefer);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.expect("paths are URIs");
        self.apis[api].ask(request, PATIENCE).await
    }

    /// Shows a session, as soon as somebody does; `None` where there is none.
    pub async fn show(&self, life: &Life) -> Option<Value> {
        let path = format!("/api/v1/sessions/{}", life.id);
        loop {
            let answer = self
                .ask(self.next_api(), Method::GET, &path, None, None)
                .await;
            match answer {
                Ok(answer) if answer.status == 200 => {
                    return serde_json::from_slice(&answer.body).ok();
                }
                Ok(answer) if answer.status == 404 => return None,
                Ok(_) | Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    }

    /// What a session is shown as: `active`, say.
    pub async fn status(&self, life: &Life) -> Option<String> {
        let shown = self.show(life).await?;
        shown["status"].as_str().map(ToOwned::to_owned)
    }

    /// Starts a session at that API; `None` where it doesn't.
    pub async fn sign_in_at(&self, api: usize) -> Option<Arc<Life>> {
        let user = format!(
            "user-{}",
            self.people.fetch_add(1, Ordering::Relaxed) % PEOPLE
        );
        let body = json!({ "user_id": user, "ip_address": "192.0.2.10", "user_agent": "faults" });
        let path = "/api/v1/sessions";
        let answer = self.ask(api, Method::POST, path, Some(&body), None).await;
        let answer = answer.ok().filter(|answer| answer.status == 201)?;
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let life = Arc::new(Life::new(
            text(&body["session"]["id"])?,
            Tokens {
                access: body["access_token"].as_str()?,
                session: body["session_token"].as_str()?,
                refresh_token: text(&body["refresh_token"])?,
            },
        ));
        self.lock().push(Arc::clone(&life));
        Some(life)
    }

    /// Starts a session, wherever and whenever that is possible.
    pub async fn sign_in(&self) -> Arc<Life> {
        loop {
            if let Some(life) = self.sign_in_at(self.next_api()).await {
                return life;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Asks a validator about a session by its access token, and records what it says.
    pub async fn validate(&self, life: &Life, validator: usize) -> Said {
        self.validate_by(life, validator, AUTHORIZATION, &life.bearer)
            .await
    }

    /// The same by its session token, which lasts as long as the session.
    pub async fn visit(&self, life: &Life, validator: usize) -> Said {
        self.validate_by(life, validator, COOKIE, &life.cookie)
            .await
    }

    async fn validate_by(
        &self,
        life: &Life,
        validator: usize,
        name: HeaderName,
        credential: &HeaderValue,
    ) -> Said {
        let request = Request::get("/v1/authz/forwarded/default")
            .header(name, credential)
            .body(Full::default());
        let request = request.expect("a fixed path");
        let begun = Moment::now();
        let answer = self.validators[validator].ask(request, PATIENCE).await;
        let said = match answer.map(|answer| answer.status.as_u16()) {
            Ok(200) => Said::Accepted,
            Ok(401) => Said::Refused,
            Ok(_) | Err(_) => Said::Nothing,
        };
        life.answered(validator, begun, said);
        said
    }

    /// Asks that API to end a session, once. Says whether it did.
    pub async fn end_at(&self, life: &Life, api: usize) -> bool {
        let path = format!("/api/v1/sessions/{}", life.id);
        let call = life.call(api);
        let answer = self.ask(api, Method::DELETE, &path, None, None).await;
        let answered = answer.map(|answer| answer.status.as_u16());
        life.returned(call, answered);
        answered == Ok(204)
    }

    /// Ends a session as clients do: asks one API after the other until one says it's done.
    pub async fn end_from(&self, life: &Life, first: usize) {
        for api in first.. {
            if self.end_at(life, api % self.apis.len()).await {
                return;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// As [`Self::end_from`], beginning with whose turn it is.
    pub async fn end(&self, life: &Life) {
        self.end_from(life, self.next_api()).await;
    }

    /// Ends a session through all APIs at once, and returns with the first that says it's done;
    /// the others are heard out in the background.
    pub async fn end_at_all(self: &Arc<Self>, life: &Arc<Life>) {
        let ends = (0..APIS).map(|api| {
            let (users, life) = (Arc::clone(self), Arc::clone(life));
            tokio::spawn(async move { users.end_from(&life, api).await })
        });
        let ends: Vec<_> = ends.collect();
        let (first, _, _) = futures::future::select_all(ends).await;
        first.expect("asking doesn't panic");
    }
}
