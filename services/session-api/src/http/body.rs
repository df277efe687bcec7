//! Request bodies: JSON, strictly.

use poem::{Request, RequestBody, Result};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::form;
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
        let value = parse(&bytes)?;
        Ok(Self {
            value,
            digest: *blake3::hash(&bytes).as_bytes(),
        })
    }
}

/// Reads a body, strictly.
fn parse<T: ParseFromJSON + DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // The first reading is for form alone.
    let wrong = form::check(bytes).map_err(|error| no_json(bytes, &error))?;
    if !wrong.is_empty() {
        return Err(Problem::invalid_all(wrong));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| no_json(bytes, &error))?;
    if !value.is_object() {
        return Err(Problem::malformed("The body must be a JSON object."));
    }
    // The second is for types and names, nothing coerced.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let typed: Result<T, _> = serde_path_to_error::deserialize(&mut json);
    drop(typed.map_err(|error| bad_type(&error.path().to_string(), &error.inner().to_string()))?);
    // The third is for the rules the API document states: lengths, ranges.
    T::parse_from_json(Some(value)).map_err(|error| broken_rule(&error.into_message()))
}

/// What isn't JSON at all.
fn no_json(bytes: &[u8], error: &serde_json::Error) -> Problem {
    if std::str::from_utf8(bytes).is_err() {
        return Problem::malformed("The body must be UTF-8.");
    }
    Problem::malformed(format!("The body must be JSON: {error}."))
}

/// A value of the wrong type at `path`, a field nobody knows, or one that isn't there, which is
/// told by its own name. The deserializer tells of them in words alone, and in those of this
/// language: a client gets its own.
fn bad_type(path: &str, message: &str) -> Problem {
    let named = |start: &str| {
        let rest = message.strip_prefix(start)?;
        rest.split('`').next()
    };
    let within = |field: &str| match path {
        "." => field.to_owned(),
        path => format!("{path}.{field}"),
    };
    if let Some(field) = named("missing field `") {
        return Problem::invalid(within(field), "is missing");
    }
    if message.starts_with("unknown field `") {
        let known = message.rsplit_once(", expected ").map(|(_, known)| known);
        let known = known.and_then(|known| known.split(" at line ").next());
        let known = known.map_or_else(String::new, |known| format!("; it takes {known}"));
        return Problem::invalid(path, format!("is no field of this request{known}"));
    }
    let expected = message.rsplit_once(", expected ").map(|(_, rest)| rest);
    let expected = expected.and_then(|rest| rest.split(" at line ").next());
    let rule = match expected {
        Some("u8" | "u16" | "u32" | "u64") => "must be a whole number, not below zero".to_owned(),
        Some("i8" | "i16" | "i32" | "i64") => "must be a whole number".to_owned(),
        Some("a map") => "must be an object".to_owned(),
        Some("a sequence") => "must be an array".to_owned(),
        Some(text) if text.starts_with("struct ") => "must be an object".to_owned(),
        Some(text) => format!("must be {text}"),
        None => "must be of the form the API document gives it".to_owned(),
    };
    Problem::invalid(path, rule)
}

/// A broken rule of the API document. The framework tells of it in words alone; they name the
/// field, which is told as such.
fn broken_rule(message: &str) -> Problem {
    // The framework's only message with a name in it; a value that was sent isn't part of it.
    let named = message
        .split_once("field `")
        .and_then(|(_, rest)| rest.split_once("` verification failed. "));
    match named {
        Some((field, rule)) => {
            let rule = rule.split(" (occurred").next().unwrap_or(rule);
            Problem::invalid(field, format!("breaks the rule {rule}"))
        }
        None => Problem::malformed("The body is not of the form the API document gives it."),
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
    fn what_is_wrong_is_named_in_the_words_of_json() {
        for (path, message, field, rule) in [
            (
                ".",
                "missing field `amr` at line 1 column 2",
                "amr",
                "is missing",
            ),
            (
                "a",
                "missing field `amr` at line 1 column 2",
                "a.amr",
                "is missing",
            ),
            (
                "x",
                "unknown field `x`, expected `a` or `b` at line 1 column 3",
                "x",
                "is no field of this request; it takes `a` or `b`",
            ),
            (
                "a[1]",
                "invalid type: integer `3`, expected a string at line 1 column 3",
                "a[1]",
                "must be a string",
            ),
            (
                "a",
                "invalid type: string \"q, expected u9 at line 7\", expected u32 at line 1 column 3",
                "a",
                "must be a whole number, not below zero",
            ),
            (
                "a",
                "out of words",
                "a",
                "must be of the form the API document gives it",
            ),
        ] {
            assert_eq!(bad_type(path, message), Problem::invalid(field, rule));
        }
    }

    #[test]
    fn a_broken_rule_names_its_field() {
        let said = r#"failed to parse "X": field `name` verification failed. minLength(1) (occurred while parsing "Y")"#;
        let named = Problem::invalid("name", "breaks the rule minLength(1)");
        assert_eq!(broken_rule(said), named);
        let vague = "The body is not of the form the API document gives it.";
        assert_eq!(broken_rule("other"), Problem::malformed(vague));
    }
}
