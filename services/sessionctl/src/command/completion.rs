use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::args::Options;
use crate::failure::Failure;
use crate::output::Output;

/// For which shell.
#[derive(Debug, Args)]
pub struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub fn execute(&self, output: &mut Output<'_>) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(
            self.shell,
            &mut Options::command(),
            "sessionctl",
            &mut script,
        );
        output.bytes(&script)
    }
}
