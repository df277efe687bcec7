//! What validators make of the simulated tokens.

use session_domain::contract::sample::{self, START};
use session_domain::ids::{Serial, UserId};
use session_domain::port::TokenVerifier;
use session_domain::revocation::KeySet;
use session_domain::time::Timestamp;
use session_domain::token::{Claims, Refusal, TokenKind};
use session_domain::usecase::validate::Requirements;

use super::database::key_of;

/// Reads what tokens say, `tenant session serial`; the signature is whether the key is in service.
pub(super) struct Reader;

impl TokenVerifier for Reader {
    fn verify(&self, token: &str, kind: TokenKind, keys: &KeySet) -> Result<Claims, Refusal> {
        let mut parts = token.split(' ');
        let mut next = || parts.next().ok_or(Refusal::Malformed);
        let (tenant, session, serial) = (next()?, next()?, next()?);
        let number = |text: &str| text.parse::<u64>().map_err(|_| Refusal::Malformed);
        let serial = Serial(number(serial)?);
        let key = key_of(serial);
        keys.get(key.as_str()).ok_or(Refusal::UnknownKey)?;
        Ok(Claims {
            kind,
            key,
            issuer: String::new(),
            subject: "somebody".parse::<UserId>().map_err(|_| Refusal::Claims)?,
            audience: vec![AUDIENCE.into()],
            // Far away: clocks here are an hour wrong.
            expires_at: START.plus(std::time::Duration::from_secs(86_400)),
            issued_at: Timestamp(START.0 / 2),
            token_id: String::new(),
            session: sample::session_id(number(session)?.into()),
            tenant: tenant.parse().map_err(|_| Refusal::Claims)?,
            auth_time: START,
            acr: None,
            amr: Vec::new(),
            scope: None,
            client_id: None,
            serial,
        })
    }
}

const AUDIENCE: &str = "a";

/// What a token must be.
pub(super) fn requirements() -> Requirements {
    Requirements {
        audience: AUDIENCE.into(),
        reaper_lag_max: session_domain::usecase::validate::REAPER_LAG_MAX,
    }
}
