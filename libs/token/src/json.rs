//! JSON, stricter than the library reads it.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// How deep arrays and objects may nest, the outermost included. Ours nest three deep.
const DEPTH_MAX: u8 = 8;

/// Reads one JSON text (RFC 8259) as a `T`: UTF-8 without a byte order mark, nothing before or
/// after it, no member named twice in any object at any level (however its name is spelled), not
/// nested deeper than [`DEPTH_MAX`].
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut parser = serde_json::Deserializer::from_str(text);
    Unambiguous { depth: DEPTH_MAX }
        .deserialize(&mut parser)
        .ok()?;
    serde_json::from_str(text).ok()
}

/// Passes over a value of any type and refuses what two readers could understand differently.
/// Reading into a struct alone doesn't: members it doesn't know are skipped unseen.
#[derive(Clone, Copy)]
struct Unambiguous {
    depth: u8,
}

impl Unambiguous {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unambiguous JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member twice"));
            }
            members.next_value_seed(inside)?;
        }
        Ok(())
    }
}

/// A `T` read from a JSON object only: a derived struct would take an array of its fields' values
/// for one just as well.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

/// Reads an optional member that may be absent but not `null`. For `#[serde(default)]` fields.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    fn accepts(text: &str) -> bool {
        read::<IgnoredAny>(text.as_bytes()).is_some()
    }

    #[test]
    fn a_member_twice_is_refused_at_any_level_and_in_any_spelling() {
        assert!(accepts(r#"{"a":1,"b":{"a":[{"a":null}]}}"#));
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            r#"{"x":[0,{"y":{"a":1,"a":1}}]}"#,
            r#"{"exp":1,"e\u0078p":1}"#,
        ] {
            assert!(!accepts(bad), "{bad}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(accepts(&nested(DEPTH_MAX.into())));
        assert!(!accepts(&nested(usize::from(DEPTH_MAX) + 1)));
        assert!(!accepts(&nested(100_000)));
    }

    #[test]
    fn one_text_and_nothing_else_is_read() {
        for bad in [
            "",
            "{",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            "{,}",
            "{'a':1}",
            "1e999",
            "NaN",
        ] {
            assert!(!accepts(bad), "{bad:?}");
        }
        assert!(read::<IgnoredAny>(b"{\"a\":\"\xff\"}").is_none());
    }

    #[test]
    fn an_array_is_no_object() {
        #[derive(Deserialize)]
        struct Pair {
            a: u8,
            b: u8,
        }
        let read = |text: &str| serde_json::from_str::<Object<Pair>>(text).map(|o| (o.0.a, o.0.b));
        assert_eq!(read(r#"{"a":1,"b":2}"#).ok(), Some((1, 2)));
        assert!(read("[1,2]").is_err());
    }
}
