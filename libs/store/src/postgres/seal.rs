//! The last words of a transaction: one text of several statements, so that they are one call.
//! Such a text can't have parameters, so its values are spelled out: numbers, identifiers, names of
//! our own, and JSON in quotes.

use std::fmt::Write as _;

use session_domain::port::PortError;
use session_domain::session::{Ending, Status};

use crate::closing::{Closing, Ended, Superseded, UNNUMBERED};
use crate::entity::signed;
use crate::rows::{shown_name, to_json};

/// Everything a closing writes, and the commit.
pub(super) fn words(closing: &Closing) -> Result<String, PortError> {
    let mut words = String::new();
    let entries = closing.entries();
    if !entries.is_empty() {
        let mut rows = Vec::with_capacity(entries.len());
        for (nth, entry) in entries.iter().enumerate() {
            rows.push(format!(
                "({}::bigint, {})",
                nth + 1,
                quoted(&to_json(entry)?)
            ));
        }
        log(&mut words, rows.len(), &rows.join(", "));
        if !closing.ended().is_empty() {
            ended(&mut words, closing.ended());
        }
        if !closing.superseded().is_empty() {
            superseded(&mut words, closing.superseded())?;
        }
        let whole = match closing.ended().len() {
            0 => "1".to_owned(),
            // The rows are locked and were active. Were it otherwise, nothing may be committed, and
            // a division by zero is an error without a function of our own in the schema.
            count => format!("1 / ((SELECT count(*) FROM ended) = {count})::int"),
        };
        words.push_str(" SELECT epoch, before, ");
        words.push_str(&whole);
        words.push_str(" AS whole FROM head; ");
    }
    if let Some(heard) = closing.heard() {
        let (from, through) = (heard.from.0, heard.through.0);
        words.push_str("UPDATE leases SET activity_through = ");
        let _ = write!(
            words,
            "{through} WHERE instance = '{from}' AND activity_through < {through}; "
        );
    }
    words.push_str("COMMIT");
    Ok(words)
}

/// Takes the numbers, and with them the lock that orders commits; writes the entries.
fn log(words: &mut String, count: usize, rows: &str) {
    let _ = write!(
        words,
        "WITH head AS (UPDATE revocation_head SET seq = seq + {count} WHERE id = 1 \
         RETURNING epoch, seq - {count} AS before), \
         entries AS (INSERT INTO revocation_log (seq, entry) \
         SELECT head.before + nth, entry FROM head, (VALUES {rows}) AS new (nth, entry))"
    );
}

/// As [`crate::sessions::store_ending`].
fn ended(words: &mut String, ended: &[Ended]) {
    let row = |one: &Ended| {
        let (id, at, reason) = (one.id.0, one.at.0, one.reason);
        let ending = Ending {
            at: one.at,
            reason,
            seq: UNNUMBERED,
        };
        let shown = shown_name(Status::Ended(ending).shown());
        let (reason, nth) = (reason.as_str(), one.place.entry() + 1);
        format!("('{id}'::uuid, '{shown}', {at}::bigint, '{reason}', {nth}::bigint)")
    };
    let rows: Vec<String> = ended.iter().map(row).collect();
    let _ = write!(
        words,
        ", ended AS (UPDATE sessions SET status = new.status, ended_at = new.at, \
         end_reason = new.reason, ended_seq = head.before + new.nth, version = version + 1 \
         FROM head, (VALUES {}) AS new (id, status, at, reason, nth) \
         WHERE sessions.id = new.id AND sessions.ended_seq IS NULL RETURNING 1)",
        rows.join(", ")
    );
}

/// As [`crate::serials::insert_superseded`].
fn superseded(words: &mut String, left: &[Superseded]) -> Result<(), PortError> {
    let mut rows = Vec::with_capacity(left.len());
    for one in left {
        let (serial, session) = (signed(one.serial.0)?, one.session.0);
        let (purge_after, nth) = (one.purge_after.0, one.place.entry() + 1);
        rows.push(format!(
            "({serial}::bigint, '{session}'::uuid, {nth}::bigint, {purge_after}::bigint)"
        ));
    }
    let _ = write!(
        words,
        ", superseded AS (INSERT INTO superseded_serials \
         (serial, session_id, ended_seq, purge_after) \
         SELECT serial, session, head.before + nth, purge_after \
         FROM head, (VALUES {}) AS new (serial, session, nth, purge_after))",
        rows.join(", ")
    );
    Ok(())
}

/// A text as a literal: `standard_conforming_strings` is on, so quotes are all that needs care.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Effects;
    use session_domain::contract::sample;
    use session_domain::event::Actor;
    use session_domain::session::EndReason;

    #[test]
    fn nothing_to_write_is_a_commit() {
        assert_eq!(words(&Closing::default()).unwrap(), "COMMIT");
    }

    #[test]
    fn a_quote_does_not_end_a_text() {
        assert_eq!(quoted("it's '; DROP"), "'it''s ''; DROP'");
    }

    #[test]
    fn the_head_comes_before_all_that_is_numbered_and_the_commit_last() {
        let mut effects = Effects::default();
        let (reason, actor) = (EndReason::Logout, Actor::System);
        effects
            .end(sample::session(), reason, sample::START, &actor, None)
            .unwrap();
        let words = words(&effects.closing).unwrap();
        assert!(words.starts_with("WITH head AS (UPDATE revocation_head"));
        assert!(words.contains("ended_seq = head.before + new.nth"));
        assert!(words.ends_with("FROM head; COMMIT"));
    }
}
