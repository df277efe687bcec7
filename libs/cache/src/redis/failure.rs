use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why the server's help couldn't be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It isn't asked for now.
    #[error("it isn't asked for now")]
    Away,
    /// It didn't answer in time.
    #[error("no answer in time")]
    Late,
    /// It can't be reached, or isn't ready to serve.
    #[error("it can't be used: {0}")]
    Broken(RedisError),
    /// It doesn't let this process in, or isn't who it should be: somebody has to change something.
    #[error("it is refused: {0}")]
    Refused(RedisError),
    /// It answered this one call with an error; others may well succeed.
    #[error("it answered with an error: {0}")]
    Reply(RedisError),
}

impl Failure {
    /// The word for it in metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Late => "timeout",
            Self::Broken(_) => "connection",
            Self::Refused(_) => "refused",
            Self::Reply(_) => "reply",
        }
    }

    /// Whether the next call would fare no better.
    pub(super) const fn concerns_all(&self) -> bool {
        match self {
            Self::Late | Self::Broken(_) | Self::Refused(_) => true,
            Self::Away | Self::Reply(_) => false,
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        if is_refusal(&error) {
            return Self::Refused(error);
        }
        // The library's kinds may grow; what isn't known to concern one call concerns all.
        match error.kind() {
            ErrorKind::UnexpectedReturnType
            | ErrorKind::Extension
            | ErrorKind::Server(
                ServerErrorKind::ResponseError
                | ServerErrorKind::ExecAbort
                | ServerErrorKind::NoScript
                | ServerErrorKind::CrossSlot,
            ) if !matches!(error.code(), Some("BUSY" | "MISCONF")) => Self::Reply(error),
            _ => Self::Broken(error),
        }
    }
}

fn is_refusal(error: &RedisError) -> bool {
    let by_kind = matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::Server(ServerErrorKind::NoPerm)
    );
    let by_code = matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "DENIED"));
    by_kind || by_code || is_about_tls(error)
}

/// Whether the two didn't come to terms on TLS: the certificate, most often.
fn is_about_tls(error: &RedisError) -> bool {
    // The library shows what it wraps in its shared form.
    let wrapped = error
        .source()
        .and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let io = wrapped.and_then(|wrapped| wrapped.downcast_ref::<io::Error>());
    let inner = io.and_then(io::Error::get_ref);
    inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}
