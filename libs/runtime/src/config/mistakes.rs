use std::fmt;
use std::process::exit;

/// The exit code for a command line or a configuration that can't be used: `EX_USAGE` of
/// sysexits.h.
const EX_USAGE: i32 = 64;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The field, for example `api.listen`; or the file or variable, where no field is meant.
    pub field: String,
    /// Where the value came from, for example `environment SESSION_API__LISTEN`.
    pub origin: Option<String>,
    /// What is wrong, with the value unless that is a secret.
    pub what: String,
    /// A value that would do.
    pub example: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(example) = &self.example {
            write!(f, "; for example {example}")?;
        }
        Ok(())
    }
}

/// All that is wrong with the configuration. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        write!(f, "{count} {noun} in the configuration:")?;
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Stands for a value that couldn't be read. Its mistake has been noted; [`super::load`] reports
/// it, so there is nothing to say here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistaken(pub(super) ());

/// What was loaded; or tells the mistakes on standard error and exits with code 64. For `main`
/// only, before anything is open.
pub fn exit_on_mistakes<T>(result: Result<T, Mistakes>) -> T {
    result.unwrap_or_else(|mistakes| {
        eprintln!("{mistakes}");
        exit(EX_USAGE)
    })
}
