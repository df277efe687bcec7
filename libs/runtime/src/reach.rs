//! Reaching a server the process can't do without: waited for at the start, watched ever after.

use std::error::Error;
use std::time::Duration;

use crate::private::Check;
use crate::shutdown::Shutdown;

/// The pause before it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long a server that was reached may take to answer before it counts as lost.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Connects to `what`, for as long as it takes unless waiting won't help, which is when an error
/// isn't `passing`; `None` where the process is told to stop meanwhile. `check` fails until then.
///
/// # Errors
/// The one that waiting doesn't help against.
pub async fn reach<T, E: Error + 'static>(
    what: &str,
    check: &Check,
    shutdown: &Shutdown,
    passing: impl Fn(&E) -> bool,
    connect: impl AsyncFn() -> Result<T, E>,
) -> Result<Option<T>, E> {
    let connect = &connect;
    let connect = || async move {
        let reached = connect().await;
        match &reached {
            Ok(_) => check.pass(),
            Err(error) => check.fail(format!("{what} can't be used: {}", in_full(error))),
        }
        reached
    };
    insist(what, shutdown, passing, connect).await
}

/// Does what the process can't begin without, again for as long as it takes unless waiting won't
/// help, which is when an error isn't `passing`; `None` where the process is told to stop meanwhile.
///
/// # Errors
/// The one that waiting doesn't help against.
pub async fn insist<T, E: Error + 'static, F: Future<Output = Result<T, E>>>(
    what: &str,
    shutdown: &Shutdown,
    passing: impl Fn(&E) -> bool,
    attempt: impl Fn() -> F,
) -> Result<Option<T>, E> {
    let trying = async {
        loop {
            match attempt().await {
                Ok(done) => return Ok(Some(done)),
                Err(error) if passing(&error) => {
                    let error = &error as &dyn Error;
                    tracing::warn!(error, "{what} can't be used yet; trying again");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        settled = trying => settled,
        () = shutdown.draining() => Ok(None),
    }
}

/// An error and what caused it.
fn in_full(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Watches until `shutdown` whether `what` still answers to `probe`, and has `check` say so.
///
/// # Errors
/// Never: what is lost may come back.
pub async fn watch<T, E: Error + 'static>(
    what: &'static str,
    check: Check,
    shutdown: Shutdown,
    probe: impl AsyncFn() -> Result<T, E>,
) -> Result<(), std::convert::Infallible> {
    let mut lost = false;
    let watching = async {
        loop {
            tokio::time::sleep(AGAIN_AFTER).await;
            let reason = match tokio::time::timeout(ANSWERS_WITHIN, probe()).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(in_full(&error)),
                Err(_) => Some(format!("no answer within {ANSWERS_WITHIN:?}")),
            };
            match (&reason, lost) {
                (Some(reason), false) => tracing::error!(reason, "{what} doesn't answer any more"),
                (None, true) => tracing::info!("{what} answers again"),
                (Some(_), true) | (None, false) => {}
            }
            lost = reason.is_some();
            match reason {
                None => check.pass(),
                Some(reason) => check.fail(format!("{what} doesn't answer: {reason}")),
            }
        }
    };
    tokio::select! {
        () = watching => Ok(()),
        () = shutdown.draining() => Ok(()),
    }
}
