//! The body of a request, which must be there in time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// A request's body that fails once its time is over, however slowly or fast it came until then: a
/// sender of one byte now and then would hold a connection, and whoever reads, for as long as it
/// likes.
pub struct TimedBody<B> {
    body: B,
    end: Instant,
    /// Runs from the first wait on; most bodies are there at once, or none.
    wait: Option<Pin<Box<Sleep>>>,
}

impl<B> TimedBody<B> {
    /// Gives `body` this much time, from now on.
    pub fn new(body: B, within: Duration) -> Self {
        Self {
            body,
            end: Instant::now() + within,
            wait: None,
        }
    }
}

impl<B> Body for TimedBody<B>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, io::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let end = this.end;
        let wait = this
            .wait
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        ready!(wait.as_mut().poll(cx));
        Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
