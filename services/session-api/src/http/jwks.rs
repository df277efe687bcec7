//! `GET /.well-known/jwks.json`: the public keys tokens are signed with (RFC 7517 §5).

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use session_domain::revocation::PublicKey;

use super::problem::Problem;
use super::tags::Tag;
use crate::app::App;

pub(super) struct Jwks;

#[derive(ApiResponse)]
enum KeySet {
    /// A JSON Web Key Set.
    #[oai(status = 200)]
    Keys(
        Json<Value>,
        /// How long it may be kept.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[OpenApi]
impl Jwks {
    /// The public keys tokens are signed with
    ///
    /// Who checks access tokens by these alone learns of an ended session only when its token
    /// expires.
    #[oai(
        path = "/.well-known/jwks.json",
        method = "get",
        tag = "Tag::Public",
        operation_id = "jwks"
    )]
    #[allow(clippy::unused_async, reason = "operations are async")]
    async fn keys(&self, app: Data<&Arc<App>>) -> Result<KeySet, Problem> {
        let mut keys = app.revocations.public_keys();
        if keys.is_empty() {
            // There always is one; this process just hasn't heard of it yet.
            return Err(Problem::unavailable());
        }
        keys.sort_by(|a, b| a.kid.cmp(&b.kid));
        let keys: Vec<Value> = keys.iter().map(|key| jwk(key)).collect();
        Ok(KeySet::Keys(
            Json(json!({ "keys": keys })),
            "public, max-age=300".to_owned(),
        ))
    }
}

fn jwk(key: &PublicKey) -> Value {
    let mut jwk: serde_json::Map<String, Value> = key
        .jwk
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    jwk.insert("kid".to_owned(), key.kid.as_str().into());
    jwk.insert("alg".to_owned(), key.alg.as_str().into());
    jwk.insert("use".to_owned(), "sig".into());
    Value::Object(jwk)
}
