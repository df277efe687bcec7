//! Every code a problem may have: what programs go by, so none is ever renamed.

/// The codes, with when each is answered.
pub(super) const CODES: [(&str, &str); 22] = [
    (
        "absolute_end_reached",
        "409: the session lasts until its absolute end already",
    ),
    (
        "foreign_origin",
        "403: a page of this origin may not act with the session cookie",
    ),
    (
        "idempotency_key_reused",
        "422: this `Idempotency-Key` was used for a different request",
    ),
    (
        "insufficient_scope",
        "403: the service key lacks the scope this needs",
    ),
    (
        "internal",
        "500: our fault; the `trace_id` finds it in the logs",
    ),
    (
        "invalid_request",
        "400: a part of the request breaks a rule; `errors` names it",
    ),
    (
        "invalid_token",
        "401: the credential is not valid, or not any more",
    ),
    (
        "malformed_request",
        "400: the body is no JSON object of the form asked for",
    ),
    (
        "method_not_allowed",
        "405: this path does not take this method",
    ),
    (
        "missing_origin",
        "403: an unsafe request with the session cookie came without an `Origin`",
    ),
    ("no_credential", "401: this needs a credential"),
    (
        "not_found",
        "404: there is none, or none of yours: both look the same",
    ),
    ("own_key", "409: a service key can't withdraw itself"),
    ("session_ended", "409: the session is over"),
    (
        "session_limit",
        "409: the user has as many sessions as allowed",
    ),
    (
        "tenant_bound",
        "403: this is for service keys that aren't tied to a tenant",
    ),
    ("too_large", "413: the body is larger than 64 KiB"),
    (
        "too_many_requests",
        "429: too many invalid credentials from this address; see `Retry-After`",
    ),
    (
        "unavailable",
        "503: something this needs is not available right now; see `Retry-After`",
    ),
    (
        "unsupported_media_type",
        "415: the body isn't `application/json`",
    ),
    (
        "version_conflict",
        "409: the session has changed since; read it again",
    ),
    (
        "wrong_caller",
        "403: this is not for this kind of credential",
    ),
];

/// The codes as a Markdown table, for the API document.
pub(super) fn table() -> String {
    let rows = CODES
        .iter()
        .map(|(code, when)| format!("| `{code}` | {when} |\n"));
    format!("| code | when |\n|---|---|\n{}", rows.collect::<String>())
}

/// Whether a code is one of them. Asked of each when it is used, in builds that check such things.
pub(super) fn is_known(code: &str) -> bool {
    CODES.iter().any(|(known, _)| *known == code)
}
