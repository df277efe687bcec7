//! What an operator decides about sessions and tokens.

use session_domain::policy::SessionPolicy;
use session_domain::port::{Eviction, SessionLimit};
use session_runtime::config::{Mistaken, Reader};

/// Reads the sections `session` and `token`.
pub(super) fn policy(reader: &mut Reader) -> Result<SessionPolicy, Mistaken> {
    let absolute_lifetime = reader
        .value("session.absolute_lifetime")
        .doc("The longest a session lives, however often it is extended.")
        .default("30d")
        .duration_within("1s", "365d");
    let idle_timeout = reader
        .value("session.idle_timeout")
        .doc("How long a session may be unused before it ends. Uses are written down no more often than every tenth of it, at most once a minute, so an end may come as much later. Where nobody sets it, for as long as it lives.")
        .example("30m")
        .optional_with(session_runtime::config::duration);
    let max = reader
        .value("session.max_per_user")
        .doc("How many sessions a user may have at once. Where nobody sets it, any number.")
        .example("5")
        .optional_with(|text| match text.parse::<u32>() {
            Ok(max) if max > 0 => Ok(max),
            _ => Err("must be a whole number from 1"),
        });
    let eviction = reader
        .value("session.eviction")
        .doc("What gives way when a user would have too many: the new one, the oldest, or the one unused for longest.")
        .default("oldest")
        .one_of(&[
            ("reject", Eviction::Reject),
            ("oldest", Eviction::Oldest),
            ("least_recent", Eviction::LeastRecent),
        ]);
    let access_token_lifetime = reader
        .value("token.access_lifetime")
        .doc("How long an access token lives; third parties that check it by the public keys alone accept it for as long.")
        .default("10m")
        .duration_within("10s", "1h");
    let refresh_grace = reader
        .value("token.refresh_grace")
        .doc("For how long a used refresh token is still answered with the same successor: a lost answer or a second tab logs nobody out.")
        .default("10s")
        .duration_within("0", "1m");
    let (max, eviction) = (max?, eviction?);
    Ok(SessionPolicy {
        issuer: String::new(),
        absolute_lifetime: absolute_lifetime?,
        idle_timeout: idle_timeout?,
        access_token_lifetime: access_token_lifetime?,
        refresh_grace: refresh_grace?,
        session_limit: max.map(|max| SessionLimit { max, eviction }),
    })
}
