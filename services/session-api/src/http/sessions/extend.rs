//! `POST /sessions/{id}/extend`: let a session last longer.

use std::sync::Arc;
use std::time::Duration;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use session_domain::service_key::Scope;
use session_domain::usecase::extend::{
    EXTENSION_DEFAULT, EXTENSION_MAX, EXTENSION_MIN, ExtendError, extend,
};

use super::{session_id, tenant};
use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::Anybody;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::SessionView;

pub(super) struct Extend;

/// By how much.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct ExtendSession {
    /// By how many seconds; 3600 where nobody says.
    #[oai(validator(minimum(value = "300"), maximum(value = "86400")))]
    additional_seconds: Option<u32>,
}

#[OpenApi]
impl Extend {
    /// Let a session last longer
    ///
    /// Moves `expires_at` later, at most to `absolute_expires_at`; the answer shows to when. A
    /// service needs the scope `sessions:create`: who may start a session may prolong it.
    ///
    /// 409 `absolute_end_reached` where it lasts until its absolute end already, `session_ended`
    /// where it is over.
    #[oai(
        path = "/api/v1/sessions/:id/extend",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "extendSession"
    )]
    async fn extend(
        &self,
        app: Data<&Arc<App>>,
        caller: Anybody,
        /// The session's id.
        id: Path<String>,
        /// The tenant, where a service that isn't tied to one asks; `default` where nobody says.
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
        body: Body<ExtendSession>,
    ) -> Result<Json<SessionView>, Problem> {
        let caller = caller.caller(Scope::Create)?;
        let (id, tenant) = (session_id(&id)?, tenant(&caller, asked.0)?);
        let by = body.value.additional_seconds;
        let by = by.map_or(EXTENSION_DEFAULT, |seconds| {
            Duration::from_secs(seconds.into())
        });
        // The API document says so already; it can't name the domain's bounds.
        debug_assert!((EXTENSION_MIN..=EXTENSION_MAX).contains(&by));
        let session = extend(&app.adjust_ports(), &caller, &tenant, id, by).await?;
        Ok(Json(SessionView::new(session, caller.session())))
    }
}

impl From<ExtendError> for Problem {
    fn from(error: ExtendError) -> Self {
        match error {
            ExtendError::Unknown => Self::not_found(),
            ExtendError::Over(_) => Self::session_ended(),
            ExtendError::AtAbsoluteEnd => Self::conflict(
                "absolute_end_reached",
                "The session lasts until its absolute end already.",
            ),
            ExtendError::Port(error) => error.into(),
        }
    }
}
