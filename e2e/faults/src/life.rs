//! A session as those see it who use it: what was asked about it, and what was answered.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::HeaderValue;

use crate::http::Lost;
use crate::moment::Moment;

/// What a validator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The session is good.
    Accepted,
    /// It isn't.
    Refused,
    /// It can't be known, or there was no answer.
    Nothing,
}

/// A validator's answer.
#[derive(Debug, Clone, Copy)]
struct Answer {
    validator: u8,
    /// Before the request's first byte was sent.
    begun: Moment,
    /// After the answer's last byte was read.
    ended: Moment,
    said: Said,
}

/// One call to end it.
#[derive(Debug, Clone, Copy)]
struct Call {
    api: u8,
    begun: Moment,
    ended: Option<Moment>,
    answered: Result<u16, Lost>,
}

#[derive(Debug, Default)]
struct History {
    answers: Vec<Answer>,
    calls: Vec<Call>,
    /// When the first 204 had been read.
    over: Option<Moment>,
}

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// Accepted in a request that began after the 204 had been read.
    AcceptedAfterEnd,
    /// Accepted by a validator in a request that began after the same validator's refusal had been
    /// read.
    ///
    /// By the same one: before the 204, validators hear of an end one after the other, and the
    /// protocol promises no order among them. A single one never takes a refusal back: bits only
    /// ever go from live to ended.
    AcceptedAfterRefusal,
    /// Refused before anybody had asked for its end.
    RefusedWhileAlive,
}

/// The session cookie's name where the issuer is this machine.
const COOKIE: &str = "session";

/// What a login is answered with.
#[derive(Debug)]
pub struct Tokens<'a> {
    /// The access token.
    pub access: &'a str,
    /// The session token.
    pub session: &'a str,
    /// The refresh token.
    pub refresh_token: String,
}

/// A session.
#[derive(Debug)]
pub struct Life {
    /// Its id.
    pub id: String,
    /// Its access token, as a header's value.
    pub bearer: HeaderValue,
    /// Its session token, as a cookie.
    pub cookie: HeaderValue,
    /// Its refresh token.
    pub refresh_token: String,
    history: Mutex<History>,
}

impl Life {
    /// One that has just begun.
    pub fn new(id: String, tokens: Tokens<'_>) -> Self {
        let header = |text: String| HeaderValue::try_from(text).expect("tokens are header values");
        let Tokens {
            access,
            session,
            refresh_token,
        } = tokens;
        Self {
            id,
            bearer: header(format!("Bearer {access}")),
            cookie: header(format!("{COOKIE}={session}")),
            refresh_token,
            history: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A validator was asked at `begun`, and has just answered.
    pub fn answered(&self, validator: usize, begun: Moment, said: Said) {
        let ended = Moment::now();
        let validator = u8::try_from(validator).unwrap_or(u8::MAX);
        self.lock().answers.push(Answer {
            validator,
            begun,
            ended,
            said,
        });
    }

    /// Its end is about to be asked for. Gives the call's number.
    pub fn call(&self, api: usize) -> usize {
        let mut history = self.lock();
        history.calls.push(Call {
            api: u8::try_from(api).unwrap_or(u8::MAX),
            begun: Moment::now(),
            ended: None,
            answered: Err(Lost::Late),
        });
        history.calls.len() - 1
    }

    /// A call has just been answered, or hasn't.
    pub fn returned(&self, call: usize, answered: Result<u16, Lost>) {
        let now = Moment::now();
        let mut history = self.lock();
        let call = &mut history.calls[call];
        (call.ended, call.answered) = (Some(now), answered);
        if answered == Ok(204) {
            history.over.get_or_insert(now);
        }
    }

    /// From the first call to end it up to the first 204, if that has been read.
    pub fn ending(&self) -> Option<(Moment, Option<Moment>)> {
        let history = self.lock();
        Some((history.calls.first()?.begun, history.over))
    }

    /// How long ending it took.
    pub fn took(&self) -> Option<Duration> {
        let (begun, over) = self.ending()?;
        Some(over?.since(begun))
    }

    /// How long before `moment` a call to that API had begun that was under way then, and whose
    /// answer was lost; and how long after it that was noticed.
    pub fn lost_at(&self, api: usize, moment: Moment) -> Option<(Duration, Duration)> {
        let history = self.lock();
        let mut calls = history.calls.iter();
        let lost = calls.find(|call| {
            usize::from(call.api) == api
                && call.begun < moment
                && call.ended.is_none_or(|ended| ended > moment)
                && call.answered == Err(Lost::Cut)
        });
        let noticed = |call: &Call| {
            call.ended
                .map_or(Duration::MAX, |ended| ended.since(moment))
        };
        lost.map(|call| (moment.since(call.begun), noticed(call)))
    }

    /// How often it was asked about.
    pub fn validations(&self) -> usize {
        self.lock().answers.len()
    }

    /// What must not be and is, each kind once.
    pub fn judge(&self) -> Vec<Violation> {
        let history = self.lock();
        let mut found: Vec<_> = history
            .answers
            .iter()
            .filter_map(|answer| history.judge(answer))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// All that happened, for people.
    pub fn story(&self) -> String {
        let history = self.lock();
        let Some(first) = history.answers.iter().map(|answer| answer.begun).min() else {
            return String::new();
        };
        let zero = history.calls.first().map_or(first, |call| call.begun);
        let mut lines: Vec<(Moment, String)> = Vec::new();
        for call in &history.calls {
            let ended = call.ended.map_or(f64::NAN, |ended| ended.millis_from(zero));
            let text = format!("…{ended:10.3}  api {}: {:?}", call.api, call.answered);
            lines.push((call.begun, text));
        }
        for answer in &history.answers {
            let ended = answer.ended.millis_from(zero);
            let wrong = history.judge(answer);
            let wrong = wrong.map_or(String::new(), |wrong| format!("  <<< {wrong:?}"));
            let said = format!("validator {}: {:?}{wrong}", answer.validator, answer.said);
            lines.push((answer.begun, format!("…{ended:10.3}  {said}")));
        }
        lines.sort_by_key(|(begun, _)| *begun);
        let mut story = format!("session {}, in milliseconds:\n", self.id);
        for (begun, line) in lines {
            // Writing to a string doesn't fail.
            let _ = writeln!(story, "  {:10.3}{line}", begun.millis_from(zero));
        }
        story
    }
}

impl History {
    fn judge(&self, answer: &Answer) -> Option<Violation> {
        let asked_for = self.calls.first().map(|call| call.begun);
        match answer.said {
            Said::Refused if asked_for.is_none_or(|asked| answer.ended < asked) => {
                Some(Violation::RefusedWhileAlive)
            }
            Said::Refused | Said::Nothing => None,
            Said::Accepted if self.over.is_some_and(|over| answer.begun > over) => {
                Some(Violation::AcceptedAfterEnd)
            }
            Said::Accepted => {
                let mut refusals = self.answers.iter().filter(|one| one.said == Said::Refused);
                refusals
                    .any(|one| one.validator == answer.validator && one.ended < answer.begun)
                    .then_some(Violation::AcceptedAfterRefusal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life() -> Life {
        let tokens = Tokens {
            access: "a",
            session: "s",
            refresh_token: "r".into(),
        };
        Life::new("s".into(), tokens)
    }

    #[test]
    fn what_began_before_the_end_may_be_accepted_and_what_began_after_may_not() {
        let life = life();
        let early = Moment::now();
        let call = life.call(0);
        life.returned(call, Ok(204));
        life.answered(0, early, Said::Accepted);
        assert_eq!(life.judge(), []);
        life.answered(0, Moment::now(), Said::Nothing);
        life.answered(0, Moment::now(), Said::Refused);
        assert_eq!(life.judge(), []);
        life.answered(1, Moment::now(), Said::Accepted);
        assert_eq!(life.judge(), [Violation::AcceptedAfterEnd]);
    }

    #[test]
    fn a_call_that_failed_ends_nothing() {
        let life = life();
        for answered in [Err(Lost::Cut), Ok(503), Ok(202)] {
            let call = life.call(0);
            life.returned(call, answered);
        }
        life.answered(0, Moment::now(), Said::Accepted);
        assert_eq!(life.judge(), []);
        assert_eq!(life.took(), None);
    }

    #[test]
    fn a_validator_does_not_take_its_refusal_back() {
        let life = life();
        let early = Moment::now();
        life.call(0);
        life.answered(0, Moment::now(), Said::Refused);
        life.answered(1, Moment::now(), Said::Accepted);
        life.answered(0, early, Said::Accepted);
        assert_eq!(life.judge(), [], "another validator, and a request before");
        life.answered(0, Moment::now(), Said::Accepted);
        assert_eq!(life.judge(), [Violation::AcceptedAfterRefusal]);
        assert!(life.story().contains("<<< AcceptedAfterRefusal"));
    }

    #[test]
    fn nobody_is_refused_whose_end_nobody_asked_for() {
        let life = life();
        life.answered(0, Moment::now(), Said::Refused);
        assert_eq!(life.judge(), [Violation::RefusedWhileAlive]);
    }
}
