use std::time::Duration;

/// Units and their length in milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a span of time written as whole numbers with units, longest unit first: `250ms`, `10s`,
/// `1h30m`, `30d`. `0` alone needs no unit.
///
/// # Errors
/// What is wrong with it, worded to follow the offending text.
pub fn duration(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "must be a whole number and a unit: ms, s, m, h or d";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(WRONG.to_owned());
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(prefix(rest, |c| c.is_ascii_digit()));
        let (unit, tail) = tail.split_at(prefix(tail, |c| c.is_ascii_alphabetic()));
        let count: u64 = digits.parse().map_err(|_| WRONG.to_owned())?;
        // The iterator goes on from the last unit met: `5s1h` and `1s1s` are mistakes.
        let (_, length) = units
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| WRONG.to_owned())?;
        millis = count
            .checked_mul(*length)
            .and_then(|span| millis.checked_add(span))
            .ok_or("is too long")?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_unit_and_their_sums() {
        for (text, millis) in [
            ("0", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_could_be_misread() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "5s1h",
            "1s1s",
            "1S",
            "1s ",
            "999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = duration(&text);
        }
    }
}
