//! `GET` and `POST /admin/keys`, `POST /admin/keys/{kid}/retire`: the keys tokens are signed with.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use session_domain::ids::KeyId;
use session_domain::port::StoredSigningKey;
use session_domain::usecase::retire_key::{RetireKeyError, retire_key};
use session_domain::usecase::rotate_key::rotate_key;
use time::OffsetDateTime;

use crate::app::App;
use crate::http::caller::Service;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::date;

pub(super) struct SigningKeys;

/// What a signing key is for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum KeyState {
    /// Being made known; it signs once every validator has it.
    Next,
    /// It signs.
    Active,
    /// It signs no more; what it signed is good until its own end.
    Previous,
    /// What it signed is dead.
    Retired,
}

/// A signing key, without its private half.
#[derive(Debug, Object)]
#[oai(rename = "SigningKey")]
struct SigningKeyView {
    /// Its RFC 7638 thumbprint, the `kid` of the tokens it signed.
    kid: String,
    /// The one algorithm it is used with.
    alg: String,
    /// What it is for now.
    state: KeyState,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it was withdrawn.
    retired_at: Option<OffsetDateTime>,
}

/// Every signing key.
#[derive(Debug, Object)]
struct SigningKeyList {
    /// The oldest first.
    keys: Vec<SigningKeyView>,
}

/// A key was withdrawn.
#[derive(Debug, Object)]
struct RetiredKey {
    /// Which.
    kid: String,
    /// The key made to follow it, where it was the one that signs.
    successor: Option<String>,
}

#[derive(ApiResponse)]
enum Rotated {
    /// The new key signs, and every validator knows it.
    #[oai(status = 201)]
    Done(Json<SigningKeyView>),
}

#[derive(ApiResponse)]
enum Retired {
    /// No validator anywhere accepts what it signed in a request that begins after this answer.
    #[oai(status = 200)]
    Done(
        Json<RetiredKey>,
        /// The log entry that made it so.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
    ),
}

#[OpenApi]
impl SigningKeys {
    /// List the signing keys
    #[oai(
        path = "/api/v1/admin/keys",
        method = "get",
        tag = "Tag::Admin",
        operation_id = "listSigningKeys"
    )]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
    ) -> Result<Json<SigningKeyList>, Problem> {
        caller.of_deployment()?;
        let keys = views(&app).await?;
        Ok(Json(SigningKeyList { keys }))
    }

    /// Change the signing key
    ///
    /// A new key is made, made known to every validator, and only then signs. Those before stay
    /// good for what they signed, until they are retired.
    #[oai(
        path = "/api/v1/admin/keys",
        method = "post",
        tag = "Tag::Admin",
        operation_id = "rotateSigningKey"
    )]
    async fn rotate(&self, app: Data<&Arc<App>>, caller: Service) -> Result<Rotated, Problem> {
        let caller = caller.of_deployment()?;
        let kid = rotate_key(&app.key_ports(), caller.actor()).await?;
        let mut keys = views(&app).await?.into_iter();
        let made = keys.rfind(|key| key.kid == kid.as_str());
        made.map(|key| Rotated::Done(Json(key)))
            .ok_or_else(Problem::internal)
    }

    /// Withdraw a signing key
    ///
    /// Every token it signed is dead once this is answered: access tokens and cookies alike;
    /// refresh tokens, which no key signs, bring their holders new ones. Where it is the key that
    /// signs, another is made first. Withdrawing it again is a success.
    #[oai(
        path = "/api/v1/admin/keys/:kid/retire",
        method = "post",
        tag = "Tag::Admin",
        operation_id = "retireSigningKey"
    )]
    async fn retire(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// Which.
        kid: Path<String>,
    ) -> Result<Retired, Problem> {
        let caller = caller.of_deployment()?;
        // What can't be a key's name is no key.
        let kid: KeyId = kid.parse().map_err(|_| Problem::not_found())?;
        let done = retire_key(&app.key_ports(), caller.actor(), kid.clone()).await?;
        let retired = RetiredKey {
            kid: kid.into(),
            successor: done.successor.map(String::from),
        };
        Ok(Retired::Done(Json(retired), done.seq.0))
    }
}

async fn views(app: &App) -> Result<Vec<SigningKeyView>, Problem> {
    let keys = app.ports.store.signing_keys().await?;
    let active = app.ports.signer.active_key();
    let active = keys.iter().find(|key| active.as_ref() == Some(key.kid()));
    let since = active.map(|key| key.created_at);
    let state = |key: &StoredSigningKey| match since {
        _ if key.retired_at.is_some() => KeyState::Retired,
        Some(since) if key.created_at == since => KeyState::Active,
        Some(since) if key.created_at < since => KeyState::Previous,
        Some(_) | None => KeyState::Next,
    };
    Ok(keys
        .iter()
        .map(|key| SigningKeyView {
            kid: key.kid().as_str().to_owned(),
            alg: key.public.alg.clone(),
            state: state(key),
            created_at: date(key.created_at),
            retired_at: key.retired_at.map(date),
        })
        .collect())
}

impl From<RetireKeyError> for Problem {
    fn from(error: RetireKeyError) -> Self {
        match error {
            RetireKeyError::Unknown => Self::not_found(),
            RetireKeyError::Port(error) => error.into(),
        }
    }
}
