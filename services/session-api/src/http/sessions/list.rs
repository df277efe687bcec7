//! `GET /sessions`: a user's own sessions.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use session_domain::ids::{SessionId, TenantId, UserId};
use session_domain::port::{ListQuery, PagePosition};
use session_domain::session::ShownStatus;
use session_domain::usecase::list::{PAGE_DEFAULT, list};

use crate::app::App;
use crate::http::caller::User;
use crate::http::cursor::{self, List, Place};
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::{SessionView, StatusView};

pub(super) struct ListOwn;

/// One page of sessions.
#[derive(Object)]
pub(super) struct SessionPage {
    /// Newest first.
    sessions: Vec<SessionView>,
    /// Where the next page starts; absent on the last.
    next_cursor: Option<String>,
}

#[OpenApi]
impl ListOwn {
    /// List the caller's own sessions, newest first
    #[oai(
        path = "/api/v1/sessions",
        method = "get",
        tag = "Tag::Sessions",
        operation_id = "listSessions"
    )]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: User,
        /// Only sessions shown so; `active` where nobody says.
        status: Query<Option<StatusView>>,
        /// How many to a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "50")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        #[oai(validator(max_length = 128))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<SessionPage>, Problem> {
        let request = PageRequest {
            tenant: caller.tenant,
            user: caller.user,
            status: Some(status.0.unwrap_or(StatusView::Active).into()),
            limit: limit.0,
            cursor: cursor.0,
        };
        page(&app, request, Some(caller.session)).await
    }
}

/// Which page of whose sessions.
pub(super) struct PageRequest {
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) status: Option<ShownStatus>,
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

/// That page, for whoever calls with session `current`.
pub(super) async fn page(
    app: &App,
    request: PageRequest,
    current: Option<SessionId>,
) -> Result<Json<SessionPage>, Problem> {
    let (tenant, user) = (request.tenant, request.user);
    let place = cursor::decode(List::Sessions, request.cursor.as_deref(), &tenant, &user)?;
    let after = place.map(|place| PagePosition {
        created_at: place.at,
        id: SessionId(place.id),
    });
    let query = ListQuery {
        tenant: tenant.clone(),
        user: user.clone(),
        status: request.status,
        after,
        limit: request.limit.unwrap_or(PAGE_DEFAULT),
    };
    let page = list(app.ports.store.as_ref(), query).await?;
    let next_cursor = page.next.map(|next| {
        let place = Place {
            at: next.created_at,
            id: next.id.0,
        };
        cursor::encode(List::Sessions, place, &tenant, &user)
    });
    let sessions = page
        .sessions
        .into_iter()
        .map(|session| SessionView::new(session, current));
    Ok(Json(SessionPage {
        sessions: sessions.collect(),
        next_cursor,
    }))
}
