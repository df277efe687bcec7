//! `GET` and `DELETE /sessions/current`: the session the caller uses; log out.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use session_domain::usecase::end::{Patience, end};
use session_domain::usecase::find::find;

use crate::app::App;
use crate::http::caller::User;
use crate::http::cookie::expired_cookie;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::SessionView;

pub(super) struct Current;

#[derive(ApiResponse)]
enum LoggedOut {
    /// The session is over: no validator anywhere accepts it any more.
    #[oai(status = 204)]
    Done(
        /// The log entry that made it so.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
        /// Takes the cookie back, where the caller came with it.
        #[oai(header = "Set-Cookie")]
        Option<String>,
        /// What else the browser shall forget, where the caller came with a cookie.
        #[oai(header = "Clear-Site-Data")]
        Option<String>,
    ),
}

#[OpenApi]
impl Current {
    /// Show the session this request is made with
    #[oai(
        path = "/api/v1/sessions/current",
        method = "get",
        tag = "Tag::Sessions",
        operation_id = "getCurrentSession"
    )]
    async fn get(&self, app: Data<&Arc<App>>, caller: User) -> Result<Json<SessionView>, Problem> {
        let found = find(
            &app.find_ports(),
            &caller.caller(),
            &caller.tenant,
            caller.session,
        )
        .await?;
        let session = found.ok_or_else(|| Problem::unauthorized(true))?;
        Ok(Json(SessionView::new(session, Some(caller.session))))
    }

    /// Log out: end the session this request is made with
    #[oai(
        path = "/api/v1/sessions/current",
        method = "delete",
        tag = "Tag::Sessions",
        operation_id = "logout"
    )]
    async fn delete(&self, app: Data<&Arc<App>>, caller: User) -> Result<LoggedOut, Problem> {
        let ended = end(
            &app.end_ports(),
            &caller.caller(),
            &caller.tenant,
            caller.session,
            None,
            Patience::UntilRefused,
        )
        .await?;
        let cookie = caller.by_cookie.then(|| expired_cookie(&app.cookie));
        let clear = caller.by_cookie.then(|| r#""cache", "storage""#.to_owned());
        Ok(LoggedOut::Done(ended.seq.0, cookie, clear))
    }
}
