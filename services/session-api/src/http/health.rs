//! `GET /health`: are you there? Details are for the private listener.

use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::tags::Tag;

pub(super) struct Health;

/// It answers.
#[derive(Object)]
struct Alive {
    /// Always `ok`.
    status: String,
}

#[OpenApi]
impl Health {
    /// Whether this process answers
    #[oai(
        path = "/health",
        method = "get",
        tag = "Tag::Public",
        operation_id = "health"
    )]
    #[allow(clippy::unused_async, reason = "operations are async")]
    async fn health(&self) -> Json<Alive> {
        Json(Alive {
            status: "ok".to_owned(),
        })
    }
}
