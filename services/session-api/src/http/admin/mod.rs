//! Operations on what belongs to the deployment as a whole. For service keys with the scope
//! `sessions:admin` that aren't tied to a tenant.

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
    )
}
