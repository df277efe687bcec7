//! What every process needs around its work. Nothing here knows what a session is; a service's
//! `main` puts these together and reads like a table of contents:
//!
//! 1. [`config`]: where settings come from, and every mistake in them at once.
//! 2. [`telemetry`]: logs to standard error, metrics to whoever asks.
//! 3. [`listen`]: binds all ports or none, and serves them until told to stop.
//! 4. [`private`]: `/livez`, `/readyz` and `/metrics`, on a port of their own.
//! 5. [`shutdown`]: drain on the first signal, stop on the second.
//! 6. [`clock`]: the one place where time and randomness enter the program; [`authority`]: the
//!    time of the database, for those that run beside it.
//! 7. [`reach`]: servers that are waited for at the start and watched ever after.
//! 8. [`body`]: how long the body of a request may take.
//! 9. [`program`]: from the command line to the process's end.

pub mod authority;
pub mod body;
pub mod clock;
pub mod config;
pub mod listen;
pub mod private;
pub mod program;
pub mod reach;
mod serve;
pub mod shutdown;
pub mod telemetry;
