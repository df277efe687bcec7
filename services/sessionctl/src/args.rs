use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::{
    completion, end, end_all, list, service_keys, show, signing_keys, stats, watch,
};

/// Where the API is where nobody says.
pub const API: &str = "http://127.0.0.1:8080";

/// The session service from the command line
#[derive(Debug, Parser)]
#[command(name = "sessionctl", version, after_help = AFTER_HELP)]
pub struct Options {
    /// Where the API is.
    #[arg(long, global = true, value_name = "URL",
          help = format!("Where the API is [env: SESSIONCTL_API] [default: {API}]"))]
    pub api: Option<String>,
    /// The file that holds the service key [default: var/service-key]
    #[arg(long, global = true, value_name = "FILE")]
    pub service_key_file: Option<PathBuf>,
    /// Prints what the API says, as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
The service key is read from the file that --service-key-file names, else from
SESSIONCTL_SERVICE_KEY, else from var/service-key. It is never an argument: those
are there for everybody to see in the list of processes.

Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 refused (the key is unknown
or may not do this).";

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists a user's sessions, newest first
    List(list::List),
    /// Shows a session
    Show(show::Show),
    /// Ends a session; returns when no validator accepts it any more
    End(end::End),
    /// Ends all of a user's sessions
    EndAll(end_all::EndAll),
    /// Shows how many sessions there are and have been
    Stats(stats::Stats),
    /// Shows what changes, as it changes, until Ctrl-C
    Watch(watch::Watch),
    /// Lists who answers from memory, and how far each has come
    Validators,
    /// Credentials of services
    #[command(subcommand)]
    ServiceKeys(service_keys::ServiceKeys),
    /// Keys tokens are signed with
    #[command(subcommand)]
    SigningKeys(signing_keys::SigningKeys),
    /// Prints a script that completes commands in a shell
    Completion(completion::Completion),
}

/// Whose sessions.
#[derive(Debug, Clone, Args)]
pub struct TenantArg {
    /// The tenant, for a key that isn't tied to one; `default` where nobody says
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
}

impl TenantArg {
    /// As part of a query.
    pub fn query(&self) -> Vec<(&str, &str)> {
        let tenant = self.tenant.as_deref();
        tenant
            .map(|tenant| ("tenant", tenant))
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_key_is_no_argument() {
        fn all(command: &clap::Command, found: &mut Vec<String>) {
            found.extend(command.get_arguments().map(|one| one.get_id().to_string()));
            for sub in command.get_subcommands() {
                all(sub, found);
            }
        }
        let mut found = Vec::new();
        all(&Options::command(), &mut found);
        assert!(found.contains(&"service_key_file".to_owned()));
        assert!(!found.contains(&"service_key".to_owned()));
        assert!(AFTER_HELP.lines().all(|line| line.len() <= 90));
    }
}
