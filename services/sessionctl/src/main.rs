//! `sessionctl`: the session service from the command line. All of it is in the library, so that
//! tests can run it within their own process.

use std::io::{stderr, stdout};
use std::process::ExitCode;

use sessionctl::{Environment, Exit, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Where Ctrl-C can't be listened for, it ends the process as it always does.
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let environment = Environment::of_process();
    let (mut out, mut err) = (stdout(), stderr());
    let exit: Exit = run(
        std::env::args_os(),
        environment,
        &mut out,
        &mut err,
        interrupted,
    )
    .await;
    exit.into()
}
