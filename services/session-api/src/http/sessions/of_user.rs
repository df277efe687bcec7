//! `GET /sessions/user/{userId}` and `…/active`: any user's sessions, for services.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use session_domain::ids::UserId;
use session_domain::service_key::Scope;
use session_domain::session::ShownStatus;

use super::list::{PageRequest, SessionPage, page};
use super::tenant;
use crate::app::App;
use crate::http::caller::Service;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::StatusView;

pub(super) struct OfUser;

#[OpenApi]
impl OfUser {
    /// List a user's sessions, newest first
    ///
    /// Of every status, unless one is named. Needs a service key with the scope `sessions:read`.
    #[oai(
        path = "/api/v1/sessions/user/:user_id",
        method = "get",
        tag = "Tag::Sessions",
        operation_id = "listUserSessions"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is a part of the request")]
    async fn all(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// Whose.
        user_id: Path<String>,
        /// The tenant, where a service that isn't tied to one asks; `default` where nobody says.
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
        /// Only sessions shown so.
        status: Query<Option<StatusView>>,
        /// How many to a page; 20 where nobody says.
        #[oai(validator(minimum(value = "1"), maximum(value = "50")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        #[oai(validator(max_length = 128))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<SessionPage>, Problem> {
        let status = status.0.map(ShownStatus::from);
        list(&app, caller, &user_id, asked.0, status, limit.0, cursor.0).await
    }

    /// List a user's active sessions, newest first
    ///
    /// Needs a service key with the scope `sessions:read`.
    #[oai(
        path = "/api/v1/sessions/user/:user_id/active",
        method = "get",
        tag = "Tag::Sessions",
        operation_id = "listUserActiveSessions"
    )]
    async fn active(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// Whose.
        user_id: Path<String>,
        /// The tenant, where a service that isn't tied to one asks; `default` where nobody says.
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
        /// How many to a page; 20 where nobody says.
        #[oai(validator(minimum(value = "1"), maximum(value = "50")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        #[oai(validator(max_length = 128))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<SessionPage>, Problem> {
        let status = Some(ShownStatus::Active);
        list(&app, caller, &user_id, asked.0, status, limit.0, cursor.0).await
    }
}

async fn list(
    app: &App,
    caller: Service,
    user: &str,
    asked: Option<String>,
    status: Option<ShownStatus>,
    limit: Option<u32>,
    cursor: Option<String>,
) -> Result<Json<SessionPage>, Problem> {
    let caller = caller.caller(Scope::Read)?;
    let tenant = tenant(&caller, asked)?;
    let user: UserId = user
        .parse()
        .map_err(|error: session_domain::ids::InvalidId| {
            Problem::invalid("user_id", format!("must be {}", error.rule))
        })?;
    let request = PageRequest {
        tenant,
        user,
        status,
        limit,
        cursor,
    };
    page(app, request, None).await
}
