//! `GET /sessions/{id}`: show a session.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use session_domain::service_key::Scope;
use session_domain::usecase::find::find;

use super::shown::Shown;
use super::{session_id, tenant};
use crate::app::App;
use crate::http::caller::Anybody;
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct Get;

#[OpenApi]
impl Get {
    /// Show a session
    #[oai(
        path = "/api/v1/sessions/:id",
        method = "get",
        tag = "Tag::Sessions",
        operation_id = "getSession"
    )]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: Anybody,
        /// The session's id.
        id: Path<String>,
        /// The tenant, where a service that isn't tied to one asks; `default` where nobody says.
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
    ) -> Result<Shown, Problem> {
        let caller = caller.caller(Scope::Read)?;
        let (id, tenant) = (session_id(&id)?, tenant(&caller, asked.0)?);
        let found = find(&app.find_ports(), &caller, &tenant, id).await?;
        let session = found.ok_or_else(Problem::not_found)?;
        Ok(Shown::new(session, caller.session()))
    }
}
