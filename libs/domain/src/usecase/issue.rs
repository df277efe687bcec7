//! The three credentials of a session, derived from it: whoever asks again gets the same ones.

use std::time::Duration;

use crate::ids::KeyId;
use crate::policy::SessionPolicy;
use crate::port::{PortError, RefreshTokens, TokenSigner};
use crate::secret::{Credential, Secret256};
use crate::session::Session;
use crate::time::Timestamp;
use crate::token::{Claims, TokenKind};

/// What a session's holder is handed.
#[derive(Debug, Clone, PartialEq)]
pub struct Issued {
    /// For `Authorization: Bearer`.
    pub access_token: Credential,
    /// For the next refresh, once.
    pub refresh_token: Credential,
    /// For the session cookie.
    pub session_token: Credential,
    /// How long the access token lives, from when it was issued.
    pub expires_in: Duration,
}

/// Issues the credentials of the session's current refresh generation.
///
/// # Errors
/// Where no signing key is active.
pub fn issue(
    signer: &dyn TokenSigner,
    refresh: &dyn RefreshTokens,
    policy: &SessionPolicy,
    session: &Session,
    seed: &Secret256,
) -> Result<Issued, PortError> {
    let key = signer
        .active_key()
        .ok_or_else(|| PortError::retry("no signing key is active", "key not announced yet"))?;
    let access = claims(TokenKind::Access, key.clone(), policy, session);
    let expires_in = access.expires_at.since(access.issued_at);
    Ok(Issued {
        access_token: signer.sign(&access)?,
        session_token: signer.sign(&claims(TokenKind::Session, key, policy, session))?,
        refresh_token: refresh.derive(session.id, session.refresh.generation, seed),
        expires_in,
    })
}

fn claims(kind: TokenKind, key: KeyId, policy: &SessionPolicy, session: &Session) -> Claims {
    let issued_at = whole_seconds(session.refresh.rotated_at);
    let expires_at = match kind {
        TokenKind::Access => issued_at
            .plus(policy.access_token_lifetime)
            .min(session.due_at()),
        TokenKind::Session => session.absolute_expires_at,
    };
    let audience = match (kind, session.authorization.audience.is_empty()) {
        (TokenKind::Access, false) => session.authorization.audience.clone(),
        (TokenKind::Access, true) | (TokenKind::Session, _) => vec![policy.issuer.clone()],
    };
    Claims {
        kind,
        key,
        issuer: policy.issuer.clone(),
        subject: session.user.clone(),
        audience,
        expires_at: whole_seconds(expires_at),
        issued_at,
        token_id: token_id(kind, session, expires_at),
        session: session.id,
        tenant: session.tenant.clone(),
        auth_time: whole_seconds(session.authentication.auth_time),
        acr: session.authentication.acr.clone(),
        amr: session.authentication.amr.clone(),
        scope: session.authorization.scope.clone(),
        client_id: session.authorization.client_id.clone(),
        serial: session.serial,
    }
}

/// RFC 7519 dates are seconds; rounding down never makes a token outlive its session.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(at.unix_seconds())
}

/// Unique per credential, and the same whenever that credential is issued again. One that is issued
/// again after the session was extended ends later, so it is another.
fn token_id(kind: TokenKind, session: &Session, expires_at: Timestamp) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("session-service 2026 jti");
    hasher.update(kind.typ().as_bytes());
    hasher.update(session.id.0.as_bytes());
    hasher.update(&session.serial.0.to_be_bytes());
    hasher.update(&session.refresh.generation.0.to_be_bytes());
    hasher.update(&expires_at.0.to_be_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;

    fn claims_of(kind: TokenKind, session: &Session) -> Claims {
        claims(
            kind,
            "k".parse().unwrap(),
            &SessionPolicy::new("https://s.example".into()),
            session,
        )
    }

    #[test]
    fn an_access_token_outlives_neither_the_session_nor_its_idle_allowance() {
        let mut session = sample::session();
        let ttl = Duration::from_secs(600);
        assert_eq!(
            claims_of(TokenKind::Access, &session).expires_at,
            sample::START.plus(ttl)
        );
        session.expires_at = sample::START.plus(Duration::from_secs(300));
        assert_eq!(
            claims_of(TokenKind::Access, &session).expires_at,
            session.expires_at
        );
        session.idle_timeout = Some(Duration::from_secs(60));
        assert_eq!(
            claims_of(TokenKind::Access, &session).expires_at,
            session.due_at()
        );
        assert_eq!(
            claims_of(TokenKind::Session, &session).expires_at,
            session.absolute_expires_at
        );
    }

    #[test]
    fn every_credential_has_its_own_id_and_keeps_it() {
        let first = sample::session();
        let second = first
            .clone()
            .rotate(sample::START, crate::event::Actor::System)
            .unwrap()
            .session;
        let ids = [
            claims_of(TokenKind::Access, &first).token_id,
            claims_of(TokenKind::Session, &first).token_id,
            claims_of(TokenKind::Access, &second).token_id,
        ];
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
        assert_eq!(claims_of(TokenKind::Access, &first).token_id, ids[0]);
    }

    #[test]
    fn the_audience_is_the_issuer_unless_named() {
        let mut session = sample::session();
        assert_eq!(
            claims_of(TokenKind::Access, &session).audience,
            ["https://s.example"]
        );
        session.authorization.audience = vec!["https://api.example".into()];
        assert_eq!(
            claims_of(TokenKind::Access, &session).audience,
            ["https://api.example"]
        );
        assert_eq!(
            claims_of(TokenKind::Session, &session).audience,
            ["https://s.example"]
        );
    }
}
