use std::fmt;

/// What is taken from around the process. Made from the process in `main`, by hand in tests.
#[derive(Clone, Default)]
pub struct Environment {
    /// Where the API is, unless the command line says.
    pub api: Option<String>,
    /// The service key, unless the command line names a file.
    pub service_key: Option<String>,
    /// How many characters wide the terminal is; `None` where output goes elsewhere, and lines
    /// stay as long as they are.
    pub width: Option<u16>,
}

impl Environment {
    /// This process's: `SESSIONCTL_API`, `SESSIONCTL_SERVICE_KEY` and the terminal at standard
    /// output. An empty variable is the same as none.
    pub fn of_process() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        Self {
            api: variable("SESSIONCTL_API"),
            service_key: variable("SESSIONCTL_SERVICE_KEY"),
            // Some terminals don't know.
            width: size.map(|size| size.ws_col).filter(|width| *width > 0),
        }
    }
}

impl fmt::Debug for Environment {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("api", &self.api)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}
