//! `POST /admin/revocations`, `GET /admin/revocations/{id}`: end every session that a filter means.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Deserialize;
use session_domain::bulk::{Filter, Revocation};
use session_domain::device::DeviceKind;
use session_domain::ids::RevocationId;
use session_domain::service_key::Scope;
use session_domain::time::Timestamp;
use session_domain::usecase::end::Patience;
use session_domain::usecase::end_matching::{
    EndMatchingError, Meant, Progress, admit, end_matching, find_revocation,
};
use session_domain::usecase::preview_matching::{Preview, preview_matching};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::App;
use crate::http::body::Body;
use crate::http::caller::Service;
use crate::http::prefer::{RESPOND_ASYNC, patience};
use crate::http::problem::{FieldError, Problem};
use crate::http::tags::Tag;
use crate::http::view::{SessionView, date};

pub(super) struct Revocations;

/// How long an answer is waited for before it is 202.
const WITHIN: Duration = Duration::from_secs(5);

/// How many sessions a dry run shows.
const SAMPLE: usize = 10;

/// Which sessions to end: those for which all that is said holds. At least one condition, or
/// `everything`.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
struct CreateRevocation {
    /// Of this tenant. Alone, it is one entry of the log and in force at once, however many
    /// sessions there are. A key that is tied to a tenant means its own, said or not.
    #[oai(validator(min_length = 1, max_length = 63))]
    tenant: Option<String>,
    /// Of this user: of the tenant `default`, where no other is named.
    #[oai(validator(min_length = 1, max_length = 128))]
    user_id: Option<String>,
    /// Started from an address in this network: `192.0.2.0/24`, `2001:db8::/32`, or one address.
    /// Those whose address isn't kept any more are not meant.
    #[oai(validator(min_length = 1, max_length = 64))]
    ip_cidr: Option<String>,
    /// Started from this country (ISO 3166-1 alpha-2): `SE`.
    #[oai(validator(pattern = "^[A-Z]{2}$"))]
    country: Option<String>,
    /// On this kind of device: `desktop`, `mobile`, `tablet`, `desktop_app`, `bot`, `http_client` or
    /// `unknown`.
    #[oai(validator(min_length = 1, max_length = 16))]
    device_kind: Option<String>,
    /// Authenticated by this method among others (RFC 8176): `pwd`.
    #[oai(validator(min_length = 1, max_length = 64, pattern = "^[ -~]+$"))]
    auth_method: Option<String>,
    /// Started before this moment (RFC 3339).
    #[oai(validator(max_length = 64))]
    created_before: Option<String>,
    /// Every session of every tenant, with no conditions. One entry of the log, in force at once.
    everything: Option<bool>,
    /// In the caller's words, for the audit trail. No personal data, please: it is kept.
    #[oai(validator(max_length = 256))]
    reason: Option<String>,
    /// Ends nothing, and says what would end.
    dry_run: Option<bool>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum RevocationState {
    /// Nothing ends: this says what would.
    DryRun,
    /// The sessions end one after the other.
    Running,
    /// No session is accepted any more, and every list says so. That each row says it, too, takes
    /// until it is finished.
    InForce,
    /// No session is accepted any more.
    Finished,
}

/// The ending of many sessions.
#[derive(Debug, Object)]
#[oai(rename = "Revocation")]
struct RevocationView {
    /// Its handle; none of a dry run.
    id: Option<String>,
    /// How far it has come.
    state: RevocationState,
    /// How many sessions are meant, where that is known.
    matching: Option<u64>,
    /// Whether counting them was given up after a while, so that there are more.
    matching_at_least: bool,
    /// How many have been ended one by one so far.
    ended: u64,
    /// When it began.
    created_at: Option<OffsetDateTime>,
    /// When nothing was left to do.
    finished_at: Option<OffsetDateTime>,
    /// What the caller said about it.
    reason: Option<String>,
    /// The tenant that is meant; all where there is none.
    tenant: Option<String>,
    /// The user that is meant.
    user_id: Option<String>,
    /// The network that is meant.
    ip_cidr: Option<String>,
    /// The country that is meant.
    country: Option<String>,
    /// The kind of device that is meant.
    device_kind: Option<String>,
    /// The method that is meant.
    auth_method: Option<String>,
    /// The moment before which they started.
    created_before: Option<OffsetDateTime>,
    /// Of a dry run, some of the sessions.
    sample: Option<Vec<SessionView>>,
}

#[derive(ApiResponse)]
enum Begun {
    /// No validator anywhere accepts any of these sessions in a request that begins after this
    /// answer. Or, of a dry run, what would end.
    #[oai(status = 200)]
    Done(
        Json<RevocationView>,
        /// The log entry that made it so.
        #[oai(header = "Session-Revocation-Seq")]
        Option<u64>,
    ),
    /// It goes on, whatever becomes of the process that began it.
    #[oai(status = 202)]
    Accepted(
        Json<RevocationView>,
        /// Where to see how far it has come.
        #[oai(header = "Location")]
        String,
        /// When it is worth looking, in seconds.
        #[oai(header = "Retry-After")]
        u32,
        /// `respond-async`, where that was preferred.
        #[oai(header = "Preference-Applied")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
enum Shown {
    /// How far it has come.
    #[oai(status = 200)]
    Done(
        Json<RevocationView>,
        /// The log entry that made it so, once it is.
        #[oai(header = "Session-Revocation-Seq")]
        Option<u64>,
    ),
}

#[OpenApi]
impl Revocations {
    /// End every session that a filter means
    ///
    /// Of those that there are when this is asked; what starts later is spared. A whole tenant and
    /// everything end at once; anything else a batch at a time, and if that takes longer than a few
    /// seconds, this answers 202 and it goes on by itself. Needs a service key with the scope
    /// `sessions:admin`; one that is tied to a tenant ends sessions of that tenant only.
    #[oai(
        path = "/api/v1/admin/revocations",
        method = "post",
        tag = "Tag::Admin",
        operation_id = "createRevocation"
    )]
    async fn create(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// `respond-async`: don't wait, neither for the sessions nor for validators (RFC 7240).
        #[oai(name = "Prefer")]
        prefer: Header<Option<String>>,
        body: Body<CreateRevocation>,
    ) -> Result<Begun, Problem> {
        let caller = caller.caller(Scope::Admin)?;
        let body = body.value;
        let filter = admit(&caller, meant(&body)?)?;
        if body.dry_run.unwrap_or(false) {
            let (store, clock) = (app.ports.store.as_ref(), app.ports.clock.as_ref());
            let preview = preview_matching(store, clock, filter.clone(), SAMPLE, WITHIN).await?;
            let view = RevocationView::of_preview(filter, preview, body.reason);
            return Ok(Begun::Done(Json(view), None));
        }
        let patience = patience(prefer.as_deref());
        let ports = app.end_matching_ports();
        match end_matching(&ports, &caller, filter, body.reason, patience, WITHIN).await? {
            Progress::Done(revocation) => {
                let seq = Some(revocation.seq.0);
                Ok(Begun::Done(Json(RevocationView::new(revocation)), seq))
            }
            Progress::GoesOn(revocation) => {
                let place = format!("/api/v1/admin/revocations/{}", revocation.id);
                let applied =
                    (patience == Patience::UntilWritten).then(|| RESPOND_ASYNC.to_owned());
                let view = Json(RevocationView::new(revocation));
                Ok(Begun::Accepted(view, place, 1, applied))
            }
        }
    }

    /// How far the ending of many sessions has come
    ///
    /// Whoever is told here that it is in force or finished can rely on it: like every answer that
    /// says that sessions are over, this one waits for every validator.
    #[oai(
        path = "/api/v1/admin/revocations/:id",
        method = "get",
        tag = "Tag::Admin",
        operation_id = "getRevocation"
    )]
    async fn show(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// Which.
        id: Path<String>,
    ) -> Result<Shown, Problem> {
        let caller = caller.caller(Scope::Admin)?;
        let id = id.parse::<RevocationId>();
        let id = id.map_err(|error| Problem::invalid("id", format!("must be {}", error.rule)))?;
        let (store, fence) = (app.ports.store.as_ref(), app.fence.as_ref());
        let found = find_revocation(store, fence, &caller, id).await?;
        let revocation = found.ok_or_else(Problem::not_found)?;
        let seq = revocation.is_in_force().then_some(revocation.seq.0);
        Ok(Shown::Done(Json(RevocationView::new(revocation)), seq))
    }
}

impl RevocationView {
    fn new(revocation: Revocation) -> Self {
        let state = match (revocation.finished_at, revocation.is_in_force()) {
            (Some(_), _) => RevocationState::Finished,
            (None, true) => RevocationState::InForce,
            (None, false) => RevocationState::Running,
        };
        Self {
            id: Some(revocation.id.to_string()),
            matching: revocation.expected,
            ended: revocation.ended,
            created_at: Some(date(revocation.created_at)),
            finished_at: revocation.finished_at.map(date),
            reason: revocation.note,
            ..Self::of(revocation.filter, state)
        }
    }

    fn of_preview(filter: Filter, preview: Preview, reason: Option<String>) -> Self {
        let sample = preview.sample.into_iter();
        Self {
            matching: Some(preview.count),
            matching_at_least: !preview.is_complete,
            reason,
            sample: Some(sample.map(|one| SessionView::new(one, None)).collect()),
            ..Self::of(filter, RevocationState::DryRun)
        }
    }

    fn of(filter: Filter, state: RevocationState) -> Self {
        Self {
            id: None,
            state,
            matching: None,
            matching_at_least: false,
            ended: 0,
            created_at: None,
            finished_at: None,
            reason: None,
            tenant: filter.tenant.map(String::from),
            user_id: filter.user.map(String::from),
            ip_cidr: filter.network.map(|network| network.to_string()),
            country: filter.country,
            device_kind: filter.kind.map(|kind| kind.as_str().to_owned()),
            auth_method: filter.method,
            created_before: filter.created_before.map(date),
            sample: None,
        }
    }
}

/// What the body says, with every rule it breaks.
fn meant(body: &CreateRevocation) -> Result<Meant, Problem> {
    let mut wrong = Vec::new();
    let filter = Filter {
        tenant: read(&mut wrong, "tenant", body.tenant.as_deref(), |text| {
            let rule = |error: session_domain::ids::InvalidId| error.rule;
            text.parse().map_err(rule)
        }),
        user: read(&mut wrong, "user_id", body.user_id.as_deref(), |text| {
            let rule = |error: session_domain::ids::InvalidId| error.rule;
            text.parse().map_err(rule)
        }),
        network: read(&mut wrong, "ip_cidr", body.ip_cidr.as_deref(), network),
        country: body.country.clone(),
        kind: read(
            &mut wrong,
            "device_kind",
            body.device_kind.as_deref(),
            |text| DeviceKind::from_name(text).ok_or("one of the kinds of devices"),
        ),
        method: body.auth_method.clone(),
        created_before: read(
            &mut wrong,
            "created_before",
            body.created_before.as_deref(),
            moment,
        ),
    };
    if !wrong.is_empty() {
        return Err(Problem::invalid_all(wrong));
    }
    Ok(Meant {
        filter,
        everything: body.everything.unwrap_or(false),
    })
}

fn read<T>(
    wrong: &mut Vec<FieldError>,
    field: &str,
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Option<T> {
    match parse(text?) {
        Ok(value) => Some(value),
        Err(rule) => {
            wrong.push(FieldError {
                field: field.to_owned(),
                message: format!("must be {rule}"),
            });
            None
        }
    }
}

/// A network. One with bits beyond its length set is refused: it is a slip of the pen, and nobody
/// knows on which side of the slash.
fn network(text: &str) -> Result<IpNet, &'static str> {
    const RULE: &str =
        "an address or a network: `192.0.2.0/24`, without bits set beyond its length";
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text.parse().map_err(|_| RULE)?;
    if network.addr() == network.network() {
        Ok(network)
    } else {
        Err(RULE)
    }
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    const RULE: &str = "a moment as RFC 3339 writes it: `2026-01-31T12:00:00Z`";
    let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| RULE)?;
    let micros = moment.unix_timestamp_nanos() / 1_000;
    i64::try_from(micros).map(Timestamp).map_err(|_| RULE)
}

impl From<EndMatchingError> for Problem {
    fn from(error: EndMatchingError) -> Self {
        match error {
            EndMatchingError::Empty => {
                Self::invalid(".", "must name at least one condition, or say `everything`")
            }
            EndMatchingError::Contradiction => {
                Self::invalid("everything", "must not be said together with conditions")
            }
            EndMatchingError::TenantBound => Self::forbidden(
                "tenant_bound",
                "This key is tied to a tenant, and ends sessions of that tenant only.",
            ),
            EndMatchingError::Port(error) => error.into(),
        }
    }
}
