//! Envoy's `ext_authz` over gRPC (v3), which Istio, Envoy Gateway and others speak, too.
//!
//! Every answer has a `status.code`, and every no has a `denied_response` with a status of its own:
//! without them some gateways let requests through.

mod codec;
mod question;
mod request;
mod response;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use hyper::body::Incoming;
use session_client::{Decision, Question, Validator};
use session_runtime::body::TimedBody;
use session_runtime::listen::Listener;
use session_runtime::shutdown::Shutdown;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

use crate::authz::less_the_way_back;
use crate::metrics::Decisions;
use codec::Encoded;
pub use question::Question as Envelope;
pub use response::Failures;

/// The longest question that is read, in bytes: header fields, and a body that some gateways send
/// along.
const QUESTION_BYTES_MAX: usize = 1024 * 1024;

/// Envoy's name for what is asked here.
const SERVICE: &str = "envoy.service.auth.v3.Authorization";

/// Where it is asked.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Answers gateways. Written out where it could be generated, because what is answered again and
/// again is kept encoded. Clones are the same.
#[derive(Clone)]
pub struct Check(Arc<Deciding>);

struct Deciding {
    validator: Validator,
    decisions: Decisions,
    failures: Failures,
}

impl Check {
    /// Answers by `validator`. `failures` says how it is told that something can't be known.
    pub fn new(validator: Validator, decisions: Decisions, failures: Failures) -> Self {
        Self(Arc::new(Deciding {
            validator,
            decisions,
            failures,
        }))
    }

    /// The answer to a question: a `CheckResponse`, encoded. Whoever asks waits as long as
    /// `within`, or longer.
    pub async fn answer(&self, request: Envelope, within: Option<Duration>) -> Bytes {
        let asked = request::read(request);
        let question = Question {
            policy: &asked.policy,
            method: asked.method.as_deref(),
            headers: &asked.headers,
            within,
        };
        let decision = self.0.validator.judge(&question).await;
        self.0.decisions.count(&decision);
        match &decision {
            Decision::Allow(identity) => response::allow(Some(identity), &asked.headers),
            Decision::Preflight => response::allow(None, &asked.headers),
            Decision::Deny(denial) => response::deny(denial, self.0.failures),
        }
    }
}

impl UnaryService<Envelope> for Check {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Envelope>) -> Self::Future {
        let check = self.clone();
        async move {
            let within = within(request.metadata());
            let answer = check.answer(request.into_inner(), within).await;
            Ok(Response::new(answer))
        }
        .boxed()
    }
}

/// How long whoever asks waits, less what the way back may take.
fn within(metadata: &tonic::metadata::MetadataMap) -> Option<Duration> {
    let text = |name| metadata.get(name)?.to_str().ok();
    let deadline = text("grpc-timeout").and_then(grpc_timeout);
    let expected = text("x-envoy-expected-rq-timeout-ms").and_then(|text| text.parse().ok());
    let told = deadline
        .into_iter()
        .chain(expected.map(Duration::from_millis));
    told.min().map(less_the_way_back)
}

/// `TimeoutValue TimeoutUnit` of the gRPC protocol: at most eight digits and a letter.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3_600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

/// Serves on `listener` until the shutdown closes it.
///
/// # Errors
/// As [`Listener::serve`].
pub async fn serve(listener: Listener, check: Check, shutdown: Shutdown) -> io::Result<()> {
    let validator = check.0.validator.clone();
    let (reporter, health) = tonic_health::server::health_reporter();
    let services = Arc::new(Services { check, health });
    let reporting = report(reporter, validator, shutdown.clone());
    let (served, ()) = futures::join!(listener.serve_service(services, shutdown), reporting);
    served
}

/// Tells who asks by gRPC's own health protocol what `/readyz` tells others.
async fn report(reporter: HealthReporter, validator: Validator, shutdown: Shutdown) {
    let tell = async |status| {
        for service in ["", SERVICE] {
            reporter.set_service_status(service, status).await;
        }
    };
    tell(ServingStatus::NotServing).await;
    tokio::select! {
        () = crate::ready(&validator) => {}
        () = shutdown.draining() => return,
    }
    tell(ServingStatus::Serving).await;
    shutdown.draining().await;
    tell(ServingStatus::NotServing).await;
}

/// Both services on one port.
struct Services<H: Health> {
    check: Check,
    health: HealthServer<H>,
}

type Asked = http::Request<TimedBody<Incoming>>;

impl<H: Health> hyper::service::Service<Asked> for Services<H> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Asked) -> Self::Future {
        let is_health = |path: &str| {
            let rest = path.strip_prefix('/');
            let rest = rest.and_then(|path| path.strip_prefix(HealthServer::<H>::NAME));
            rest.is_some_and(|method| method.starts_with('/'))
        };
        match request.uri().path() {
            CHECK => {
                let check = self.check.clone();
                async move {
                    let grpc = Grpc::new(Encoded);
                    let mut grpc = grpc.max_decoding_message_size(QUESTION_BYTES_MAX);
                    Ok(grpc.unary(check, request).await)
                }
                .boxed()
            }
            // Ready at all times, and says what it doesn't know itself.
            path if is_health(path) => self.health.clone().call(request),
            _ => {
                let unknown = Status::unimplemented("there is no such service here");
                async { Ok(unknown.into_http()) }.boxed()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("200m", Some(Duration::from_millis(200))),
            ("1S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("5u", Some(Duration::from_micros(5))),
            ("7n", Some(Duration::from_nanos(7))),
            ("", None),
            ("m", None),
            ("100", None),
            ("-1m", None),
            ("1é", None),
            ("123456789m", None),
        ] {
            assert_eq!(grpc_timeout(text), expected, "{text}");
        }
    }
}
