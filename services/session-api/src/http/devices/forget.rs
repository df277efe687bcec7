//! `DELETE /devices/{id}`: forget a device, and end the sessions on it. Answered when no validator
//! accepts any of them.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use session_domain::usecase::forget_device::forget_device;

use super::device_id;
use super::view::current;
use crate::app::App;
use crate::http::caller::User;
use crate::http::cookie::expired_cookie;
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct Forget;

#[derive(ApiResponse)]
enum Forgotten {
    /// It is forgotten, and no validator anywhere accepts a session on it in a request that begins
    /// after this answer.
    #[oai(status = 204)]
    Done(
        /// The log entry that made it so.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
        /// Takes the cookie back, where the caller's own session ended and came with it.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

#[OpenApi]
impl Forget {
    /// Forget a device, and end the sessions on it
    ///
    /// The caller's own session too, where it is on it. The next sign-in makes the device known
    /// again.
    #[oai(
        path = "/api/v1/devices/:id",
        method = "delete",
        tag = "Tag::Devices",
        operation_id = "forgetDevice"
    )]
    async fn forget(
        &self,
        app: Data<&Arc<App>>,
        caller: User,
        /// The device's id.
        id: Path<String>,
    ) -> Result<Forgotten, Problem> {
        let id = device_id(&id)?;
        let own = current(&app, &caller).await? == Some(id);
        let owner = (caller.tenant.clone(), caller.user.clone());
        let actor = caller.caller().actor();
        let done = forget_device(&app.end_ports(), actor, owner, id).await?;
        let cookie = (own && caller.by_cookie).then(|| expired_cookie(&app.cookie));
        Ok(Forgotten::Done(done.seq.0, cookie))
    }
}
