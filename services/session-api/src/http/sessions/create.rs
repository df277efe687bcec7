//! `POST /sessions`: start a session at login.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::web::Data;
use poem_openapi::param::Header;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;
use session_domain::service_key::Scope;
use session_domain::session::Authorization;
use session_domain::time::Timestamp;
use session_domain::usecase::caller::Caller;
use session_domain::usecase::start::{StartError, StartRequest, start};

use super::credentials::Credentials;
use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::Service;
use crate::http::problem::{FieldError, Problem};
use crate::http::tags::Tag;
use crate::http::view::SessionView;

pub(super) struct Create;

/// What the login system says about the login.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct CreateSession {
    /// Who signed in: 1 to 128 printable characters, unique within the tenant.
    #[oai(validator(min_length = 1, max_length = 128))]
    user_id: String,
    /// Whose customer; `default` where nobody says.
    #[oai(validator(min_length = 1, max_length = 63))]
    tenant: Option<String>,
    /// The address they signed in from, IPv4 or IPv6.
    #[oai(validator(max_length = 64))]
    ip_address: String,
    /// The user agent they signed in with; may be empty.
    #[oai(validator(max_length = 4096))]
    user_agent: Option<String>,
    /// What you recognise the device by. Only a keyed hash of it is kept.
    #[oai(validator(max_length = 1024))]
    device_fingerprint: Option<String>,
    /// What the user calls the device.
    #[oai(validator(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"
    ))]
    device_name: Option<String>,
    /// The authentication context class reached (RFC 9470).
    #[oai(validator(max_length = 128, pattern = "^[!-~]+$"))]
    acr: Option<String>,
    /// The authentication methods used (RFC 8176).
    #[oai(validator(max_items = 16, max_length = 64, pattern = "^[ -~]+$"))]
    amr: Option<Vec<String>>,
    /// When they authenticated, in seconds since 1970; now where nobody says.
    #[oai(validator(minimum(value = "0")))]
    auth_time: Option<i64>,
    /// A JSON object to remember with the session, of at most 4 KiB.
    metadata: Option<BTreeMap<String, serde_json::Value>>,
    /// How long the session shall last unless extended.
    #[oai(validator(minimum(value = "1"), maximum(value = "2592000")))]
    expires_in_seconds: Option<u32>,
    /// What access tokens are good for: space-separated scopes (RFC 6749 §3.3).
    #[oai(validator(max_length = 1000, pattern = r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$"))]
    scope: Option<String>,
    /// Who may accept the access tokens; the issuer where nobody says.
    #[oai(validator(max_items = 8, max_length = 256, pattern = "^[!-~]+$"))]
    audience: Option<Vec<String>>,
    /// The OAuth client, where there is one.
    #[oai(validator(max_length = 256, pattern = "^[!-~]+$"))]
    client_id: Option<String>,
}

#[derive(ApiResponse)]
enum Created {
    /// The session is started.
    #[oai(status = 201)]
    Created(
        Json<Credentials>,
        /// Where the session can be looked at.
        #[oai(header = "Location")]
        String,
    ),
}

#[OpenApi]
impl Create {
    /// Start a session at login
    ///
    /// Called by the login system once the user has been authenticated. With an `Idempotency-Key`,
    /// a repeated request is answered with the same session and credentials.
    #[oai(
        path = "/api/v1/sessions",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "createSession"
    )]
    async fn create(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// Recognises a repeated request: 1 to 255 printable characters of your choice.
        #[oai(
            name = "Idempotency-Key",
            validator(min_length = 1, max_length = 255, pattern = "^[ -~]+$")
        )]
        idempotency_key: Header<Option<String>>,
        body: Body<CreateSession>,
    ) -> Result<Created, Problem> {
        let caller = caller.caller(Scope::Create)?;
        let idempotency = idempotency_key.0.map(|key| (key, body.digest));
        let request = request(&caller, body.value, idempotency)?;
        let started = start(&app.start_ports(), &app.policy, &caller, request).await?;
        let location = format!("/api/v1/sessions/{}", started.session.id);
        let view = SessionView::new(started.session, None);
        Ok(Created::Created(
            Json(Credentials::new(view, &started.issued)),
            location,
        ))
    }
}

fn request(
    caller: &Caller,
    body: CreateSession,
    idempotency: Option<(String, [u8; 32])>,
) -> Result<StartRequest, Problem> {
    let tenant = super::tenant(caller, body.tenant)?;
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| {
        errors.push(FieldError {
            field: field.into(),
            message,
        });
    };
    let user = body.user_id.parse();
    if let Err(error) = &user {
        wrong(
            "user_id",
            format!(
                "must be {}",
                session_domain::ids::InvalidId::clone(error).rule
            ),
        );
    }
    let ip = body.ip_address.parse::<IpAddr>();
    if ip.is_err() {
        wrong("ip_address", "must be an IPv4 or IPv6 address".into());
    }
    match (user, ip) {
        (Ok(user), Ok(ip)) if errors.is_empty() => Ok(StartRequest {
            tenant,
            user,
            ip,
            user_agent: body.user_agent.unwrap_or_default(),
            device_fingerprint: body.device_fingerprint,
            device_name: body.device_name,
            auth_time: body.auth_time.map(Timestamp::from_unix_seconds),
            acr: body.acr,
            amr: body.amr.unwrap_or_default(),
            authorization: Authorization {
                audience: body.audience.unwrap_or_default(),
                scope: body.scope,
                client_id: body.client_id,
            },
            metadata: body.metadata.unwrap_or_default().into_iter().collect(),
            lifetime: body
                .expires_in_seconds
                .map(|seconds| Duration::from_secs(seconds.into())),
            idempotency,
        }),
        _ => Err(Problem::invalid_all(errors)),
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Invalid { field, rule } => Self::invalid(field, format!("must be {rule}")),
            StartError::KeyReused => Self::idempotency_key_reused(),
            StartError::Gone => Self::conflict(
                "session_ended",
                "The session this request started before has ended since.",
            ),
            StartError::LimitReached => {
                Self::conflict("session_limit", "The user has as many sessions as allowed.")
            }
            StartError::Port(error) => error.into(),
        }
    }
}
