//! `GET /devices`: a user's own devices.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use session_domain::ids::DeviceId;
use session_domain::port::{DevicePosition, DeviceQuery};
use session_domain::usecase::list::PAGE_DEFAULT;
use session_domain::usecase::list_devices::list_devices;

use super::view::{KnownDeviceView, current};
use crate::app::App;
use crate::http::caller::User;
use crate::http::cursor::{self, List, Place};
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct ListDevices;

/// One page of devices.
#[derive(Object)]
#[oai(rename = "DevicePage")]
struct DevicePageView {
    /// The one first seen last comes first.
    devices: Vec<KnownDeviceView>,
    /// Where the next page starts; absent on the last.
    next_cursor: Option<String>,
}

#[OpenApi]
impl ListDevices {
    /// List the caller's own devices
    ///
    /// A device is told apart by the fingerprint the login system sent, or else by browser,
    /// operating system and kind.
    #[oai(
        path = "/api/v1/devices",
        method = "get",
        tag = "Tag::Devices",
        operation_id = "listDevices"
    )]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: User,
        /// How many to a page; 20 where nobody says.
        #[oai(validator(minimum(value = "1"), maximum(value = "50")))]
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        #[oai(validator(max_length = 128))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<DevicePageView>, Problem> {
        let (tenant, user) = (&caller.tenant, &caller.user);
        let place = cursor::decode(List::Devices, cursor.0.as_deref(), tenant, user)?;
        let query = DeviceQuery {
            tenant: tenant.clone(),
            user: user.clone(),
            after: place.map(|place| DevicePosition {
                first_seen_at: place.at,
                id: DeviceId(place.id),
            }),
            limit: limit.0.unwrap_or(PAGE_DEFAULT),
        };
        let page = list_devices(app.ports.store.as_ref(), query).await?;
        let next_cursor = page.next.map(|next| {
            let place = Place {
                at: next.first_seen_at,
                id: next.id.0,
            };
            cursor::encode(List::Devices, place, tenant, user)
        });
        let current = current(&app, &caller).await?;
        let devices = page.devices.into_iter();
        Ok(Json(DevicePageView {
            devices: devices
                .map(|device| KnownDeviceView::new(device, current))
                .collect(),
            next_cursor,
        }))
    }
}
