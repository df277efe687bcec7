//! What JSON is taken, whatever it is for: every name once, nothing nested without end, no
//! character that databases can't keep.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::problem::FieldError;

/// How many arrays and objects may stand within each other, the body itself included: what is
/// handed out again stands deeper within answers, and readers have limits too.
const DEPTH_MAX: usize = 32;

/// What breaks these rules in a JSON text that nothing follows.
///
/// # Errors
/// It is no JSON.
pub(super) fn check(json: &[u8]) -> Result<Vec<FieldError>, serde_json::Error> {
    let mut wrong = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(json);
    let root = Place {
        parent: None,
        step: Step::Root,
        depth: 0,
    };
    Check {
        place: &root,
        wrong: &mut wrong,
    }
    .deserialize(&mut reader)?;
    reader.end()?;
    Ok(wrong)
}

/// Where in the text, written out only if something is wrong there.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
    depth: usize,
}

enum Step<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    fn below(&'a self, step: Step<'a>) -> Self {
        Self {
            parent: Some(self),
            step,
            depth: self.depth + 1,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else {
            return Ok(());
        };
        parent.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Name(name) if parent.parent.is_none() => f.write_str(name),
            Step::Name(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

struct Check<'a> {
    place: &'a Place<'a>,
    wrong: &'a mut Vec<FieldError>,
}

impl Check<'_> {
    fn note(&mut self, place: &Place<'_>, message: &str) {
        // One of a kind is enough to act on; a body of mistakes isn't answered with as many.
        if self.wrong.is_empty() {
            self.wrong.push(FieldError {
                field: place.to_string(),
                message: message.to_owned(),
            });
        }
    }

    fn text(&mut self, place: &Place<'_>, text: &str) {
        if text.contains('\0') {
            self.note(place, "must not contain the character U+0000");
        }
    }

    fn is_too_deep(&mut self) -> bool {
        let too_deep = self.place.depth >= DEPTH_MAX;
        if too_deep {
            self.note(self.place, "is nested too deep");
        }
        too_deep
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.text(self.place, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        if self.is_too_deep() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        for index in 0.. {
            let place = self.place.below(Step::Index(index));
            let check = Check {
                place: &place,
                wrong: self.wrong,
            };
            if items.next_element_seed(check)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        if self.is_too_deep() {
            while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let mut names = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            let place = self.place.below(Step::Name(&name));
            self.text(&place, &name);
            if names.contains(&name) {
                self.note(&place, "must be given at most once");
            }
            fields.next_value_seed(Check {
                place: &place,
                wrong: self.wrong,
            })?;
            names.insert(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(json: &str) -> Option<String> {
        let mut wrong = check(json.as_bytes()).unwrap();
        wrong.pop().map(|error| error.field)
    }

    #[test]
    fn every_name_stands_once_in_its_object() {
        assert_eq!(wrong(r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#), None);
        assert_eq!(wrong(r#"{"a":1,"b":2,"a":1}"#).unwrap(), "a");
        assert_eq!(
            wrong(r#"{"a":[0,{"b":{"c":1,"c":2}}]}"#).unwrap(),
            "a[1].b.c"
        );
        assert_eq!(wrong(r#"{"a":1,"\u0061":1}"#).unwrap(), "a");
    }

    #[test]
    fn no_text_holds_what_databases_cannot() {
        assert_eq!(wrong(r#"{"a":"x\u0001"}"#), None);
        assert_eq!(wrong(r#"{"a":["x","\u0000"]}"#).unwrap(), "a[1]");
        assert_eq!(wrong(r#"{"a":{"b\u0000":1}}"#).unwrap(), "a.b\0");
    }

    #[test]
    fn nothing_is_nested_without_end() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(wrong(&nested(DEPTH_MAX)), None);
        assert!(wrong(&nested(DEPTH_MAX + 1)).is_some());
        assert!(
            check(nested(30_000).as_bytes()).is_ok(),
            "no stack is used up"
        );
    }

    #[test]
    fn what_is_no_json_is_told_apart() {
        for bad in [
            "",
            "{",
            "{} x",
            "{}{}",
            "\u{feff}{}",
            "{'a':1}",
            "[1,]",
            "NaN",
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check(b"\"\xff\"").is_err());
    }
}
