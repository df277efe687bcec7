use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use super::Mistake;

/// The prefix of every environment variable that is a setting.
const PREFIX: &str = "SESSION_";

/// Names the configuration file; the one variable with the prefix that isn't a field.
pub(super) const FILE_VARIABLE: &str = "SESSION_CONFIG";

/// A value as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    /// An array in the file. Elsewhere lists are texts, separated by commas.
    List(Vec<String>),
}

/// What is configured, still as text. Made from maps in tests, from the process in `main`.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The file's name and its values by field.
    pub(super) file: Option<(String, BTreeMap<String, Raw>)>,
    /// Every section of the file, also those that hold nothing.
    pub(super) sections: BTreeSet<String>,
    /// Non-empty variables with the prefix, by their whole name.
    pub(super) environment: BTreeMap<String, String>,
    /// Values given on the command line, by field, with the flag that gave them.
    pub(super) flags: BTreeMap<String, (String, String)>,
    pub(super) mistakes: Vec<Mistake>,
    /// Whether the file couldn't be read: then what is missing may well be in it.
    pub(super) file_failed: bool,
}

impl Layers {
    /// Adds the text of a TOML file; `name` is for messages.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        match text.parse::<toml::Table>() {
            Ok(table) => {
                let mut values = BTreeMap::new();
                self.flatten("", table, name, &mut values);
                self.file = Some((name.to_owned(), values));
            }
            Err(error) => self.fail_file(name, &format!("isn't valid TOML: {error}")),
        }
        self
    }

    /// Adds the TOML file at `path`.
    #[must_use]
    pub fn file_at(mut self, path: &Path) -> Self {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.file(&name, &text),
            Err(error) => {
                self.fail_file(&name, &format!("can't be read: {error}"));
                self
            }
        }
    }

    /// Adds environment variables. Those without the prefix, empty ones and those other programs
    /// are known to set are passed over.
    #[must_use]
    pub fn environment<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        for (name, value) in variables {
            // A name that isn't Unicode isn't one of ours.
            let Ok(name) = name.into().into_string() else {
                continue;
            };
            if !name.starts_with(PREFIX) || name == FILE_VARIABLE {
                continue;
            }
            match value.into().into_string() {
                Ok(value) if value.is_empty() || is_foreign(&name, &value) => {}
                Ok(value) => {
                    self.environment.insert(name, value);
                }
                Err(_) => self.mistakes.push(Mistake {
                    field: name,
                    origin: Some("environment".into()),
                    what: "isn't Unicode text".into(),
                    example: None,
                }),
            }
        }
        self
    }

    /// Adds a value from the command line: `flag` is the flag as typed, for messages.
    #[must_use]
    pub fn flag(mut self, field: &str, flag: &str, value: impl Into<String>) -> Self {
        self.flags
            .insert(field.to_owned(), (flag.to_owned(), value.into()));
        self
    }

    fn fail_file(&mut self, name: &str, what: &str) {
        self.file_failed = true;
        self.mistakes.push(Mistake {
            field: name.to_owned(),
            origin: None,
            what: what.trim_end().to_owned(),
            example: None,
        });
    }

    fn flatten(
        &mut self,
        prefix: &str,
        table: toml::Table,
        file: &str,
        values: &mut BTreeMap<String, Raw>,
    ) {
        for (key, value) in table {
            let field = if prefix.is_empty() {
                key
            } else {
                format!("{prefix}.{key}")
            };
            let raw = match value {
                toml::Value::Table(table) => {
                    self.flatten(&field, table, file, values);
                    self.sections.insert(field);
                    continue;
                }
                toml::Value::Array(items) => {
                    let items: Option<Vec<_>> = items.into_iter().map(scalar).collect();
                    items.map(Raw::List)
                }
                value => scalar(value).map(Raw::Text),
            };
            if let Some(raw) = raw {
                values.insert(field, raw);
            } else {
                self.mistakes.push(Mistake {
                    field,
                    origin: Some(format!("file {file}")),
                    what: "must be a list of plain values".into(),
                    example: Some(r#"["a", "b"]"#.into()),
                });
            }
        }
    }
}

fn scalar(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(moment) => Some(moment.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

/// Whether another program set this variable: a desktop's session manager; or Kubernetes, which
/// gives every container the addresses of the Services beside it, and ours are named `session-…`.
fn is_foreign(name: &str, value: &str) -> bool {
    let last = |suffix: &str| name.ends_with(suffix);
    let service_port = name.contains("_SERVICE_PORT_") || last("_SERVICE_PORT");
    let link = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let link_part = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
        [
            format!("{protocol}_ADDR"),
            format!("{protocol}_PORT"),
            format!("{protocol}_PROTO"),
        ]
        .iter()
        .any(|suffix| last(suffix))
    });
    name == "SESSION_MANAGER"
        || last("_SERVICE_HOST")
        || service_port
        || (link && name.contains("_PORT"))
        || (link_part && name.contains("_PORT_"))
}

/// The environment variable of a field.
pub(super) fn variable(field: &str) -> String {
    format!("{PREFIX}{}", field.replace('.', "__").to_uppercase())
}
