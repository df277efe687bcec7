//! `GET /sessions/stats`: how many sessions there are and have been.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use session_domain::service_key::Scope;
use session_domain::stats::SessionStats;

use super::tenant;
use crate::app::App;
use crate::http::caller::Service;
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct Stats;

/// How many sessions there are and have been. What is zero isn't listed.
#[derive(Debug, Object)]
#[oai(rename = "SessionStats")]
struct StatsView {
    /// Now active.
    active: i64,
    /// Ever started.
    created: i64,
    /// Ever ended.
    ended: i64,
    /// Ever ended, by why.
    ended_by_reason: BTreeMap<String, i64>,
    /// Active, by the country they were started from (ISO 3166-1 alpha-2), or `unknown`.
    by_country: BTreeMap<String, i64>,
    /// Active, by the kind of device.
    by_device_kind: BTreeMap<String, i64>,
    /// Active, by tenant.
    by_tenant: BTreeMap<String, i64>,
}

impl From<SessionStats> for StatsView {
    fn from(stats: SessionStats) -> Self {
        let country = |code: Option<String>| code.unwrap_or_else(|| "unknown".to_owned());
        Self {
            active: stats.active,
            created: stats.created,
            ended: stats.ended.values().sum(),
            ended_by_reason: named(stats.ended, |reason| reason.as_str().to_owned()),
            by_country: named(stats.by_country, country),
            by_device_kind: named(stats.by_kind, |kind| kind.as_str().to_owned()),
            by_tenant: named(stats.by_tenant, String::from),
        }
    }
}

fn named<K>(
    counts: impl IntoIterator<Item = (K, i64)>,
    name: impl Fn(K) -> String,
) -> BTreeMap<String, i64> {
    counts
        .into_iter()
        .map(|(key, count)| (name(key), count))
        .collect()
}

#[OpenApi]
impl Stats {
    /// How many sessions there are and have been
    ///
    /// From counters that move with every change, so asking costs the same however many sessions
    /// there are. Needs a service key with the scope `sessions:admin`; one that is tied to a
    /// tenant is told of that tenant.
    #[oai(
        path = "/api/v1/sessions/stats",
        method = "get",
        tag = "Tag::Sessions",
        operation_id = "sessionStats"
    )]
    async fn stats(
        &self,
        app: Data<&Arc<App>>,
        caller: Service,
        /// Of this tenant only; of all where nobody says.
        #[oai(name = "tenant", validator(min_length = 1, max_length = 63))]
        asked: Query<Option<String>>,
    ) -> Result<Json<StatsView>, Problem> {
        let caller = caller.caller(Scope::Admin)?;
        let of_all = asked.0.is_none() && caller.is_of_deployment();
        let only = if of_all {
            None
        } else {
            Some(tenant(&caller, asked.0)?)
        };
        let stats = app.ports.store.stats(only.as_ref()).await?;
        Ok(Json(stats.into()))
    }
}
