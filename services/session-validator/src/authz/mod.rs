//! Forward authentication over HTTP: one question per request of a gateway.
//!
//! The body and the query are never read, `Upgrade`, `Expect` and `Content-Length` mean nothing
//! here, and the answer is given at once.

mod answer;
mod credential;
mod route;

use std::sync::Arc;
use std::time::Duration;

use poem::http::HeaderMap;
use poem::{Endpoint, Request, Response};
use session_domain::ids::Seq;
use session_domain::port::{Bus, Clock, TokenVerifier};
use session_domain::revocation::RevocationState;
use session_domain::time::Timestamp;
use session_domain::token::{Claims, Refusal};
use session_domain::usecase::touch::Activity;
use session_domain::usecase::validate::{Memory, Requirements, Verdict, validate};

use crate::metrics::Decisions;
use answer::{Denial, allow, deny};
pub use credential::CookieRules;
use credential::{NoCredential, credential};
use route::Route;

/// How long a check with the authority may take, so that a gateway's own deadline (Envoy: 200 ms)
/// isn't overrun.
const CHECK_WITHIN: Duration = Duration::from_millis(150);

/// The one policy there is until policies are configured.
const DEFAULT_POLICY: &str = "default";

/// What this validator must at least have applied, where the request demands something: the
/// `Session-Revocation-Seq` of an end it is to know of. A value that isn't a number is one that
/// nobody has reached.
const SESSION_MIN_SEQ: &str = "session-min-seq";

fn least_entry(headers: &HeaderMap) -> Seq {
    let demands = headers.get_all(SESSION_MIN_SEQ).iter().map(|demand| {
        let number = demand.to_str().ok().and_then(|text| text.parse().ok());
        Seq(number.unwrap_or(u64::MAX))
    });
    demands.max().unwrap_or_default()
}

/// Answers gateways.
pub struct Authz {
    /// What this validator knows.
    pub state: Arc<RevocationState>,
    /// Checks signatures and form.
    pub verifier: Arc<dyn TokenVerifier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the authority is asked.
    pub bus: Arc<dyn Bus>,
    /// What a token must be.
    pub requirements: Requirements,
    /// Which cookie holds the session token.
    pub cookie: CookieRules,
    /// Remembers which sessions are used.
    pub activity: Arc<Activity>,
    /// Counts what was decided.
    pub decisions: Decisions,
}

impl Authz {
    fn now(&self) -> Timestamp {
        self.state.server_time(self.clock.boot())
    }

    async fn judge(&self, request: &Request) -> Result<(Claims, route::Convention), Denial> {
        let Route { convention, policy } =
            Route::parse(request.uri().path()).ok_or(Denial::UnknownPath)?;
        if policy != DEFAULT_POLICY {
            return Err(Denial::UnknownPolicy);
        }
        // Before the look-up, which then knows of everything up to there.
        if least_entry(request.headers()) > self.state.applied() {
            return Err(Denial::Behind);
        }
        let presented = credential(request.headers(), &self.cookie).map_err(|none| match none {
            NoCredential::Absent => Denial::NoCredential,
            NoCredential::Ambiguous => Denial::Ambiguous,
            NoCredential::ForeignOrigin => Denial::ForeignOrigin,
        })?;
        let memory = Memory {
            state: &self.state,
            verifier: self.verifier.as_ref(),
            clock: self.clock.as_ref(),
        };
        let verdict = validate(
            &memory,
            self.bus.as_ref(),
            CHECK_WITHIN,
            presented.token,
            presented.kind,
            &self.requirements,
        );
        match verdict.await {
            Verdict::Accept(claims) => {
                self.activity
                    .note(&claims.tenant, claims.session, || self.now());
                Ok((claims, convention))
            }
            Verdict::Deny(refusal) => Err(Denial::Refused(refusal)),
            Verdict::Unavailable => Err(Denial::Unavailable),
        }
    }
}

impl Endpoint for Authz {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        Ok(match self.judge(&request).await {
            Ok((claims, convention)) => {
                self.decisions.count("allow", "none");
                allow(&claims, convention)
            }
            Err(denial) => {
                let reason = match denial {
                    Denial::Refused(refusal) => Refusal::label(refusal),
                    other => other.code(),
                };
                self.decisions.count("deny", reason);
                deny(denial)
            }
        })
    }
}
