use std::error::Error;
use std::fmt;

/// Why an adapter couldn't do what a port asked. Says whether trying again can help, and carries
/// its source for the log; nothing of it is for the client's eyes.
#[derive(Debug)]
pub struct PortError {
    retry: bool,
    what: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl PortError {
    /// The other side can't be reached or is busy; the same call may succeed later.
    pub fn retry(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            retry: true,
            what,
            source: Some(source.into()),
        }
    }

    /// It won't work however often it's tried: corrupt data, a programming error.
    pub fn fatal(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            retry: false,
            what,
            source: Some(source.into()),
        }
    }

    /// Whether trying again can help.
    pub const fn is_retry(&self) -> bool {
        self.retry
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
