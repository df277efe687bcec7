//! Operations on sessions, one file each.

mod cleanup;
mod create;
mod credentials;
mod current;
mod end;
mod extend;
mod get;
mod list;
mod of_user;
mod refresh;
mod revoke;
mod revoke_others;
mod shown;
mod stats;
mod step_up;
mod update;
mod validate;

use poem_openapi::OpenApi;
use session_domain::ids::{SessionId, TenantId};
use session_domain::usecase::caller::Caller;
use session_domain::usecase::end::EndError;

use super::problem::Problem;

/// All of them.
pub(super) fn operations() -> impl OpenApi {
    (
        create::Create,
        list::ListOwn,
        current::Current,
        get::Get,
        end::End,
        revoke::Revoke,
        revoke_others::RevokeOthers,
        refresh::Refresh,
        extend::Extend,
        update::Update,
        step_up::StepUp,
        of_user::OfUser,
        validate::Validate,
        stats::Stats,
        cleanup::Cleanup,
    )
}

/// Reads a session's id as it stands in a path.
fn session_id(text: &str) -> Result<SessionId, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid("id", "must be a session's id, a hyphenated lower-case UUID"))
}

/// The tenant an operation works in: the caller's own, or the one a service names.
fn tenant(caller: &Caller, asked: Option<String>) -> Result<TenantId, Problem> {
    let asked = asked.map(|text| text.parse::<TenantId>()).transpose();
    let asked =
        asked.map_err(|error| Problem::invalid("tenant", format!("must be {}", error.rule)))?;
    // Another tenant's things don't exist for this caller.
    caller.tenant(asked).ok_or_else(Problem::not_found)
}

impl From<EndError> for Problem {
    fn from(error: EndError) -> Self {
        match error {
            EndError::Unknown => Self::not_found(),
            EndError::Port(error) => error.into(),
        }
    }
}
