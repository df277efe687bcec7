//! What a request carries beside its body, strictly: a parameter no operation reads is as likely a
//! mistyped one that it does read, and to pass it over would be to do something else than asked.

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Endpoint, Request, Response, Result};
use poem_openapi::registry::{MetaOperation, MetaParamIn};

use super::problem::{FieldError, Problem};

/// Fields that may be sent several times, and of which what isn't understood means nothing (RFC
/// 7240 §2).
const MANY: [&str; 1] = ["Prefer"];

/// An operation that is asked only by what its description names, and by each at most once.
pub(super) struct Strict {
    inner: BoxEndpoint<'static>,
    /// `None` where it doesn't matter.
    query: Option<Vec<String>>,
    headers: Vec<String>,
}

impl Strict {
    /// The operation behind `inner`, as `described`.
    pub(super) fn new(inner: BoxEndpoint<'static>, described: &MetaOperation) -> Self {
        let named = |place: MetaParamIn| {
            let here = described.params.iter();
            let here = here.filter(move |param| param.in_type == place);
            here.map(|param| param.name.clone())
        };
        // Public documents change nothing, and people add to their address what gets them past a
        // cache.
        let public = described.security.is_empty() && described.method == Method::GET;
        let headers = named(MetaParamIn::Header);
        Self {
            inner,
            query: (!public).then(|| named(MetaParamIn::Query).collect()),
            headers: headers
                .filter(|name| !MANY.contains(&name.as_str()))
                .collect(),
        }
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        let mut errors = Vec::new();
        if let Some(known) = &self.query {
            let sent: Vec<(String, String)> = request
                .params()
                .map_err(|_| Problem::invalid("query", "must be a list of names and values"))?;
            let names = sent.into_iter().map(|(name, _)| name);
            errors.extend(wrong_parameters(names, known));
        }
        for name in &self.headers {
            let mut values = request.headers().get_all(name.as_str()).iter();
            let message = match (values.next(), values.next()) {
                (_, Some(_)) => "must be given at most once",
                // What can't be read would be taken for not there.
                (Some(value), None) if value.to_str().is_err() => "must be printable ASCII",
                (_, None) => continue,
            };
            errors.push(FieldError {
                field: name.clone(),
                message: message.to_owned(),
            });
        }
        match errors.pop() {
            None => Ok(()),
            Some(only) if errors.is_empty() => Err(Problem::invalid(only.field, only.message)),
            Some(last) => {
                errors.push(last);
                Err(Problem::invalid_all(errors))
            }
        }
    }
}

/// What is wrong with the parameters of these names, where these are known.
fn wrong_parameters(names: impl Iterator<Item = String>, known: &[String]) -> Vec<FieldError> {
    let mut sent: Vec<String> = names.collect();
    sent.sort_unstable();
    let runs = sent.chunk_by(|one, other| one == other);
    runs.filter_map(|run| {
        let name = run.first()?;
        let message = if !known.contains(name) {
            "is no parameter of this operation"
        } else if run.len() > 1 {
            "must be given at most once"
        } else {
            return None;
        };
        Some(FieldError {
            field: name.clone(),
            message: message.to_owned(),
        })
    })
    .collect()
}

impl Endpoint for Strict {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        self.check(&request)?;
        self.inner.call(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_known_and_given_once() {
        let wrong = |sent: &[&str]| {
            let sent = sent.iter().map(ToString::to_string);
            let wrong = wrong_parameters(sent, &["limit".to_owned(), "cursor".to_owned()]);
            let fields = wrong.into_iter().map(|error| error.field);
            fields.collect::<Vec<_>>()
        };
        assert_eq!(wrong(&[]), Vec::<String>::new());
        assert_eq!(wrong(&["limit", "cursor"]), Vec::<String>::new());
        assert_eq!(wrong(&["limit", "cursor", "limit"]), ["limit"]);
        assert_eq!(wrong(&["limti", "Limit", "limti"]), ["Limit", "limti"]);
    }
}
