//! Request bodies: JSON, strictly.

use poem::{Request, RequestBody, Result};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// No body is larger.
const BYTES_MAX: usize = 64 * 1024;

/// A JSON body, with a hash of its bytes. Unknown and doubled fields, other types and broken rules
/// are refused, and named.
pub struct Body<T> {
    /// What was sent.
    pub value: T,
    /// BLAKE3 of the bytes as they came, to recognise a repeated request.
    pub digest: [u8; 32],
}

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON + DeserializeOwned> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let is_json = request
            .content_type()
            .and_then(|text| text.parse::<mime::Mime>().ok());
        if is_json.is_none_or(|mime| mime.essence_str() != "application/json") {
            return Err(Problem::unsupported_media_type().into());
        }
        let bytes = read(body).await?;
        // The first reading is for form: types, unknown and doubled fields, nothing coerced.
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let strict: Result<T, _> = serde_path_to_error::deserialize(&mut json);
        let strict =
            strict.map_err(|error| bad_form(&error.path().to_string(), &error.inner().to_string()));
        drop(strict?);
        json.end()
            .map_err(|error| Problem::malformed(error.to_string()))?;
        // The second is for the rules the API document states: lengths, ranges.
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::malformed(error.to_string()))?;
        let value =
            T::parse_from_json(Some(value)).map_err(|error| broken_rule(&error.into_message()))?;
        Ok(Self {
            value,
            digest: *blake3::hash(&bytes).as_bytes(),
        })
    }
}

/// A value of the wrong form at `path`, or a field that isn't there, which is told by its own name.
fn bad_form(path: &str, message: &str) -> Problem {
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    match (path, missing) {
        (".", None) => Problem::malformed(message),
        (".", Some(field)) => Problem::invalid(field, "is missing"),
        (path, None) => Problem::invalid(path, message),
        (path, Some(field)) => Problem::invalid(format!("{path}.{field}"), "is missing"),
    }
}

/// A broken rule of the API document. The framework tells of it in words alone; they name the
/// field, which is told as such.
fn broken_rule(message: &str) -> Problem {
    let named = message
        .split_once("field `")
        .and_then(|(_, rest)| rest.split_once("` verification failed. "));
    match named {
        Some((field, rule)) => {
            let rule = rule.split(" (occurred").next().unwrap_or(rule);
            Problem::invalid(field, format!("breaks the rule {rule}"))
        }
        None => Problem::malformed(message),
    }
}

async fn read(body: &mut RequestBody) -> Result<Vec<u8>> {
    let body = body.take()?;
    match body.into_bytes_limit(BYTES_MAX).await {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(poem::error::ReadBodyError::PayloadTooLarge) => Err(Problem::too_large().into()),
        Err(_) => Err(Problem::malformed("The body did not arrive whole.").into()),
    }
}

impl<'a, T: ParseFromJSON + DeserializeOwned> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType {
            content_type: Self::CONTENT_TYPE,
            schema: Self::schema_ref(),
        }];
        Some(MetaRequest {
            description: None,
            content,
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        <Self as ParsePayload>::from_request(request, body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_is_named() {
        let message = "missing field `amr` at line 1 column 2";
        assert_eq!(
            bad_form(".", message),
            Problem::invalid("amr", "is missing")
        );
        assert_eq!(
            bad_form("a", message),
            Problem::invalid("a.amr", "is missing")
        );
        assert_eq!(bad_form(".", "EOF"), Problem::malformed("EOF"));
        assert_eq!(
            bad_form("a", "not a number"),
            Problem::invalid("a", "not a number")
        );
    }

    #[test]
    fn a_broken_rule_names_its_field() {
        let said = r#"failed to parse "X": field `name` verification failed. minLength(1) (occurred while parsing "Y")"#;
        let named = Problem::invalid("name", "breaks the rule minLength(1)");
        assert_eq!(broken_rule(said), named);
        assert_eq!(broken_rule("other"), Problem::malformed("other"));
    }
}
