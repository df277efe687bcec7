//! Settings from four layers, the later ones winning: defaults, a TOML file, the environment,
//! flags. They are gathered as raw text, and only then read into types, so that every mistake is
//! found before the first port is bound, and all of them are told at once.
//!
//! A field is described in one place, where it is read:
//!
//! ```
//! use session_runtime::config::{self, Layers, Mistaken, Reader};
//!
//! struct Config {
//!     listen: std::net::SocketAddr,
//!     grace: std::time::Duration,
//! }
//!
//! impl Config {
//!     fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
//!         let listen = reader
//!             .value("api.listen")
//!             .doc("Where the API listens.")
//!             .default("127.0.0.1:8080")
//!             .parse();
//!         let grace = reader
//!             .value("api.grace")
//!             .doc("How long requests may take to finish when the process stops.")
//!             .default("10s")
//!             .duration();
//!         // Only now `?`: everything above has been read, and every mistake in it noted.
//!         Ok(Self { listen: listen?, grace: grace? })
//!     }
//! }
//!
//! let layers = Layers::default().environment([("SESSION_API__GRACE", "2s")]);
//! let loaded = config::load(layers, Config::read).unwrap();
//! assert_eq!(loaded.value.grace.as_secs(), 2);
//! assert_eq!(loaded.value.listen.port(), 8080);
//! ```
//!
//! The field `api.grace` is `grace` under `[api]` in the file, `SESSION_API__GRACE` in the
//! environment and `--set api.grace=2s` on the command line. An empty environment variable is the
//! same as none.

mod args;
mod duration;
mod layers;
mod links;
mod mistakes;
mod origin;
mod reader;
mod render;
mod value;

pub use args::ConfigArgs;
pub use duration::duration;
pub use layers::Layers;
pub use links::{DatabaseLink, NatsLink, RedisLink};
pub use mistakes::{Mistake, Mistaken, Mistakes, exit_on_mistakes};
pub use origin::origin;
pub use reader::{Field, Reader};
pub use render::{docs_table, print_config};
pub use value::Value;

/// A configuration that was read without a mistake.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// Every field in the order of reading, with the value in effect: for `--print-config`.
    pub fields: Vec<Field>,
}

/// Reads a configuration from its layers.
///
/// # Errors
/// Every mistake in them: what `read` found wrong, values nobody reads, an unreadable file.
pub fn load<T>(
    layers: Layers,
    read: impl FnOnce(&mut Reader) -> Result<T, Mistaken>,
) -> Result<Loaded<T>, Mistakes> {
    let mut reader = Reader::new(layers);
    let value = read(&mut reader);
    reader.finish(value)
}

/// The fields `read` reads, without any layer but the defaults: for the documentation.
pub fn describe<T>(read: impl FnOnce(&mut Reader) -> Result<T, Mistaken>) -> Vec<Field> {
    let mut reader = Reader::new(Layers::default());
    // What is required is missing here; the descriptions are complete all the same.
    let _incomplete = read(&mut reader);
    reader.into_fields()
}

#[cfg(test)]
mod tests;
