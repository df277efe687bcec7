//! `PUT /devices/{id}`: rename a device, or say whether it is to be trusted.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use session_domain::known_device::DeviceUpdate;
use session_domain::usecase::change_device::change_device;

use super::device_id;
use super::view::{KnownDeviceView, current};
use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::User;
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct Change;

/// What shall be different. What isn't named stays as it is.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct ChangeDevice {
    /// What to call it; `null` takes the name back.
    #[serde(default)]
    #[oai(validator(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"
    ))]
    name: MaybeUndefined<String>,
    /// Whether it is theirs.
    trusted: Option<bool>,
}

#[OpenApi]
impl Change {
    /// Rename a device, or say whether it is to be trusted
    ///
    /// A session that has a name of its own (`device_name`) keeps it.
    #[oai(
        path = "/api/v1/devices/:id",
        method = "put",
        tag = "Tag::Devices",
        operation_id = "changeDevice"
    )]
    async fn change(
        &self,
        app: Data<&Arc<App>>,
        caller: User,
        /// The device's id.
        id: Path<String>,
        body: Body<ChangeDevice>,
    ) -> Result<Json<KnownDeviceView>, Problem> {
        let id = device_id(&id)?;
        let update = DeviceUpdate {
            name: match body.value.name {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(name) => Some(Some(name)),
            },
            trusted: body.value.trusted,
        };
        if update == DeviceUpdate::default() {
            return Err(Problem::invalid(".", "must name something to change"));
        }
        let (store, clock) = (app.ports.store.as_ref(), app.ports.clock.as_ref());
        let owner = (caller.tenant.clone(), caller.user.clone());
        let actor = caller.caller().actor();
        let changed = change_device(store, clock, actor, owner, id, update).await?;
        let device = changed.ok_or_else(Problem::not_found)?;
        let current = current(&app, &caller).await?;
        Ok(Json(KnownDeviceView::new(device, current)))
    }
}
