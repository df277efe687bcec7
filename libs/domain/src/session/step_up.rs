//! New credentials for a session whose user has proven more.

use crate::event::{Actor, Fact};
use crate::ids::Serial;
use crate::session::{Authentication, Moved, Over, RefreshState, Session};
use crate::time::Timestamp;

impl Session {
    /// Goes on under `serial`, for a user who has just proven who they are by `authentication`.
    /// The credentials it had belong to its serial until now, and end with it.
    ///
    /// The refresh generation moves on, so that no two refresh tokens of a session ever share it.
    ///
    /// # Errors
    /// It is over.
    pub fn step_up(
        self,
        authentication: Authentication,
        serial: Serial,
        at: Timestamp,
        actor: Actor,
    ) -> Result<Moved, Over> {
        self.alive_at(at)?;
        let acr = authentication.acr.clone();
        let event = self.event(at, actor, Fact::SessionSteppedUp { acr });
        let refresh = RefreshState {
            generation: self.refresh.generation.next(),
            rotated_at: at,
        };
        let session = Self {
            serial,
            authentication,
            refresh,
            version: self.version.next(),
            ..self
        };
        Ok(Moved { session, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;
    use crate::ids::Generation;
    use crate::session::EndReason;

    #[test]
    fn a_step_up_changes_credentials_and_nothing_about_when_the_session_ends() {
        let before = sample::session();
        let at = sample::START.plus(std::time::Duration::from_secs(60));
        let authentication = Authentication {
            auth_time: at,
            acr: Some("aal2".into()),
            amr: vec!["pwd".into(), "otp".into()],
        };
        let after = before
            .clone()
            .step_up(authentication.clone(), Serial(7), at, Actor::System)
            .unwrap()
            .session;
        assert_eq!(
            (after.serial, &after.authentication),
            (Serial(7), &authentication)
        );
        assert_eq!(after.refresh.generation, Generation(1));
        assert_eq!(after.refresh.rotated_at, at);
        assert_eq!(after.due_at(), before.due_at());
        assert_eq!(after.last_seen_at, before.last_seen_at);
        let late = before.expires_at;
        assert_eq!(
            before.step_up(authentication, Serial(8), late, Actor::System),
            Err(Over::Overdue(EndReason::Expired))
        );
    }
}
