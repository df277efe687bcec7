use std::process::ExitCode;

/// How it went, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It is done.
    Done,
    /// It isn't: the API can't be reached, has a problem, or says no for another reason.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// There is no such session, user or key.
    NotFound,
    /// The service key is unknown or may not do this.
    Refused,
}

impl Exit {
    /// The number the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
