//! Operations of administrators. For service keys with the scope
//! `sessions:admin`; all but those that end sessions for keys that are not tied to a tenant.

mod revocations;
mod service_keys;
mod signing_keys;
mod validators;

use poem_openapi::OpenApi;

/// All of them.
pub(super) fn operations() -> impl OpenApi {
    (
        signing_keys::SigningKeys,
        service_keys::ServiceKeys,
        validators::Validators,
        revocations::Revocations,
    )
}
