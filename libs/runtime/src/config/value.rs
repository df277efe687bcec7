use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::layers::Raw;
use super::{Field, Mistake, Mistaken, Reader, duration};

/// What a secret's value is shown as.
const MASK: &str = "********";

/// A field being read. The last call (`parse`, `optional`, `duration`, …) reads it.
#[derive(Debug)]
#[must_use = "a field is read by its last call: parse, optional, list, …"]
pub struct Value<'r> {
    reader: &'r mut Reader,
    field: Field,
    example: Option<&'static str>,
}

impl<'r> Value<'r> {
    pub(super) const fn new(reader: &'r mut Reader, field: Field) -> Self {
        Self {
            reader,
            field,
            example: None,
        }
    }

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
        if self.reader.file_failed() {
            return Mistaken(());
        }
        let what = format!("must be set, here or as {}", self.field.variable);
        self.note(None, what)
    }

    fn note(&mut self, origin: Option<String>, what: String) -> Mistaken {
        let example = self.example.map(str::to_owned);
        let default = self.field.default.clone().filter(|text| !text.is_empty());
        self.reader.note(Mistake {
            field: self.field.name.clone(),
            origin,
            what,
            example: example.or(default),
        })
    }

    fn record(&mut self, effective: Option<String>, origin: String) {
        self.field.effective = if self.field.secret {
            effective.map(|_| MASK.to_owned())
        } else {
            effective
        };
        self.field.origin = origin;
        self.reader.record(&self.field);
    }
}

fn split(text: &str) -> Vec<String> {
    let items = text.split(',').map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}
