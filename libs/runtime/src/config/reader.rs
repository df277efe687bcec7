use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::layers::{Raw, variable};
use super::{Layers, Loaded, Mistake, Mistaken, Mistakes, duration};

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

/// What a secret's value is shown as.
const MASK: &str = "********";

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
        Value {
            reader: self,
            field,
            example: None,
        }
    }

    /// Lets other processes' settings under `section` stand, so that one file can serve them all.
    pub fn leave_alone(&mut self, section: &str) {
        self.foreign.push(format!("{section}."));
    }

    /// Notes a mistake that only shows when fields are seen together.
    pub fn mistake(&mut self, field: &str, what: impl Into<String>) -> Mistaken {
        self.mistakes.push(Mistake {
            field: field.to_owned(),
            origin: None,
            what: what.into(),
            example: None,
        });
        Mistaken(())
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

    /// The value in effect, and where it came from.
    fn raw(&self, field: &Field) -> Option<(Raw, String)> {
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

    /// Notes every value that was set and that nobody read: most often a misspelling.
    fn note_unknown(&mut self) {
        let known = |name: &str| {
            self.read.contains(name) || self.foreign.iter().any(|section| name.starts_with(section))
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

/// A field being read. The last call (`parse`, `optional`, `duration`, …) reads it.
#[derive(Debug)]
#[must_use = "a field is read by its last call: parse, optional, list, …"]
pub struct Value<'r> {
    reader: &'r mut Reader,
    field: Field,
    example: Option<&'static str>,
}

impl Value<'_> {
    /// What the field means, in a sentence.
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.field.doc = doc;
        self
    }

    /// The value where nobody sets one; it goes through the same reading.
    pub fn default(mut self, default: &str) -> Self {
        self.field.default = Some(default.to_owned());
        self
    }

    /// A value that would do, for messages; by default the default.
    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    /// Never shows the value: not in messages, not in `--print-config`.
    pub const fn secret(mut self) -> Self {
        self.field.secret = true;
        self
    }

    /// Reads it by its type's own rules. Without a default it must be set.
    ///
    /// # Errors
    /// The mistake has been noted.
    pub fn parse<T>(self) -> Result<T, Mistaken>
    where
        T: FromStr<Err: Display>,
    {
        self.parse_with(str::parse)
    }

    /// Reads it with `read`, whose error is worded to follow the value. Without a default it must
    /// be set.
    ///
    /// # Errors
    /// The mistake has been noted.
    pub fn parse_with<T, E: Display>(
        mut self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Mistaken> {
        self.field.required = self.field.default.is_none();
        match self.text()? {
            Some((text, origin)) => self.convert(&text, &origin, read),
            None => Err(self.missing()),
        }
    }

    /// Reads it if somebody set it.
    ///
    /// # Errors
    /// The mistake has been noted.
    pub fn optional<T>(self) -> Result<Option<T>, Mistaken>
    where
        T: FromStr<Err: Display>,
    {
        self.optional_with(str::parse)
    }

    /// Reads it with `read` if somebody set it.
    ///
    /// # Errors
    /// The mistake has been noted.
    pub fn optional_with<T, E: Display>(
        mut self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Mistaken> {
        let Some((text, origin)) = self.text()? else {
            self.record(None, "unset".to_owned());
            return Ok(None);
        };
        self.convert(&text, &origin, read).map(Some)
    }

    /// Reads a span of time; see [`duration()`].
    ///
    /// # Errors
    /// The mistake has been noted.
    pub fn duration(self) -> Result<Duration, Mistaken> {
        self.parse_with(duration)
    }

    /// Reads a span of time within bounds, both included.
    ///
    /// # Errors
    /// The mistake has been noted.
    pub fn duration_within(self, least: &str, most: &str) -> Result<Duration, Mistaken> {
        let bound = |text| duration(text).expect("the bounds are written in the program");
        let bounds = bound(least)..=bound(most);
        self.parse_with(|text| match duration(text)? {
            span if bounds.contains(&span) => Ok(span),
            _ => Err(format!("must be between {least} and {most}")),
        })
    }

    /// Reads a number, or anything else with an order, within bounds, both included.
    ///
    /// # Errors
    /// The mistake has been noted.
    pub fn within<T>(self, least: T, most: T) -> Result<T, Mistaken>
    where
        T: FromStr<Err: Display> + PartialOrd + Display,
    {
        let bounds = least..=most;
        self.parse_with(|text| match text.parse() {
            Ok(value) if bounds.contains(&value) => Ok(value),
            Ok(_) => Err(format!(
                "must be between {} and {}",
                bounds.start(),
                bounds.end()
            )),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Reads one of a few names.
    ///
    /// # Errors
    /// The mistake has been noted.
    pub fn one_of<T: Clone>(mut self, choices: &[(&'static str, T)]) -> Result<T, Mistaken> {
        self.field.choices = choices.iter().map(|(name, _)| *name).collect();
        let names = self.field.choices.join(", ");
        self.parse_with(|text| {
            let found = choices.iter().find(|(name, _)| *name == text);
            found
                .map(|(_, value)| value.clone())
                .ok_or_else(|| format!("must be one of {names}"))
        })
    }

    /// Reads a list: an array in the file, elsewhere texts separated by commas. Nothing set and
    /// no default is an empty list.
    ///
    /// # Errors
    /// The mistakes have been noted, one for each wrong item.
    pub fn list<T>(self) -> Result<Vec<T>, Mistaken>
    where
        T: FromStr<Err: Display>,
    {
        self.list_with(str::parse)
    }

    /// Reads a list, each item with `read`.
    ///
    /// # Errors
    /// The mistakes have been noted, one for each wrong item.
    pub fn list_with<T, E: Display>(
        mut self,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, Mistaken> {
        let default = self.field.default.clone();
        let (raw, origin) = self.reader.raw(&self.field).unwrap_or_else(|| {
            let text = Raw::Text(default.unwrap_or_default());
            (text, "default".to_owned())
        });
        let items = match raw {
            Raw::List(items) => items,
            Raw::Text(text) => split(&text),
        };
        self.record(Some(items.join(",")), origin.clone());
        let read = items
            .iter()
            .map(|item| self.read_one(item, &origin, &read))
            .collect::<Vec<_>>();
        read.into_iter().collect()
    }

    /// The text in effect. A list where one value belongs is a mistake.
    fn text(&mut self) -> Result<Option<(String, String)>, Mistaken> {
        match self.reader.raw(&self.field) {
            Some((Raw::Text(text), origin)) => Ok(Some((text, origin))),
            Some((Raw::List(_), origin)) => {
                self.record(None, origin.clone());
                Err(self.note(Some(origin), "must be a single value".to_owned()))
            }
            None => {
                let default = self.field.default.clone();
                Ok(default.map(|text| (text, "default".to_owned())))
            }
        }
    }

    fn convert<T, E: Display>(
        mut self,
        text: &str,
        origin: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Mistaken> {
        self.record(Some(text.to_owned()), origin.to_owned());
        self.read_one(text, origin, read)
    }

    fn read_one<T, E: Display>(
        &mut self,
        text: &str,
        origin: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Mistaken> {
        read(text).map_err(|error| {
            // A secret's error may quote it.
            let what = if self.field.secret {
                "isn't valid".to_owned()
            } else {
                format!("{text:?} isn't valid: {error}")
            };
            self.note(Some(origin.to_owned()), what)
        })
    }

    fn missing(mut self) -> Mistaken {
        self.record(None, "unset".to_owned());
        if self.reader.layers.file_failed {
            return Mistaken(());
        }
        let what = format!("must be set, here or as {}", self.field.variable);
        self.note(None, what)
    }

    fn note(&mut self, origin: Option<String>, what: String) -> Mistaken {
        let example = self.example.map(str::to_owned);
        let default = self.field.default.clone().filter(|text| !text.is_empty());
        self.reader.mistakes.push(Mistake {
            field: self.field.name.clone(),
            origin,
            what,
            example: example.or(default),
        });
        Mistaken(())
    }

    /// Notes that the field was read. Two parts of a process may read the same one.
    fn record(&mut self, effective: Option<String>, origin: String) {
        if self.reader.read.insert(self.field.name.clone()) {
            self.field.effective = if self.field.secret {
                effective.map(|_| MASK.to_owned())
            } else {
                effective
            };
            self.field.origin = origin;
            self.reader.fields.push(self.field.clone());
        }
    }
}

fn split(text: &str) -> Vec<String> {
    let items = text.split(',').map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
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
