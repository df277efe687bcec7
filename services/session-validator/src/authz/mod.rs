//! Forward authentication over HTTP: one question per request of a gateway.
//!
//! The body and the query are never read, `Upgrade`, `Expect` and `Content-Length` mean nothing
//! here, and the answer is given at once.

mod answer;
mod original;
mod route;

use poem::{Endpoint, Request, Response};
use session_client::{Decision, Denial, Question, Validator};

use crate::metrics::Decisions;
use answer::{allow, deny};
pub(crate) use original::{is_method, less_the_way_back};
use route::{Convention, Route};

/// Answers gateways.
pub struct Authz {
    /// Decides.
    pub validator: Validator,
    /// Counts what was decided.
    pub decisions: Decisions,
}

impl Authz {
    async fn judge(&self, request: &Request) -> (Decision, Convention) {
        let Some(Route { convention, policy }) = Route::parse(request.uri().path()) else {
            return (Decision::Deny(Denial::UnknownPath), Convention::Forwarded);
        };
        let headers = request.headers();
        let question = Question {
            policy,
            method: original::method(convention, request.method().as_str(), headers),
            headers,
            within: match convention {
                Convention::Envoy => original::within(headers),
                Convention::Forwarded | Convention::Original => None,
            },
        };
        (self.validator.judge(&question).await, convention)
    }
}

impl Endpoint for Authz {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (decision, convention) = self.judge(&request).await;
        self.decisions.count(&decision);
        Ok(match decision {
            Decision::Allow(claims) => allow(Some(&claims), convention),
            Decision::Preflight => allow(None, convention),
            Decision::Deny(denial) => deny(&denial),
        })
    }
}
