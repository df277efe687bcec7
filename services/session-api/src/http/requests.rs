//! What is done around every request: it gets a name in our logs and is timed, its error becomes a
//! problem, and nobody in between keeps the answer.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use poem::PathPattern;
use poem::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use poem::http::{HeaderMap, HeaderValue};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};
use session_domain::port::{Clock, Entropy};
use tracing::Instrument;

use super::problem::Problem;
use crate::metrics::RequestDuration;

const X_CONTENT_TYPE_OPTIONS: &str = "x-content-type-options";
const TRACE_ID: &str = "trace-id";

/// The middleware.
pub(super) struct Requests {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    duration: RequestDuration,
}

impl Requests {
    /// With this randomness for the names of requests.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        duration: RequestDuration,
    ) -> Self {
        Self {
            clock,
            entropy,
            duration,
        }
    }
}

impl<E: Endpoint> Middleware<E> for Requests {
    type Output = Around<E>;

    fn transform(&self, inner: E) -> Around<E> {
        Around {
            inner,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            duration: self.duration.clone(),
        }
    }
}

/// An endpoint with the middleware around it.
pub(super) struct Around<E> {
    inner: E,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    duration: RequestDuration,
}

impl<E: Endpoint> Endpoint for Around<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let (begun, method) = (self.clock.boot(), request.method().clone());
        let trace_id = trace_id(request.headers()).unwrap_or_else(|| self.fresh_trace_id());
        // The query isn't logged: it isn't ours to know what a client puts there.
        let span = tracing::info_span!("request", %trace_id, method = %request.method(), path = request.uri().path());
        let mut response = async {
            match self.inner.call(request).await {
                Ok(response) => response.into_response(),
                Err(error) => {
                    let mut response = refuse(&error, trace_id.clone());
                    if let Some(pattern) = error.data::<PathPattern>() {
                        response.set_data(pattern.clone());
                    }
                    response
                }
            }
        }
        .instrument(span.clone())
        .await;
        let route = response.data::<PathPattern>();
        let route = route.map(|pattern| Arc::clone(&pattern.0));
        let took = self.clock.boot().since(begun);
        self.duration
            .record(&method, route, response.status(), took);
        tracing::debug!(parent: &span, status = response.status().as_u16(), "answered");
        let headers = response.headers_mut();
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Answers for programs: whoever gets a browser to show one as a page gets nothing to run.
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
        if let Ok(value) = HeaderValue::try_from(trace_id) {
            headers.insert(TRACE_ID, value);
        }
        Ok(response)
    }
}

impl<E> Around<E> {
    fn fresh_trace_id(&self) -> String {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        HEXLOWER.encode(&bytes)
    }
}

fn refuse(error: &poem::Error, trace_id: String) -> Response {
    let problem = Problem::from(error);
    if problem.status().is_server_error() {
        tracing::error!(status = problem.status().as_u16(), error = %error, "a request failed");
    }
    problem.into_response(trace_id)
}

/// The trace id of a `traceparent` (W3C Trace Context), if there is exactly one and it is well
/// formed; anything else is as good as none.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("traceparent").iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else {
        return None;
    };
    let mut parts = value.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, len: usize| {
        text.len() == len
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let nonzero = |text: &str| text.bytes().any(|byte| byte != b'0');
    let well_formed = hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && nonzero(trace)
        && hex(parent, 16)
        && nonzero(parent)
        && hex(flags, 2)
        && (version != "00" || parts.next().is_none());
    well_formed.then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::try_from(value).unwrap());
        trace_id(&headers)
    }

    #[test]
    fn a_bad_traceparent_is_as_good_as_none() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(
            read(&format!("00-{trace}-b7ad6b7169203331-01")).as_deref(),
            Some(trace)
        );
        for bad in [
            "",
            "00",
            &format!("00-{trace}-b7ad6b7169203331-01-x"),
            &format!("ff-{trace}-b7ad6b7169203331-01"),
            &format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
            &format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            &format!("00-{trace}-0000000000000000-01"),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
