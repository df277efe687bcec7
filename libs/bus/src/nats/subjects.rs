//! Who is spoken to where. `docs/nats-permissions.md` says who may.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use session_domain::ids::TenantId;
use session_domain::port::BusRequest;

/// The servers that share requests.
pub(super) const QUEUE: &str = "authority";

/// What every subject of a deployment begins with: one or more words of `a-z A-Z 0-9 - _`, joined
/// by dots. Deployments that share a server differ in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectPrefix(Arc<str>);

impl Default for SubjectPrefix {
    /// The prefix `session`.
    fn default() -> Self {
        Self("session".into())
    }
}

impl fmt::Display for SubjectPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that can't begin subjects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be words of a-z, A-Z, 0-9, '-' and '_' joined by dots, at most 64 characters")]
pub struct InvalidPrefix;

impl FromStr for SubjectPrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let word = |word: &str| !word.is_empty() && word.chars().all(plain);
        if text.len() <= 64 && text.split('.').all(word) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPrefix)
        }
    }
}

impl SubjectPrefix {
    /// What the subjects begin with that a role's answers come to.
    pub(super) fn inbox_of(role: &'static str) -> Self {
        Self(format!("_INBOX_{role}").into())
    }

    /// Where the log is published.
    pub(super) fn log(&self) -> String {
        format!("{self}.log")
    }

    /// Where acknowledgements go.
    pub(super) fn ack(&self) -> String {
        format!("{self}.ack")
    }

    /// Where requests of one kind go.
    pub(super) fn request(&self, kind: &str) -> String {
        format!("{self}.req.{kind}")
    }

    /// Where requests of all kinds are served.
    pub(super) fn requests(&self) -> String {
        self.request("*")
    }

    /// Where domain events of one type go, of a tenant or of the deployment as a whole, which is
    /// written as no tenant can be called.
    pub(super) fn event(&self, tenant: Option<&TenantId>, kind: &str) -> String {
        let tenant = tenant.map_or("_", TenantId::as_str);
        format!("{self}.events.{tenant}.{kind}")
    }

    /// Where domain events of all kinds go.
    pub(super) fn events(&self) -> String {
        format!("{self}.events.>")
    }

    /// Nobody listens there: the server itself says so, and has then read all that was sent before.
    pub(super) fn sync(&self) -> String {
        format!("{self}.sync")
    }
}

/// The last word of the subject a request is sent to, so that permissions can tell them apart.
pub(super) const fn kind(request: &BusRequest) -> &'static str {
    match request {
        BusRequest::Grant(_) => "grant",
        BusRequest::Release { .. } => "release",
        BusRequest::Entries { .. } => "entries",
        BusRequest::Snapshot | BusRequest::SnapshotPart(_) => "snapshot",
        BusRequest::List(_) => "list",
        BusRequest::Check(_) => "check",
        BusRequest::Activity(_) => "activity",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_no_wildcards_and_no_empty_words() {
        for good in ["session", "acme.session-2", "A_b"] {
            assert_eq!(good.parse::<SubjectPrefix>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            "a.*",
            ">",
            "a b",
            "ä",
            &"a".repeat(65),
        ] {
            assert_eq!(bad.parse::<SubjectPrefix>(), Err(InvalidPrefix), "{bad}");
        }
    }

    #[test]
    fn subjects_are_where_the_permissions_document_says() {
        let prefix = SubjectPrefix::default();
        assert_eq!(prefix.log(), "session.log");
        assert_eq!(prefix.ack(), "session.ack");
        assert_eq!(prefix.requests(), "session.req.*");
        assert_eq!(
            prefix.request(kind(&BusRequest::List(3))),
            "session.req.list"
        );
        assert_eq!(prefix.sync(), "session.sync");
        let tenant = "acme-2".parse().unwrap();
        assert_eq!(
            prefix.event(Some(&tenant), "session.ended"),
            "session.events.acme-2.session.ended"
        );
        assert_eq!(
            prefix.event(None, "key.added"),
            "session.events._.key.added"
        );
        assert_eq!(prefix.events(), "session.events.>");
    }
}
