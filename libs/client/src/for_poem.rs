//! A poem middleware: what is behind it hears only from sessions that are good.

use std::sync::Arc;

use ::poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};

use crate::{Answer, Claims, DEFAULT, Decision, Question, Validator};

/// Lets requests through whose session satisfies a policy, with its [`crate::Claims`] as data
/// (`Data<&Claims>`); a CORS preflight, where the policy lets those through, has none.
#[derive(Clone)]
pub struct SessionGuard {
    validator: Validator,
    policy: Arc<str>,
}

impl SessionGuard {
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

impl<E: Endpoint> Middleware<E> for SessionGuard {
    type Output = Guarded<E>;

    fn transform(&self, inner: E) -> Guarded<E> {
        Guarded {
            guard: self.clone(),
            inner,
        }
    }
}

/// What [`SessionGuard`] makes of an endpoint.
pub struct Guarded<E> {
    guard: SessionGuard,
    inner: E,
}

impl<E: Endpoint> Endpoint for Guarded<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let question = Question {
            policy: &self.guard.policy,
            method: Some(request.method().as_str()),
            headers: request.headers(),
            within: None,
        };
        match self.guard.validator.judge(&question).await {
            Decision::Allow(identity) => {
                request.set_data(Claims::clone(&identity));
            }
            Decision::Preflight => {}
            Decision::Deny(denial) => return Ok(denial.answer().into_response()),
        }
        self.inner
            .call(request)
            .await
            .map(IntoResponse::into_response)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status).body(self.body);
        *response.headers_mut() = self.headers;
        response
    }
}
