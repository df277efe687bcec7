//! `PUT /sessions/{id}`: change what is remembered of a session.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use session_domain::ids::Version;
use session_domain::service_key::Scope;
use session_domain::session::SessionUpdate;
use session_domain::time::Timestamp;
use session_domain::usecase::update::{UpdateError, update};
use time::OffsetDateTime;

use super::shown::{Shown, if_match};
use super::{session_id, tenant};
use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::Anybody;
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct Update;

/// What shall be different. What isn't named stays as it is.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct UpdateSession {
    /// What the user calls the device; `null` takes the name back.
    #[serde(default)]
    #[oai(validator(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"
    ))]
    device_name: MaybeUndefined<String>,
    /// A JSON object to remember instead of the one there is, of at most 4 KiB.
    metadata: Option<BTreeMap<String, serde_json::Value>>,
    /// When the session ends unless extended: in the future, at most at `absolute_expires_at`.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// The version this was made for; `If-Match` says the same.
    version: Option<u64>,
}

#[OpenApi]
impl Update {
    /// Change what is remembered of a session
    ///
    /// With `version` or `If-Match` it is changed only if nobody was faster: of those made for one
    /// version, one is carried out, and the others are answered 409 `version_conflict`. Without
    /// either it is changed whatever it is now. A service needs the scope `sessions:create`.
    #[oai(
        path = "/api/v1/sessions/:id",
        method = "put",
        tag = "Tag::Sessions",
        operation_id = "updateSession"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is a part of the request")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        caller: Anybody,
        /// The session's id.
        id: Path<String>,
        /// The tenant, where a service that isn't tied to one asks; `default` where nobody says.
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
        /// The `ETag` this was made for, or `*` for any.
        #[oai(name = "If-Match", validator(max_length = 64))]
        expected: Header<Option<String>>,
        body: Body<UpdateSession>,
    ) -> Result<Shown, Problem> {
        let caller = caller.caller(Scope::Create)?;
        let (id, tenant) = (session_id(&id)?, tenant(&caller, asked.0)?);
        let change = change(body.value, if_match(expected.0.as_deref())?)?;
        let session = update(&app.adjust_ports(), &caller, &tenant, id, change).await?;
        Ok(Shown::new(session, caller.session()))
    }
}

fn change(body: UpdateSession, expected: Option<Version>) -> Result<SessionUpdate, Problem> {
    let version = match (body.version.map(Version), expected) {
        (Some(said), Some(expected)) if said != expected => {
            return Err(Problem::invalid("version", "must be what If-Match says"));
        }
        (said, expected) => said.or(expected),
    };
    Ok(SessionUpdate {
        version,
        device_name: match body.device_name {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(name) => Some(Some(name)),
        },
        metadata: body.metadata.map(|map| map.into_iter().collect()),
        expires_at: body.expires_at.map(timestamp).transpose()?,
    })
}

fn timestamp(at: OffsetDateTime) -> Result<Timestamp, Problem> {
    let micros = i64::try_from(at.unix_timestamp_nanos() / 1_000);
    micros
        .map(Timestamp)
        .map_err(|_| Problem::invalid("expires_at", "must be within the years one can write"))
}

impl From<UpdateError> for Problem {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Unknown => Self::not_found(),
            UpdateError::Invalid { field, rule } => Self::invalid(field, format!("must be {rule}")),
            UpdateError::Over(_) => Self::session_ended(),
            UpdateError::Version(version) => Self::conflict(
                "version_conflict",
                format!(
                    "The session has changed since; its version is {} now.",
                    version.0
                ),
            ),
            UpdateError::Port(error) => error.into(),
        }
    }
}
