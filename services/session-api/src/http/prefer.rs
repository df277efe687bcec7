//! The `Prefer` field (RFC 7240): whether the caller waits for the fence.

use session_domain::usecase::end::Patience;

/// What is said to have been taken up, in `Preference-Applied`.
pub const RESPOND_ASYNC: &str = "respond-async";

/// How long a caller with this `Prefer` field waits. Preferences that aren't known mean nothing, as
/// the RFC demands, so nothing here can be wrong.
pub fn patience(prefer: Option<&str>) -> Patience {
    let names = prefer.into_iter().flat_map(|field| field.split(','));
    // A preference may carry a value and parameters, this one has none.
    let asynchronous = names
        .filter_map(|preference| preference.split([';', '=']).next())
        .any(|name| name.trim().eq_ignore_ascii_case(RESPOND_ASYNC));
    if asynchronous {
        Patience::UntilWritten
    } else {
        Patience::UntilRefused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_is_found_among_others_and_nothing_else_means_it() {
        for asynchronous in [
            "respond-async",
            "Respond-Async",
            "wait=10, respond-async",
            "respond-async; foo=bar, return=minimal",
        ] {
            assert_eq!(patience(Some(asynchronous)), Patience::UntilWritten);
        }
        for waiting in [
            None,
            Some(""),
            Some("wait=respond-async"),
            Some("respond-asynchronously"),
        ] {
            assert_eq!(patience(waiting), Patience::UntilRefused);
        }
    }
}
