//! The session service from the command line, over HTTP: what an operator does by hand, and what
//! scripts do. It knows the API as any other client does, and nothing of the service's inside.
//!
//! Answers go to standard output, everything else to standard error. Tables are for people;
//! `--json` is what the API said, for programs. What came from users (names of devices, user
//! agents) is cleaned of control characters before a terminal gets to see it.
//!
//! ```text
//! sessionctl list --user alice
//! sessionctl end-all --user alice --reason "laptop stolen"
//! sessionctl --json stats | jq .active
//! ```

mod args;
mod client;
mod command;
mod environment;
mod exit;
mod failure;
mod output;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;

pub use environment::Environment;
pub use exit::Exit;

use args::Options;
use output::Output;

/// Carries out what `args` say (the first is the program's name), writing to `out` and `err`.
/// Commands that go on for a while end when `stop` does.
pub async fn run<'w, A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    environment: Environment,
    out: &'w mut dyn Write,
    err: &'w mut dyn Write,
    stop: impl Future<Output = ()>,
) -> Exit {
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(said) => {
            let (to, exit) = if said.use_stderr() {
                (err, Exit::Usage)
            } else {
                (out, Exit::Done)
            };
            // There is nobody left to tell.
            let _ = write!(to, "{}", said.render());
            return exit;
        }
    };
    let json = options.json;
    let mut output = Output::new(out, err, json, environment.width);
    let done = command::execute(options, environment, &mut output, stop).await;
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => {
            output.failure(&failure);
            failure.exit()
        }
    }
}
