//! The private listener: for the machinery around the process, never for users. Health says
//! whether to restart it (`/livez`) and whether to send it work (`/readyz`); `/metrics` says how
//! it is doing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poem::http::{StatusCode, header};
use poem::web::Data;
use poem::{Endpoint, EndpointExt, Response, Route, get, handler};
use serde::Serialize;

use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;

/// Whether the process may be sent work: all its checks pass, and it isn't draining. Clones are
/// the same readiness.
#[derive(Debug, Clone)]
pub struct Readiness {
    shutdown: Shutdown,
    checks: Arc<Mutex<Checks>>,
    notes: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

/// Why a check fails that hasn't been told anything.
const STARTING: &str = "starting";

/// The reason each check fails for; `None` where it passes.
type Checks = BTreeMap<&'static str, Option<String>>;

impl Readiness {
    /// Not ready before each of `parts` has taken its [`Self::check`] and let it pass: named here, as
    /// whoever asks may come before the parts run.
    pub fn new(shutdown: &Shutdown, parts: impl IntoIterator<Item = &'static str>) -> Self {
        let checks = parts.into_iter().map(|part| (part, Some(STARTING.into())));
        Self {
            shutdown: shutdown.clone(),
            checks: Arc::new(Mutex::new(checks.collect())),
            notes: Arc::default(),
        }
    }

    /// Says something of that name that an operator should know and that makes the process no less
    /// ready; `None` takes it back.
    pub fn note(&self, name: &'static str, text: Option<String>) {
        // As with the checks.
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => notes.insert(name, text),
            None => notes.remove(name),
        };
    }

    /// The check of that name, failing until it is told to pass.
    pub fn check(&self, name: &'static str) -> Check {
        self.lock().insert(name, Some(STARTING.into()));
        Check {
            name,
            readiness: self.clone(),
        }
    }

    /// Whether the process may be sent work.
    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    /// The state of every check.
    pub fn report(&self) -> Report {
        let draining = self.shutdown.is_draining();
        let running = CheckReport::new("running", draining.then(|| "draining".to_owned()));
        let mut checks = vec![running];
        for (name, reason) in self.lock().iter() {
            checks.push(CheckReport::new(name, reason.clone()));
        }
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            ready: checks.iter().all(|check| check.ready),
            checks,
            notes: notes.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Checks> {
        // Whoever panicked with it had only replaced a value.
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One condition of readiness, flipped by the part it belongs to.
#[derive(Debug, Clone)]
pub struct Check {
    name: &'static str,
    readiness: Readiness,
}

impl Check {
    /// The condition holds.
    pub fn pass(&self) {
        self.set(None);
    }

    /// The condition doesn't hold, for a reason fit for the operators' eyes.
    pub fn fail(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        let ready = reason.is_none();
        let mut checks = self.readiness.lock();
        if checks.get(self.name) != Some(&reason) {
            tracing::info!(check = self.name, ready, reason, "readiness");
            checks.insert(self.name, reason);
        }
    }
}

/// The answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether the process may be sent work.
    pub ready: bool,
    /// Every check; `running` first, the others by name.
    pub checks: Vec<CheckReport>,
    /// What else an operator should know, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<&'static str, String>,
}

/// One check in the answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// Whether it passes.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl CheckReport {
    fn new(name: &str, reason: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            ready: reason.is_none(),
            reason,
        }
    }
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn routes(readiness: Readiness, metrics: Metrics) -> impl Endpoint<Output = Response> {
    Route::new()
        .at("/livez", get(livez))
        .at("/readyz", get(readyz))
        .at("/metrics", get(metrics_text))
        .data(readiness)
        .data(metrics)
        .map_to_response()
}

fn uncached(status: StatusCode, content_type: &str, body: String) -> Response {
    Response::builder()
        .status(status)
        .header(header::CACHE_CONTROL, "no-store")
        .content_type(content_type)
        .body(body)
}

#[handler]
fn livez() -> Response {
    // Answering at all is the answer: the runtime still turns.
    uncached(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into())
}

#[handler]
fn readyz(Data(readiness): Data<&Readiness>) -> Response {
    let report = readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::to_string(&report).expect("texts and booleans are JSON");
    uncached(status, "application/json", body)
}

#[handler]
fn metrics_text(Data(metrics): Data<&Metrics>) -> Response {
    match metrics.render() {
        Ok(text) => uncached(StatusCode::OK, Metrics::CONTENT_TYPE, text),
        Err(error) => {
            tracing::error!(%error, "can't render metrics");
            uncached(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain; charset=utf-8",
                "the log says why\n".into(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::test::TestClient;

    use super::*;
    use crate::shutdown::Timing;

    fn metrics() -> Metrics {
        Metrics::new("test", "0.0.0").unwrap()
    }

    #[tokio::test]
    async fn ready_once_every_check_passes_and_until_draining() {
        let shutdown = Shutdown::manual(Timing::default());
        let readiness = Readiness::new(&shutdown, []);
        let store = readiness.check("store");
        let lease = readiness.check("lease");
        let client = TestClient::new(routes(readiness.clone(), metrics()));

        let answer = client.get("/readyz").send().await;
        answer.assert_status(StatusCode::SERVICE_UNAVAILABLE);
        answer
            .assert_json(serde_json::json!({
                "ready": false,
                "checks": [
                    {"name": "running", "ready": true},
                    {"name": "lease", "ready": false, "reason": "starting"},
                    {"name": "store", "ready": false, "reason": "starting"},
                ]
            }))
            .await;

        store.pass();
        lease.pass();
        let answer = client.get("/readyz").send().await;
        answer.assert_status_is_ok();
        answer.assert_header("cache-control", "no-store");

        lease.fail("no answer for 3 s");
        assert!(!readiness.is_ready());
        lease.pass();
        assert!(readiness.is_ready());

        shutdown.drain();
        client
            .get("/readyz")
            .send()
            .await
            .assert_status(StatusCode::SERVICE_UNAVAILABLE);
        client.get("/livez").send().await.assert_status_is_ok();
    }

    #[tokio::test]
    async fn a_part_that_does_not_run_yet_keeps_it_from_being_ready() {
        let shutdown = Shutdown::manual(Timing::default());
        let readiness = Readiness::new(&shutdown, ["part"]);
        assert!(!readiness.is_ready());
        let check = readiness.check("part");
        assert!(!readiness.is_ready());
        check.pass();
        assert!(readiness.is_ready());
    }

    #[tokio::test]
    async fn a_note_is_told_and_makes_nothing_less_ready() {
        let readiness = Readiness::new(&Shutdown::manual(Timing::default()), []);
        let client = TestClient::new(routes(readiness.clone(), metrics()));
        readiness.note("policies", Some("the old ones are in force".to_owned()));
        let answer = client.get("/readyz").send().await;
        answer.assert_status_is_ok();
        answer
            .assert_json(serde_json::json!({
                "ready": true,
                "checks": [{"name": "running", "ready": true}],
                "notes": {"policies": "the old ones are in force"},
            }))
            .await;
        readiness.note("policies", None);
        assert!(readiness.report().notes.is_empty());
    }

    #[tokio::test]
    async fn metrics_are_served_as_text() {
        let metrics = metrics();
        let counter = metrics.meter("test").u64_counter("sessions.ended").build();
        counter.add(3, &[]);
        let readiness = Readiness::new(&Shutdown::manual(Timing::default()), []);
        let client = TestClient::new(routes(readiness, metrics));
        let answer = client.get("/metrics").send().await;
        answer.assert_status_is_ok();
        answer.assert_content_type(Metrics::CONTENT_TYPE);
        let text = answer.0.into_body().into_string().await.unwrap();
        assert!(text.contains("sessions_ended_total 3"), "{text}");
    }
}
