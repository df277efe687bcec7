//! Who calls. Each operation names the callers it takes by the extractor it uses; the API document
//! says the same.

use std::sync::Arc;

use poem::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use poem::http::{HeaderMap, Method};
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use session_domain::ids::{SessionId, TenantId, UserId};
use session_domain::port::ServiceKey;
use session_domain::service_key::{KeyHash, PREFIX, Scope};
use session_domain::token::{Claims, Refusal, TokenKind};
use session_domain::usecase::caller::Caller;
use session_domain::usecase::validate::{Verdict, validate};

use super::client::strike;
use super::problem::Problem;
use crate::app::{App, CHECK_WITHIN};

const ACCESS_TOKEN: &str = "accessToken";
const SESSION_COOKIE: &str = "sessionCookie";
const SERVICE_KEY: &str = "serviceKey";

/// A user, by their access token or the session cookie.
#[derive(Debug, Clone)]
pub struct User {
    /// Their tenant.
    pub tenant: TenantId,
    /// Who.
    #[allow(clippy::struct_field_names, reason = "the user's id is the user's id")]
    pub user: UserId,
    /// The session they called with.
    pub session: SessionId,
    /// Whether they came with the cookie.
    pub by_cookie: bool,
}

impl User {
    /// This user as the use cases know callers.
    pub fn caller(&self) -> Caller {
        Caller::User {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            session: self.session,
        }
    }
}

/// A service, by its key.
#[derive(Debug, Clone)]
pub struct Service(pub ServiceKey);

impl Service {
    /// This service as the use cases know callers, if it may do what `scope` stands for.
    pub fn caller(self, scope: Scope) -> Result<Caller, Problem> {
        if self.0.scopes.allow(scope) {
            Ok(Caller::Service(self.0))
        } else {
            let detail = format!(
                "This needs a service key with the scope {}.",
                scope.as_str()
            );
            Err(Problem::forbidden("insufficient_scope", detail))
        }
    }
}

impl Service {
    /// This service as the use cases know callers, if it administers the deployment: it has the
    /// scope, and isn't tied to one tenant.
    pub fn of_deployment(self) -> Result<Caller, Problem> {
        let caller = self.caller(Scope::Admin)?;
        if caller.is_of_deployment() {
            Ok(caller)
        } else {
            let detail = "This is for keys that are not tied to a tenant.";
            Err(Problem::forbidden("tenant_bound", detail))
        }
    }
}

/// Either.
#[derive(Debug, Clone)]
pub enum Anybody {
    /// A user.
    User(User),
    /// A service.
    Service(Service),
}

impl Anybody {
    /// This caller as the use cases know callers. A service needs `scope`; a user reaches their
    /// own sessions whatever it is.
    pub fn caller(self, scope: Scope) -> Result<Caller, Problem> {
        match self {
            Self::User(user) => Ok(user.caller()),
            Self::Service(service) => service.caller(scope),
        }
    }
}

/// Finds out who calls.
async fn identify(app: &App, request: &Request) -> Result<Anybody, Problem> {
    let bearer = bearer(request.headers())?;
    let cookie = cookie(request.headers(), &app.cookie)?;
    match (bearer, cookie) {
        (Some(_), Some(_)) => Err(Problem::several_credentials()),
        (None, None) => Err(Problem::unauthorized(false)),
        (Some(key), None) if key.starts_with(PREFIX) => {
            let found = app.ports.store.service_key(&KeyHash::of(key)).await?;
            match found {
                Some(key) => Ok(Anybody::Service(Service(key))),
                None => Err(strike(app, request, Problem::unauthorized(true)).await),
            }
        }
        (Some(token), None) => judge(app, request, token, TokenKind::Access)
            .await
            .map(|claims| user(in_use(app, claims), false)),
        (None, Some(token)) => {
            check_origin(app, request)?;
            judge(app, request, token, TokenKind::Session)
                .await
                .map(|claims| user(in_use(app, claims), true))
        }
    }
}

/// Whoever calls with a session uses it, here as at a gateway. Refreshing in the background calls
/// with none, and is no use.
fn in_use(app: &App, claims: Claims) -> Claims {
    let now = || app.ports.clock.wall();
    app.activity.note(&claims.tenant, claims.session, now);
    claims
}

fn user(claims: Claims, by_cookie: bool) -> Anybody {
    Anybody::User(User {
        tenant: claims.tenant,
        user: claims.subject,
        session: claims.session,
        by_cookie,
    })
}

async fn judge(
    app: &App,
    request: &Request,
    token: &str,
    kind: TokenKind,
) -> Result<Claims, Problem> {
    let bus = app.ports.bus.as_ref();
    match validate(
        &app.memory(),
        bus,
        CHECK_WITHIN,
        token,
        kind,
        &app.requirements,
    )
    .await
    {
        Verdict::Accept(claims) => Ok(claims),
        // What was good once is no sign of somebody guessing.
        Verdict::Deny(Refusal::Expired | Refusal::Ended) => Err(Problem::unauthorized(true)),
        Verdict::Deny(_) => Err(strike(app, request, Problem::unauthorized(true)).await),
        Verdict::Unavailable => Err(Problem::unavailable()),
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::several_credentials());
    }
    let value = value.to_str().map_err(|_| Problem::unauthorized(true))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token))
    } else {
        Err(Problem::unauthorized(false))
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut found = None;
    for value in headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        for (key, token) in value.split(';').filter_map(|pair| pair.split_once('=')) {
            if key.trim() == name && found.replace(token.trim()).is_some() {
                return Err(Problem::several_credentials());
            }
        }
    }
    Ok(found)
}

/// A page of another origin must not act with the user's cookie (OWASP: CSRF, verifying origin).
fn check_origin(app: &App, request: &Request) -> Result<(), Problem> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return Ok(());
    }
    let mut origins = request.headers().get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if app.origins.iter().any(|allowed| origin == allowed.as_str()) => {
            Ok(())
        }
        (None, _) => Err(Problem::forbidden(
            "missing_origin",
            "A request with the cookie needs an Origin.",
        )),
        _ => Err(Problem::forbidden(
            "foreign_origin",
            "This origin may not act with the session cookie.",
        )),
    }
}

fn app(request: &Request) -> Result<&Arc<App>, Problem> {
    request.data::<Arc<App>>().ok_or_else(Problem::internal)
}

fn describe(registry: &mut Registry, schemes: &[&'static str]) {
    for &scheme in schemes {
        let mut meta = MetaSecurityScheme {
            ty: "http",
            description: None,
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        match scheme {
            ACCESS_TOKEN => {
                meta.bearer_format = Some("JWT");
                meta.description = Some("A user's access token.");
            }
            SERVICE_KEY => meta.description = Some("A service key, `ssk_…`."),
            _ => {
                let description = "The session cookie; unsafe methods check Origin.";
                meta = MetaSecurityScheme {
                    ty: "apiKey",
                    key_in: Some("cookie"),
                    name: Some("__Host-session"),
                    scheme: None,
                    description: Some(description),
                    ..meta
                };
            }
        }
        registry.create_security_scheme(scheme, meta);
    }
}

macro_rules! caller_extractor {
    ($($caller:ty: $schemes:expr, $found:pat => $value:expr;)*) => {$(
        impl<'a> ApiExtractor<'a> for $caller {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                describe(registry, &$schemes);
            }

            fn security_schemes() -> Vec<&'static str> {
                $schemes.to_vec()
            }

            async fn from_request(
                request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> Result<Self> {
                #[allow(unreachable_patterns, reason = "one of the callers takes everybody")]
                match identify(app(request)?, request).await? {
                    $found => Ok($value),
                    _ => Err(Problem::forbidden("wrong_caller", "This is not for this kind of credential.").into()),
                }
            }
        }
    )*};
}
caller_extractor! {
    User: [ACCESS_TOKEN, SESSION_COOKIE], Anybody::User(user) => user;
    Service: [SERVICE_KEY], Anybody::Service(service) => service;
    Anybody: [ACCESS_TOKEN, SESSION_COOKIE, SERVICE_KEY], anybody => anybody;
}
