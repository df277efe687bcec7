//! The way from a command line to a running process, the same for every program: read all
//! settings, tell all mistakes at once, and only then start.

use std::fmt::Display;
use std::process::ExitCode;

use crate::config::{
    ConfigArgs, Layers, Mistaken, Reader, describe, docs_table, exit_on_mistakes, load,
    print_config,
};

/// Runs a program on the settings that `read` finds in `layers`; or prints them, where `args` say
/// so. Mistakes in them end the process with 64 before anything starts; an error of `work` is told
/// on standard error, after the program's `name`.
pub fn run<T, W, E>(
    name: &str,
    args: &ConfigArgs,
    layers: Layers,
    read: impl FnOnce(&mut Reader) -> Result<T, Mistaken>,
    work: impl FnOnce(T) -> W,
) -> ExitCode
where
    W: Future<Output = Result<(), E>>,
    E: Display,
{
    let loaded = exit_on_mistakes(load(layers, read));
    if args.print_config {
        print!("{}", print_config(&loaded.fields));
        return ExitCode::SUCCESS;
    }
    finish(name, work(loaded.value))
}

/// Does `work` on as many threads as there are processors, and turns what comes of it into the
/// process's own end.
pub fn finish<E: Display>(name: &str, work: impl Future<Output = Result<(), E>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: can't start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With all its causes, where the error keeps them.
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the table of the settings that `read` knows, in Markdown.
pub fn print_settings<T>(read: impl FnOnce(&mut Reader) -> Result<T, Mistaken>) -> ExitCode {
    print!("{}", docs_table(&describe(read)));
    ExitCode::SUCCESS
}
