//! The stream that keeps domain events for other systems.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use session_domain::port::PortError;

use super::subjects::SubjectPrefix;

/// How long the server knows an event's id again: longer than another process takes to go on in
/// the place of one that died.
const REMEMBERED: Duration = Duration::from_mins(5);

/// The least that does.
const REMEMBERED_MIN: Duration = Duration::from_mins(2);

/// A stream's name: `A-Z a-z 0-9 - _`, at most 64 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamName(String);

/// A text that can't name a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of a-z, A-Z, 0-9, '-' and '_'")]
pub struct InvalidStreamName;

impl FromStr for StreamName {
    type Err = InvalidStreamName;

    fn from_str(text: &str) -> Result<Self, InvalidStreamName> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidStreamName)
        }
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StreamName {
    /// The name where nobody gives another: `SESSION_EVENTS` for the prefix `session`.
    pub fn of(prefix: &SubjectPrefix) -> Self {
        let prefix = prefix.to_string().replace('.', "_");
        // A prefix is as long as a name may be.
        let prefix: String = prefix.chars().take(57).collect();
        Self(format!("{}_EVENTS", prefix.to_ascii_uppercase()))
    }
}

/// The stream, and what it is made like where it is missing. One that is there stays as it is: its
/// limits are the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStream {
    /// Its name.
    pub name: StreamName,
    /// How long it keeps an event.
    pub max_age: Duration,
    /// How many bytes it keeps; the oldest events go first.
    pub max_bytes: u64,
    /// On how many servers it keeps each event.
    pub replicas: usize,
}

impl EventStream {
    pub(super) fn name(&self) -> &str {
        &self.name.0
    }

    /// Returns once there is a stream for what comes to `subjects`.
    pub(super) async fn ready(&self, context: &Context, subjects: String) -> Result<(), PortError> {
        const WHAT: &str = "prepare the stream for events";
        match context.get_stream(self.name()).await {
            Ok(found) => return self.judge(&found.cached_info().config, &subjects),
            Err(error) if is_absent(&error.kind()) => {}
            Err(error) => return Err(PortError::retry(WHAT, error)),
        }
        let config = self.config(subjects);
        match context.create_stream(config).await {
            Ok(_) => {
                tracing::info!(stream = %self.name, "made the stream for events");
                Ok(())
            }
            // Somebody else was quicker, with other settings; theirs hold.
            Err(error) if is_taken(&error.kind()) => Ok(()),
            Err(error) => Err(PortError::retry(WHAT, error)),
        }
    }

    fn config(&self, subjects: String) -> Config {
        Config {
            name: self.name.0.clone(),
            description: Some("What happened to sessions, as CloudEvents".to_owned()),
            subjects: vec![subjects],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            max_age: self.max_age,
            max_bytes: i64::try_from(self.max_bytes).unwrap_or(i64::MAX),
            duplicate_window: REMEMBERED.min(self.max_age),
            num_replicas: self.replicas,
            ..Config::default()
        }
    }

    /// Refuses a stream of that name that isn't for our events; says what else is wrong with it.
    fn judge(&self, found: &Config, subjects: &str) -> Result<(), PortError> {
        if !found.subjects.iter().any(|filter| covers(filter, subjects)) {
            let why = format!("{} is there, but not for {subjects}", self.name);
            return Err(PortError::retry("the stream for events can't be used", why));
        }
        if found.duplicate_window < REMEMBERED_MIN {
            tracing::warn!(
                stream = %self.name,
                window = ?found.duplicate_window,
                "the stream for events forgets ids soon; duplicates may have to be told by those who listen",
            );
        }
        Ok(())
    }
}

fn is_absent(kind: &GetStreamErrorKind) -> bool {
    match kind {
        GetStreamErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        GetStreamErrorKind::EmptyName
        | GetStreamErrorKind::Request
        | GetStreamErrorKind::InvalidStreamName => false,
    }
}

fn is_taken(kind: &CreateStreamErrorKind) -> bool {
    match kind {
        CreateStreamErrorKind::JetStream(error) => {
            error.error_code() == ErrorCode::STREAM_NAME_EXIST
        }
        CreateStreamErrorKind::EmptyStreamName
        | CreateStreamErrorKind::InvalidStreamName
        | CreateStreamErrorKind::DomainAndExternalSet
        | CreateStreamErrorKind::JetStreamUnavailable
        | CreateStreamErrorKind::TimedOut
        | CreateStreamErrorKind::Response
        | CreateStreamErrorKind::NotFound
        | CreateStreamErrorKind::ResponseParse => false,
    }
}

/// Whether everything that comes to the subjects `wanted` comes to `filter`, too.
fn covers(filter: &str, wanted: &str) -> bool {
    let (mut filter, mut wanted) = (filter.split('.'), wanted.split('.'));
    loop {
        match (filter.next(), wanted.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(word)) if word != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_for_its_deployment() {
        let name = |prefix: &str| StreamName::of(&prefix.parse().unwrap()).to_string();
        assert_eq!(name("session"), "SESSION_EVENTS");
        assert_eq!(name("acme.session-2"), "ACME_SESSION-2_EVENTS");
        let long = name(&"a".repeat(64));
        assert_eq!(long.parse::<StreamName>().unwrap().to_string(), long);
        for bad in ["", "a.b", "a b", "*", ">", &"a".repeat(65)] {
            assert_eq!(bad.parse::<StreamName>(), Err(InvalidStreamName), "{bad}");
        }
    }

    #[test]
    fn filters_cover_what_they_let_through() {
        for filter in ["session.events.>", "session.>", ">", "*.events.>", "*.*.>"] {
            assert!(covers(filter, "session.events.>"), "{filter}");
        }
        for filter in [
            "session.events.acme.>",
            "session.events.*",
            "session.events",
            "*.*.*",
            "other.>",
        ] {
            assert!(!covers(filter, "session.events.>"), "{filter}");
        }
    }
}
