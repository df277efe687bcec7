//! `GET` and `POST /admin/service-keys`, `DELETE /admin/service-keys/{id}`: the credentials of
//! services.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;
use session_domain::ids::{ServiceKeyId, TenantId};
use session_domain::port::ServiceKey;
use session_domain::service_key::{Scope, Scopes};
use session_domain::usecase::issue_service_key::{NewService, issue_service_key};
use session_domain::usecase::revoke_service_key::{RevokeServiceKeyError, revoke_service_key};
use time::OffsetDateTime;

use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::Service;
use crate::http::problem::Problem;
use crate::http::tags::Tag;
use crate::http::view::date;

pub(super) struct ServiceKeys;

/// A service key, without the key itself.
#[derive(Debug, Object)]
#[oai(rename = "ServiceKey")]
struct ServiceKeyView {
    /// The public handle.
    id: String,
    /// What people call it.
    name: String,
    /// The only tenant it may act for; absent for any.
    tenant: Option<String>,
    /// What it may do.
    scopes: Vec<String>,
    /// When it was made.
    created_at: OffsetDateTime,
    /// Whether it is the one this request was made with.
    is_current: bool,
}

impl ServiceKeyView {
    fn new(key: ServiceKey, current: Option<ServiceKeyId>) -> Self {
        let scopes = key.scopes.0.iter();
        Self {
            id: key.id.to_string(),
            scopes: scopes.map(|scope| scope.as_str().to_owned()).collect(),
            name: key.name,
            tenant: key.tenant.map(String::from),
            created_at: date(key.created_at),
            is_current: current == Some(key.id),
        }
    }
}

/// Every service key that isn't withdrawn.
#[derive(Debug, Object)]
struct ServiceKeyList {
    /// The oldest first.
    service_keys: Vec<ServiceKeyView>,
}

/// A service that shall have a key.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct CreateServiceKey {
    /// What to call it.
    #[oai(validator(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"
    ))]
    name: String,
    /// The only tenant it may act for; any where nobody says.
    #[oai(validator(min_length = 1, max_length = 63))]
    tenant: Option<String>,
    /// What it may do: `sessions:create`, `sessions:read`, `sessions:revoke`, `sessions:admin`,
    /// `audit:read`, `introspect`. At least one.
    #[oai(validator(min_items = 1, max_items = 16, max_length = 64))]
    scopes: Vec<String>,
}

/// A service key, this once with the key itself.
#[derive(Object)]
struct CreatedServiceKey {
    /// What is kept of it.
    service_key: ServiceKeyView,
    /// The key. Not kept anywhere: it can't be shown again.
    key: String,
}

#[derive(ApiResponse)]
enum Created {
    /// The key is good from now on.
    #[oai(status = 201)]
    Done(Json<CreatedServiceKey>),
}

#[derive(ApiResponse)]
enum Revoked {
    /// No request that begins after this answer is carried out for it.
    #[oai(status = 204)]
    Done,
}

#[OpenApi]
impl ServiceKeys {
    /// List the service keys
    #[oai(
        path = "/api/v1/admin/service-keys",
        method = "get",
        tag = "Tag::Admin",
        operation_id = "listServiceKeys"
    )]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
    ) -> Result<Json<ServiceKeyList>, Problem> {
        let current = Some(caller.0.id);
        caller.of_deployment()?;
        let keys = app.ports.store.service_keys().await?;
        let keys = keys
            .into_iter()
            .map(|key| ServiceKeyView::new(key, current));
        Ok(Json(ServiceKeyList {
            service_keys: keys.collect(),
        }))
    }

    /// Hand a service a key of its own
    #[oai(
        path = "/api/v1/admin/service-keys",
        method = "post",
        tag = "Tag::Admin",
        operation_id = "createServiceKey"
    )]
    async fn create(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        body: Body<CreateServiceKey>,
    ) -> Result<Created, Problem> {
        let caller = caller.of_deployment()?;
        let service = service(body.value)?;
        let ports = &app.ports;
        let (key, credential) = issue_service_key(
            ports.store.as_ref(),
            ports.clock.as_ref(),
            ports.entropy.as_ref(),
            caller.actor(),
            service,
        )
        .await?;
        Ok(Created::Done(Json(CreatedServiceKey {
            service_key: ServiceKeyView::new(key, None),
            key: credential.expose().to_owned(),
        })))
    }

    /// Withdraw a service key
    ///
    /// Any but the one this is asked with (409 `own_key`). Withdrawing it again is a success.
    #[oai(
        path = "/api/v1/admin/service-keys/:id",
        method = "delete",
        tag = "Tag::Admin",
        operation_id = "revokeServiceKey"
    )]
    async fn revoke(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// Which.
        id: Path<String>,
    ) -> Result<Revoked, Problem> {
        let caller = caller.of_deployment()?;
        let id = id.parse::<ServiceKeyId>();
        let id = id.map_err(|_| {
            Problem::invalid(
                "id",
                "must be a service key's id, a hyphenated lower-case UUID",
            )
        })?;
        let (store, clock) = (app.ports.store.as_ref(), app.ports.clock.as_ref());
        revoke_service_key(store, clock, &caller, id).await?;
        Ok(Revoked::Done)
    }
}

fn service(body: CreateServiceKey) -> Result<NewService, Problem> {
    let tenant = body.tenant.map(|text| text.parse::<TenantId>()).transpose();
    let mut scopes: Vec<Scope> = Vec::new();
    for name in &body.scopes {
        let scope = Scope::from_name(name)
            .ok_or_else(|| Problem::invalid("scopes", "each must be the name of a scope"))?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(NewService {
        name: body.name,
        tenant: tenant
            .map_err(|error| Problem::invalid("tenant", format!("must be {}", error.rule)))?,
        scopes: Scopes(scopes),
    })
}

impl From<RevokeServiceKeyError> for Problem {
    fn from(error: RevokeServiceKeyError) -> Self {
        match error {
            RevokeServiceKeyError::Unknown => Self::not_found(),
            RevokeServiceKeyError::Own => Self::conflict(
                "own_key",
                "A service key can't withdraw itself; ask with another.",
            ),
            RevokeServiceKeyError::Port(error) => error.into(),
        }
    }
}
