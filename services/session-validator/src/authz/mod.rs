//! Forward authentication over HTTP: one question per request of a gateway.
//!
//! The body and the query are never read, `Upgrade`, `Expect` and `Content-Length` mean nothing
//! here, and the answer is given at once.

mod answer;
mod original;
mod route;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use session_client::{Decision, Denial, Question, Validator};
use session_runtime::body::TimedBody;
use session_runtime::listen::Listener;
use session_runtime::shutdown::Shutdown;

use crate::metrics::Decisions;
use answer::{allow, deny};
pub(crate) use original::{is_method, less_the_way_back};
use route::{Convention, Route};

/// Serves on `listener` until the shutdown closes it. There is one kind of path and nothing to route,
/// so connections lead straight to the decision.
///
/// # Errors
/// As [`Listener::serve`].
pub async fn serve(listener: Listener, authz: Authz, shutdown: Shutdown) -> io::Result<()> {
    let service = service_fn(move |request: Request<TimedBody<Incoming>>| {
        let authz = authz.clone();
        async move { Ok::<_, Infallible>(authz.answer(&request).await) }
    });
    listener.serve_service(service, shutdown).await
}

/// Answers gateways. Clones are the same.
#[derive(Clone)]
pub struct Authz(Arc<Deciding>);

struct Deciding {
    validator: Validator,
    decisions: Decisions,
}

impl Authz {
    /// Answers by `validator`.
    pub fn new(validator: Validator, decisions: Decisions) -> Self {
        Self(Arc::new(Deciding {
            validator,
            decisions,
        }))
    }

    /// The answer to a question, whose body isn't read.
    pub async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let (decision, convention) = self.judge(request).await;
        self.0.decisions.count(&decision);
        match decision {
            Decision::Allow(identity) => allow(Some(&identity), convention),
            Decision::Preflight => allow(None, convention),
            Decision::Deny(denial) => deny(&denial),
        }
    }

    async fn judge<B>(&self, request: &Request<B>) -> (Decision, Convention) {
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
        (self.0.validator.judge(&question).await, convention)
    }
}
