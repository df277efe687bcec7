//! A tower layer: what is behind it hears only from sessions that are good.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Answer, Claims, DEFAULT, Decision, Question, Validator};

/// Lets requests through whose session satisfies a policy, with its [`crate::Claims`] among their
/// extensions; a CORS preflight, where the policy lets those through, has none.
#[derive(Clone)]
pub struct SessionLayer {
    validator: Validator,
    policy: Arc<str>,
}

impl SessionLayer {
    /// Judges by the policy `default`.
    pub fn new(validator: Validator) -> Self {
        Self {
            validator,
            policy: DEFAULT.into(),
        }
    }

    /// Judges by another.
    #[must_use]
    pub fn policy(mut self, name: &str) -> Self {
        self.policy = name.into();
        self
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService {
            layer: self.clone(),
            inner,
        }
    }
}

/// What [`SessionLayer`] makes of a service.
#[derive(Clone)]
pub struct SessionService<S> {
    layer: SessionLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready does the work; its clone will be asked whether it is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let SessionLayer { validator, policy } = self.layer.clone();
        Box::pin(async move {
            // Apart from the body, which need not be shareable.
            let (method, headers) = (request.method().clone(), request.headers().clone());
            let question = Question {
                policy: &policy,
                method: Some(method.as_str()),
                headers: &headers,
                within: None,
            };
            match validator.judge(&question).await {
                Decision::Allow(identity) => {
                    request.extensions_mut().insert(Claims::clone(&identity));
                }
                Decision::Preflight => {}
                Decision::Deny(denial) => return Ok(refusal(denial.answer())),
            }
            inner.call(request).await
        })
    }
}

fn refusal<R: From<Bytes>>(answer: Answer) -> Response<R> {
    let mut response = Response::new(R::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
