use std::ffi::OsString;
use std::path::PathBuf;

use super::layers::FILE_VARIABLE;
use super::{Layers, Mistake};

/// The configuration's share of a command line; a service flattens it into its own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// The configuration file (TOML); `SESSION_CONFIG` in the environment says the same
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Sets one field, over file and environment; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub set: Vec<String>,

    /// Prints the configuration in effect, secrets masked, and exits
    #[arg(long)]
    pub print_config: bool,
}

impl ConfigArgs {
    /// The layers these flags and this process's environment name.
    pub fn layers_of_process(&self) -> Layers {
        self.layers(std::env::vars_os())
    }

    /// The configuration file that these flags or this process's environment name.
    pub fn file_of_process(&self) -> Option<PathBuf> {
        self.file_named_by(&std::env::vars_os().collect::<Vec<_>>())
    }

    fn file_named_by(&self, environment: &[(OsString, OsString)]) -> Option<PathBuf> {
        let named = environment
            .iter()
            .find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
        let named = named.map(|(_, path)| PathBuf::from(path));
        self.config.clone().or(named)
    }

    /// The layers these flags and the given environment name.
    pub fn layers(&self, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Layers {
        let environment: Vec<_> = environment.into_iter().collect();
        let path = self.file_named_by(&environment);
        let mut layers = Layers::default().environment(environment);
        if let Some(path) = path {
            layers = layers.file_at(&path);
        }
        for pair in &self.set {
            layers = match pair.split_once('=') {
                Some((field, value)) => layers.flag(field.trim(), "--set", value),
                None => with_mistake(layers, pair),
            };
        }
        layers
    }
}

fn with_mistake(mut layers: Layers, pair: &str) -> Layers {
    layers.mistakes.push(Mistake {
        field: pair.to_owned(),
        origin: Some("flag --set".into()),
        what: "must be a field, '=' and a value".into(),
        example: Some("--set log.level=debug".into()),
    });
    layers
}
