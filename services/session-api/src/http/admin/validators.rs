//! `GET /admin/validators`: who answers from memory, and how far each has come.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use session_domain::revocation::Lease;

use crate::app::App;
use crate::http::caller::Service;
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct Validators;

/// A process that may answer from memory: a validator, or an API.
#[derive(Debug, Object)]
struct Validator {
    /// Drawn when the process started.
    id: String,
    /// The last log entry it had applied when it last renewed its lease.
    applied: u64,
    /// How many entries the log is ahead of that. Rises and falls with every renewal; one that
    /// only rises belongs to a process that lags, or is gone.
    lag: u64,
    /// How long its lease is, in seconds: the longest a revoke waits for it once it is gone.
    lease_seconds: f64,
    /// How often it has asked for a lease or its renewal.
    renewals: u64,
}

/// Everybody who holds a lease.
#[derive(Debug, Object)]
struct ValidatorList {
    /// The newest log entry.
    head: u64,
    /// In the order of ids.
    validators: Vec<Validator>,
}

impl Validator {
    fn new(lease: &Lease, head: u64) -> Self {
        Self {
            id: lease.instance.to_string(),
            applied: lease.applied.0,
            lag: head.saturating_sub(lease.applied.0),
            lease_seconds: lease.duration.as_secs_f64(),
            renewals: lease.counter,
        }
    }
}

#[OpenApi]
impl Validators {
    /// Who answers from memory, and how far each has come
    #[oai(
        path = "/api/v1/admin/validators",
        method = "get",
        tag = "Tag::Admin",
        operation_id = "listValidators"
    )]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
    ) -> Result<Json<ValidatorList>, Problem> {
        caller.of_deployment()?;
        let holders = app.ports.log.holders().await?;
        let (mut leases, head) = (holders.leases, holders.head.seq.0);
        leases.sort_by_key(|lease| lease.instance);
        let validators = leases.iter().map(|lease| Validator::new(lease, head));
        Ok(Json(ValidatorList {
            head,
            validators: validators.collect(),
        }))
    }
}
