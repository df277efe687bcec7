use std::io;

use reqwest::StatusCode;
use serde_json::Value;

use crate::exit::Exit;

/// Why something wasn't done. The text is what the operator reads.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line is well-formed and makes no sense all the same.
    #[error("{0}")]
    Usage(String),
    /// There is no usable service key.
    #[error("{0}")]
    Key(String),
    /// No answer.
    #[error("can't reach {api}: {reason}")]
    Unreachable {
        /// The API's address.
        api: String,
        /// The innermost reason.
        reason: String,
    },
    /// The API said no, in its own words.
    #[error("{0}")]
    Problem(Problem),
    /// An answer the API doesn't give: most often something in between answered.
    #[error("an answer that makes no sense: {0}")]
    Unexpected(String),
    /// Some of many things were done, then this happened.
    #[error("{ended} ended, then: {cause}")]
    Unfinished {
        /// How many sessions were ended before.
        ended: usize,
        /// What happened.
        cause: Box<Failure>,
    },
    /// The answer can't be written.
    #[error("can't write: {0}")]
    Output(#[from] io::Error),
}

/// What the API says when it says no (RFC 9457).
#[derive(Debug, Clone)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable name.
    pub code: String,
    /// The sentence for people.
    pub detail: String,
    /// What the API's log knows the request by.
    pub trace_id: String,
    /// The fields that break rules, and how.
    pub errors: Vec<(String, String)>,
}

impl Failure {
    /// What the process ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Problem(problem) => problem.exit(),
            Self::Unfinished { cause, .. } => cause.exit(),
            // Whoever reads (`head`, a pager) has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Key(_) | Self::Unreachable { .. } | Self::Unexpected(_) | Self::Output(_) => {
                Exit::Failed
            }
        }
    }

    /// Whether asking again a little later may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => {
                problem.status.is_server_error() || problem.status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Usage(_)
            | Self::Key(_)
            | Self::Unexpected(_)
            | Self::Unfinished { .. }
            | Self::Output(_) => false,
        }
    }
}

impl Problem {
    /// Reads one; `None` where `body` isn't one.
    pub fn read(status: StatusCode, body: &Value) -> Option<Self> {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let errors = body["errors"].as_array().into_iter().flatten();
        Some(Self {
            status,
            code: text("code")?,
            detail: text("detail")?,
            trace_id: text("trace_id")?,
            errors: errors
                .filter_map(|error| {
                    let part = |name: &str| error[name].as_str().map(str::to_owned);
                    Some((part("field")?, part("message")?))
                })
                .collect(),
        })
    }

    fn exit(&self) -> Exit {
        match self.status {
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Refused,
            _ => Exit::Failed,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (detail, code, trace) = (&self.detail, &self.code, &self.trace_id);
        write!(f, "{detail} (code {code}, trace {trace})")?;
        for (field, message) in &self.errors {
            write!(f, "\n  {field}: {message}")?;
        }
        Ok(())
    }
}
