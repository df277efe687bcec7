use std::collections::{BTreeMap, BTreeSet};

use super::layers::{Raw, variable};
use super::{Layers, Loaded, Mistake, Mistaken, Mistakes, Value};

/// A field as it was read: its description and the value in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, for example `api.listen`.
    pub name: String,
    /// Its environment variable.
    pub variable: String,
    /// What it means.
    pub doc: &'static str,
    /// The value where nobody sets one; `None` where it must be set or may be absent.
    pub default: Option<String>,
    /// Whether somebody must set it.
    pub required: bool,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// What it may be, where that is a fixed choice.
    pub choices: Vec<&'static str>,
    /// The value in effect, as text, masked where it is a secret.
    pub effective: Option<String>,
    /// Where the value in effect came from: `default`, `file …`, `environment …`, `flag …`.
    pub origin: String,
}

/// Every section, and every setting outside one, that some process of the product reads: one file
/// may serve them all.
const SECTIONS: [&str; 27] = [
    "acr",
    "activity",
    "api",
    "bootstrap_key",
    "data_dir",
    "database",
    "device",
    "events",
    "geoip",
    "grpc",
    "issuer",
    "lease",
    "limit",
    "log",
    "nats",
    "origins",
    "policy",
    "private",
    "reaper",
    "redis",
    "retention",
    "secrets",
    "session",
    "shutdown",
    "token",
    "trusted_proxies",
    "validator",
];

/// Reads fields from the layers, noting mistakes and descriptions as it goes.
#[derive(Debug)]
pub struct Reader {
    layers: Layers,
    fields: Vec<Field>,
    read: BTreeSet<String>,
    foreign: Vec<String>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    pub(super) fn new(mut layers: Layers) -> Self {
        let mistakes = std::mem::take(&mut layers.mistakes);
        Self {
            layers,
            fields: Vec::new(),
            read: BTreeSet::new(),
            foreign: Vec::new(),
            mistakes,
        }
    }

    /// Starts reading the field of that name; `.` separates sections.
    pub fn value(&mut self, name: &str) -> Value<'_> {
        let field = Field {
            name: name.to_owned(),
            variable: variable(name),
            doc: "",
            default: None,
            required: false,
            secret: false,
            choices: Vec::new(),
            effective: None,
            origin: "default".to_owned(),
        };
        Value::new(self, field)
    }

    /// The names somebody has given sections within `section`: `a` where `section.a.…` is set, by
    /// whatever layer, and where the file has `[section.a]` with nothing in it. Each is then read
    /// like any other section; a name is lowercase letters, digits, `-` and `_`, and others are
    /// mistakes.
    pub fn names(&mut self, section: &str) -> BTreeSet<String> {
        let within = format!("{section}.");
        let prefix = format!("{}__", variable(section));
        let layers = &self.layers;
        let flags = layers.flags.keys().filter_map(|name| name.rsplit_once('.'));
        let sections = layers.sections.iter().map(String::as_str);
        let sections = sections.chain(flags.map(|(section, _)| section));
        let written = sections.filter_map(|name| name.strip_prefix(&within));
        let written = written.filter_map(|rest| rest.split('.').next());
        let environment = layers.environment.keys();
        let environment = environment.filter_map(|name| name.strip_prefix(&prefix));
        let environment = environment.filter_map(|rest| rest.split_once("__"));
        let mut names: BTreeSet<String> = written.map(str::to_owned).collect();
        names.extend(environment.map(|(name, _)| name.to_lowercase()));
        let (good, bad): (BTreeSet<_>, BTreeSet<_>) =
            names.into_iter().partition(|name| is_name(name));
        for name in bad {
            let field = format!("{within}{name}");
            self.mistake(&field, "a name must be 1 to 63 of a-z, 0-9, - and _");
            self.leave_alone(&field);
        }
        good
    }

    /// Lets the settings of other processes stand, so that one file can serve them all: whole
    /// sections of which this one has read nothing. Comes last; a section that it shares with
    /// others is named to [`Self::leave_alone`].
    pub fn leave_others_alone(&mut self) {
        let read = |section: &&str| {
            let within = format!("{section}.");
            self.read
                .iter()
                .any(|name| name == section || name.starts_with(&within))
        };
        let others: Vec<_> = SECTIONS.into_iter().filter(|one| !read(one)).collect();
        for section in others {
            self.leave_alone(section);
        }
    }

    /// Lets other processes' settings stand that are called `name` or are in the section of that
    /// name, so that one file can serve them all.
    pub fn leave_alone(&mut self, name: &str) {
        self.foreign.push(format!("{name}."));
    }

    /// Notes a mistake that only shows when fields are seen together.
    pub fn mistake(&mut self, field: &str, what: impl Into<String>) -> Mistaken {
        self.note(Mistake {
            field: field.to_owned(),
            origin: None,
            what: what.into(),
            example: None,
        })
    }

    /// What is set for a field and where, if anything is.
    pub(super) fn raw(&self, field: &Field) -> Option<(Raw, String)> {
        if let Some((flag, text)) = self.layers.flags.get(&field.name) {
            return Some((Raw::Text(text.clone()), format!("flag {flag}")));
        }
        if let Some(text) = self.layers.environment.get(&field.variable) {
            let origin = format!("environment {}", field.variable);
            return Some((Raw::Text(text.clone()), origin));
        }
        let (file, values) = self.layers.file.as_ref()?;
        let raw = values.get(&field.name)?;
        Some((raw.clone(), format!("file {file}")))
    }

    /// Notes that the field was read. Two parts of a process may read the same one.
    pub(super) fn record(&mut self, field: &Field) {
        if self.read.insert(field.name.clone()) {
            self.fields.push(field.clone());
        }
    }

    /// Notes a mistake, once: two parts of a process may make the same one.
    pub(super) fn note(&mut self, mistake: Mistake) -> Mistaken {
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
        Mistaken(())
    }

    /// Whether what is missing may be in a file that couldn't be read.
    pub(super) const fn file_failed(&self) -> bool {
        self.layers.file_failed
    }

    pub(super) fn into_fields(self) -> Vec<Field> {
        self.fields
    }

    pub(super) fn finish<T>(mut self, value: Result<T, Mistaken>) -> Result<Loaded<T>, Mistakes> {
        self.note_unknown();
        match value {
            Ok(value) if self.mistakes.is_empty() => Ok(Loaded {
                value,
                fields: self.fields,
            }),
            _ => Err(Mistakes(self.mistakes)),
        }
    }

    /// Notes every value that was set and that nobody read: most often a misspelling.
    fn note_unknown(&mut self) {
        let known = |name: &str| {
            let within = format!("{name}.");
            self.read.contains(name) || self.foreign.iter().any(|other| within.starts_with(other))
        };
        let mut unknown = Vec::new();
        if let Some((file, values)) = &self.layers.file {
            for name in values.keys().filter(|name| !known(name)) {
                unknown.push((name.clone(), format!("file {file}"), name.clone()));
            }
        }
        for variable in self.layers.environment.keys() {
            let name = variable["SESSION_".len()..]
                .to_lowercase()
                .replace("__", ".");
            let misspelt = self::variable(&name) != *variable;
            if misspelt || !known(&name) {
                unknown.push((variable.clone(), "environment".to_owned(), name));
            }
        }
        for (name, (flag, _)) in &self.layers.flags {
            if !known(name) {
                unknown.push((name.clone(), format!("flag {flag}"), name.clone()));
            }
        }
        let by_variable: BTreeMap<_, _> = self.read.iter().map(|n| (n.as_str(), n)).collect();
        for (written, origin, name) in unknown {
            let meant = nearest(&name, by_variable.keys().copied());
            let what = match meant {
                Some(meant) if origin == "environment" => {
                    format!("unknown setting; did you mean {}?", variable(meant))
                }
                Some(meant) => format!("unknown setting; did you mean {meant}?"),
                None => "unknown setting".to_owned(),
            };
            self.mistakes.push(Mistake {
                field: written,
                origin: Some(origin),
                what,
                example: None,
            });
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=63).contains(&name.len()) && name.bytes().all(allowed)
}

/// The known name closest to a misspelt one, if one is close.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let distance_max = (name.len() / 4).clamp(1, 4);
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance in bytes: insertions, deletions and replacements.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
