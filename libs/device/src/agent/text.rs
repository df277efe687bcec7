//! Looking at pieces of text without ever cutting a character in two.

/// How many characters of a version are kept; real ones have fewer.
pub(super) const VERSION_CHARS_MAX: usize = 24;

/// The first `max` characters.
pub(super) fn first_chars(text: &str, max: usize) -> &str {
    match text.char_indices().nth(max) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// The version written right after `token`, where the token appears: digits and dots.
pub(super) fn version_after<'a>(text: &'a str, token: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(token)?;
    version(rest)
}

/// The version a text begins with: digits and dots.
pub(super) fn version(text: &str) -> Option<&str> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let version = text[..end].trim_end_matches('.');
    let version = first_chars(version, VERSION_CHARS_MAX);
    (!version.is_empty()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_kept_whole() {
        assert_eq!(first_chars("aéb", 2), "aé");
        assert_eq!(first_chars("aé", 5), "aé");
    }

    #[test]
    fn versions_are_digits_and_dots() {
        assert_eq!(version_after("x Edg/131.0.2. y", "Edg/"), Some("131.0.2"));
        assert_eq!(version_after("x Edg/", "Edg/"), None);
        assert_eq!(version_after("x Edg/é", "Edg/"), None);
        assert_eq!(version_after("x", "Edg/"), None);
        assert_eq!(version(&"1".repeat(99)).map(str::len), Some(24));
    }
}
