//! Which convention and policy a gateway asks by: `/v1/authz/{convention}/{policy}[/anything]`.

/// Where a gateway puts the original request. Pinned by the path it is configured with, never
/// guessed from what arrives: a client can send any header it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Convention {
    /// `X-Forwarded-Method`, `-Uri`, `-Host`, `-Proto`, `-For` (Traefik, Caddy).
    Forwarded,
    /// `X-Original-Method`, `X-Original-URL` (nginx).
    Original,
    /// The request line after the prefix, and `Host` (Envoy `ext_authz` over HTTP).
    Envoy,
}

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// The convention named.
    pub convention: Convention,
    /// The policy named.
    pub policy: &'a str,
}

impl<'a> Route<'a> {
    /// Reads a path, byte for byte: nothing is decoded, so nothing can be smuggled in encoded.
    /// `None` for a path that isn't one of ours.
    pub fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/v1/authz/")?;
        let (convention, rest) = rest.split_once('/')?;
        let policy = rest.split_once('/').map_or(rest, |(policy, _)| policy);
        let convention = match convention {
            "forwarded" => Convention::Forwarded,
            "original" => Convention::Original,
            "envoy" => Convention::Envoy,
            _ => return None,
        };
        (!policy.is_empty()).then_some(Self { convention, policy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_convention_and_policy_and_may_go_on() {
        let envoy = Route {
            convention: Convention::Envoy,
            policy: "default",
        };
        assert_eq!(Route::parse("/v1/authz/envoy/default"), Some(envoy));
        assert_eq!(
            Route::parse("/v1/authz/envoy/default/a/../%2e%2e/v1"),
            Some(envoy)
        );
        let original = Route {
            convention: Convention::Original,
            policy: "a.b",
        };
        assert_eq!(Route::parse("/v1/authz/original/a.b"), Some(original));
    }

    #[test]
    fn anything_else_is_not_ours() {
        for path in [
            "/",
            "/v1/authz",
            "/v1/authz/envoy",
            "/v1/authz/envoy/",
            "/v1/authz//default",
            "/v1/authz/Envoy/default",
            "/v1/authz/%65nvoy/default",
            "//v1/authz/envoy/default",
            "/v1/authz/nginx/default",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
