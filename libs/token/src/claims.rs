//! The payload: [`Claims`] as the JSON of RFC 7519, and back.

use serde::de::{Error, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use session_domain::ids::{KeyId, SessionId, TenantId, UserId};
use session_domain::time::Timestamp;
use session_domain::token::{Claims, Refusal, StatusReference, TokenKind};

use crate::json::{self, Object, present};

/// The last second a JSON number names exactly in every language (RFC 7493, 2.2).
const SECOND_MAX: u64 = 1 << 53;

/// What is written, in this order. The order is part of a token's bytes: changing it means that a
/// repeated answer during an upgrade isn't byte for byte the same.
#[derive(Serialize)]
struct Written<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Audience<'a>,
    exp: u64,
    iat: u64,
    jti: &'a str,
    sid: String,
    auth_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    amr: &'a [String],
    tenant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    status: Status<StatusReference>,
}

/// RFC 7519, 4.1.3: one audience is a string, several are an array.
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(&'a [String]),
}

#[derive(Serialize, Deserialize)]
struct Status<T> {
    status_list: T,
}

/// The claims as JSON. `None` where they can't be put so that a verifier takes them back: no
/// audience, or a date that isn't in 0..=2^53 seconds.
pub(crate) fn write(claims: &Claims) -> Option<Vec<u8>> {
    let aud = match claims.audience.as_slice() {
        [] => return None,
        [one] => Audience::One(one),
        several => Audience::Several(several),
    };
    let written = Written {
        iss: &claims.issuer,
        sub: claims.subject.as_str(),
        aud,
        exp: to_second(claims.expires_at)?,
        iat: to_second(claims.issued_at)?,
        jti: &claims.token_id,
        sid: claims.session.to_string(),
        auth_time: to_second(claims.auth_time)?,
        acr: claims.acr.as_deref(),
        amr: &claims.amr,
        tenant: claims.tenant.as_str(),
        scope: claims.scope.as_deref(),
        client_id: claims.client_id.as_deref(),
        status: Status {
            status_list: StatusReference::new(&claims.issuer, claims.serial),
        },
    };
    serde_json::to_vec(&written).ok()
}

/// What is read. Claims we don't know are passed over, so that a newer release may add some.
#[derive(Deserialize)]
struct Read {
    iss: String,
    sub: UserId,
    #[serde(deserialize_with = "one_or_several")]
    aud: Vec<String>,
    exp: Second,
    iat: Second,
    jti: String,
    sid: String,
    auth_time: Second,
    #[serde(default, deserialize_with = "present")]
    acr: Option<String>,
    #[serde(default)]
    amr: Vec<String>,
    tenant: TenantId,
    #[serde(default, deserialize_with = "present")]
    scope: Option<String>,
    #[serde(default, deserialize_with = "present")]
    client_id: Option<String>,
    status: Object<Status<Object<StatusReference>>>,
    /// Never issued, but if it is there it is obeyed, see [`read`].
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Second>,
    /// RFC 7800: the token is good only together with a key. Who can't check that must not take
    /// it for one that needs none.
    #[serde(default, deserialize_with = "present")]
    cnf: Option<serde::de::IgnoredAny>,
}

/// A `NumericDate` of whole seconds in 0..=2^53.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Second(u64);

/// The claims that a verifier for `issuer`, which grants a token at most `life_max` seconds,
/// takes from a payload whose signature by `key` is good.
pub(crate) fn read(
    payload: &[u8],
    kind: TokenKind,
    key: KeyId,
    issuer: &str,
    life_max: u64,
) -> Result<Claims, Refusal> {
    let Object(read): Object<Read> = json::read(payload).ok_or(Refusal::Claims)?;
    if read.iss != issuer {
        return Err(Refusal::Issuer);
    }
    let life = read.exp.0.saturating_sub(read.iat.0);
    if life == 0 || life > life_max {
        return Err(Refusal::Claims);
    }
    // There is no clock here. But callers refuse tokens issued in the future, so one that isn't
    // valid before it was issued needs no look at `nbf` from them; any other is refused.
    if read.nbf.is_some_and(|nbf| nbf > read.iat) || read.cnf.is_some() {
        return Err(Refusal::Claims);
    }
    if read.jti.is_empty() {
        return Err(Refusal::Claims);
    }
    let Object(Status {
        status_list: Object(reference),
    }) = read.status;
    let serial = reference.serial(issuer).ok_or(Refusal::Claims)?;
    let session: SessionId = read.sid.parse().map_err(|_| Refusal::Claims)?;
    Ok(Claims {
        kind,
        key,
        issuer: read.iss,
        subject: read.sub,
        audience: read.aud,
        expires_at: to_timestamp(read.exp),
        issued_at: to_timestamp(read.iat),
        token_id: read.jti,
        session,
        tenant: read.tenant,
        auth_time: to_timestamp(read.auth_time),
        acr: read.acr,
        amr: read.amr,
        scope: read.scope,
        client_id: read.client_id,
        serial,
    })
}

fn to_second(at: Timestamp) -> Option<u64> {
    u64::try_from(at.unix_seconds())
        .ok()
        .filter(|&second| second <= SECOND_MAX)
}

fn to_timestamp(second: Second) -> Timestamp {
    // Beyond the year 292 000 microseconds no longer fit; that date saturates.
    Timestamp::from_unix_seconds(i64::try_from(second.0).unwrap_or(i64::MAX))
}

impl<'de> Deserialize<'de> for Second {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The library takes only an integer literal for a `u64`: neither 1.0 nor 1e3 nor "1".
        let second = u64::deserialize(deserializer)?;
        if second > SECOND_MAX {
            return Err(D::Error::custom("beyond 2^53"));
        }
        Ok(Self(second))
    }
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let audience = deserializer.deserialize_any(OneOrSeveral)?;
    if audience.is_empty() || audience.iter().any(String::is_empty) {
        return Err(D::Error::custom("nobody's"));
    }
    Ok(audience)
}

struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_str<E>(self, one: &str) -> Result<Vec<String>, E> {
        Ok(vec![one.to_owned()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, several: A) -> Result<Vec<String>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(several))
    }
}
