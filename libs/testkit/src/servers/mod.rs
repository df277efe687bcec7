//! Private servers for tests: real ones, each on a free port of the loopback address, in a folder
//! of its own, and gone with the test. Nothing is shared with servers the machine may run anyway.
//!
//! A server goes away when its value is dropped, and also when the test process is killed; folders
//! a killed process left behind are removed by the next one. Whatever is waited for is waited for
//! in bounds. A server that isn't installed fails the test and says what to do: a skipped test
//! would look like a passed one.
//!
//! ```no_run
//! let nats = session_testkit::servers::Nats::start();
//! println!("{}", nats.url());
//! ```

pub(crate) mod folder;
mod nats;
mod postgres;
pub(crate) mod process;
mod redis;

use std::path::PathBuf;

pub use nats::Nats;
pub use postgres::{Database, Postgres};
pub use redis::Redis;

/// Where a server's own tool is, `psql` say.
///
/// # Panics
/// Where it isn't installed.
pub fn installed(tool: &str) -> PathBuf {
    process::program(tool, &postgres::newest_bin())
}

/// What every kind of server can be made to do, by its name in front of a value with a `process`.
macro_rules! controls {
    ($server:ident) => {
        impl $server {
            /// Its process id; `None` while it doesn't run.
            pub fn pid(&self) -> Option<u32> {
                self.process.pid()
            }

            /// Ends it as `kill -9` does. [`Self::restart`] brings it back.
            pub fn kill(&mut self) {
                self.process.kill();
            }

            /// Stops it in its tracks (`SIGSTOP`): connections stay open and nobody answers.
            pub fn stop(&self) {
                self.process.signal(::rustix::process::Signal::STOP);
            }

            /// Lets it go on after [`Self::stop`] as if no time had passed.
            pub fn resume(&self) {
                self.process.signal(::rustix::process::Signal::CONT);
            }

            /// Starts it again on the same port and folder, killing it first where it runs.
            /// Returns once it answers.
            pub fn restart(&mut self) {
                self.process.kill();
                self.run();
            }
        }
    };
}
use controls;
