//! `POST /sessions/cleanup`: end everything that is overdue, now.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use session_domain::usecase::cleanup::cleanup;

use crate::app::App;
use crate::http::caller::Service;
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct Cleanup;

/// What was overdue.
#[derive(Debug, Object)]
struct CleanedUp {
    /// How many sessions were ended by this.
    expired: u64,
    /// In how many transactions.
    batches: u64,
}

#[OpenApi]
impl Cleanup {
    /// End everything that is overdue, now
    ///
    /// The reaper does so by itself; this is for whoever doesn't want to wait for it. Answered once
    /// no validator accepts any of them any more. Of all tenants, so it needs a service key with
    /// the scope `sessions:admin` that isn't tied to one.
    #[oai(
        path = "/api/v1/sessions/cleanup",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "cleanupSessions"
    )]
    async fn cleanup(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
    ) -> Result<Json<CleanedUp>, Problem> {
        caller.of_deployment()?;
        let done = cleanup(&app.cleanup_ports()).await?;
        Ok(Json(CleanedUp {
            expired: done.expired,
            batches: done.batches,
        }))
    }
}
