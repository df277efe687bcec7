//! What every [`SessionCache`] does. It may forget whenever it likes, so a case asks only that a
//! fresh cache with room to spare remembers, and that nothing wrong is ever remembered.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::sample;
use crate::event::Actor;
use crate::ids::{Seq, SessionId, TenantId, Version};
use crate::port::SessionCache;
use crate::session::{EndReason, Session};

suite!(($) Arc<dyn SessionCache>, cache, session_cache_contract:
    nothing_is_known_of_what_was_never_put,
    a_reading_is_remembered_whole,
    tenants_never_see_each_other_s_sessions,
    a_higher_version_replaces,
    a_lower_version_does_not,
    the_same_version_again_replaces,
    an_end_is_remembered_and_the_life_before_it_does_not_come_back,
    of_many_readings_at_once_the_highest_stays,
    more_is_put_than_there_is_room_for,
);

fn reading(number: u128, version: u64) -> Session {
    let start = sample::session();
    Session {
        id: sample::session_id(number),
        version: Version(version),
        expires_at: start.expires_at.plus(Duration::from_secs(version)),
        ..start
    }
}

async fn get(cache: &Arc<dyn SessionCache>, tenant: &TenantId, id: SessionId) -> Option<Session> {
    cache.get(tenant, id).await.expect("the cache answers")
}

async fn put(cache: &Arc<dyn SessionCache>, session: &Session) {
    cache.put(session).await.expect("the cache answers");
}

/// An empty cache knows nobody.
pub async fn nothing_is_known_of_what_was_never_put(cache: Arc<dyn SessionCache>) {
    put(&cache, &reading(1, 1)).await;
    let other = get(&cache, &TenantId::default(), sample::session_id(2)).await;
    assert_eq!(other, None);
}

/// What comes back is what was put, field by field, whatever a login system wanted remembered.
pub async fn a_reading_is_remembered_whole(cache: Arc<dyn SessionCache>) {
    let mut session = reading(1, 1);
    session.idle_timeout = Some(Duration::from_nanos(1_500_000_001));
    session.device.name = Some("Zoë's \"phone\"\u{0}\u{1f600}".into());
    session.network.ip = Some("2001:db8::1".parse().expect("an address"));
    let note = serde_json::json!({
        "nested": [1, "two", null, {"": []}],
        "whole": [u64::MAX, i64::MIN],
        "fractions": [0.1 + 0.2, 1e-7, 5e-324, f64::MAX, -0.0, 122.416_294_033_786_58],
    });
    session.metadata.insert("note".into(), note);
    put(&cache, &session).await;
    let remembered = get(&cache, &session.tenant, session.id).await;
    assert_eq!(remembered, Some(session));
}

/// The same id in two tenants is two sessions.
pub async fn tenants_never_see_each_other_s_sessions(cache: Arc<dyn SessionCache>) {
    let ours = Session {
        tenant: sample::tenant("ours"),
        ..reading(1, 1)
    };
    let theirs = Session {
        tenant: sample::tenant("theirs"),
        ..reading(1, 9)
    };
    put(&cache, &theirs).await;
    assert_eq!(get(&cache, &ours.tenant, ours.id).await, None);
    put(&cache, &ours).await;
    assert_eq!(get(&cache, &ours.tenant, ours.id).await, Some(ours));
    assert_eq!(get(&cache, &theirs.tenant, theirs.id).await, Some(theirs));
}

/// A newer reading is the one remembered.
pub async fn a_higher_version_replaces(cache: Arc<dyn SessionCache>) {
    put(&cache, &reading(1, 1)).await;
    let newer = reading(1, 2);
    put(&cache, &newer).await;
    assert_eq!(get(&cache, &newer.tenant, newer.id).await, Some(newer));
}

/// A reading that was overtaken on its way doesn't bring the past back.
pub async fn a_lower_version_does_not(cache: Arc<dyn SessionCache>) {
    let newer = reading(1, 2);
    put(&cache, &newer).await;
    put(&cache, &reading(1, 1)).await;
    let remembered = get(&cache, &newer.tenant, newer.id).await;
    assert_eq!(remembered, Some(newer));
}

/// What changes without a version (the last use) is remembered as it was read last.
pub async fn the_same_version_again_replaces(cache: Arc<dyn SessionCache>) {
    let first = reading(1, 1);
    let seen = first.last_seen_at.plus(Duration::from_secs(5));
    let later = Session {
        last_seen_at: seen,
        ..first.clone()
    };
    put(&cache, &first).await;
    put(&cache, &later).await;
    assert_eq!(get(&cache, &later.tenant, later.id).await, Some(later));
}

/// A reading of an ended session stays ended, whatever is on its way from before.
pub async fn an_end_is_remembered_and_the_life_before_it_does_not_come_back(
    cache: Arc<dyn SessionCache>,
) {
    let alive = reading(1, 4);
    let (at, reason) = (alive.created_at, EndReason::RevokedByAdmin);
    let ended = alive.clone().end(at, reason, None, Actor::System, Seq(7));
    let ended = ended.expect("it lives").session;
    put(&cache, &alive).await;
    put(&cache, &ended).await;
    put(&cache, &alive).await;
    let remembered = get(&cache, &ended.tenant, ended.id).await;
    assert_eq!(remembered, Some(ended));
}

/// Readings that arrive together, in any order, leave the newest.
pub async fn of_many_readings_at_once_the_highest_stays(cache: Arc<dyn SessionCache>) {
    let versions = (0..64_u64).map(|number| number * 37 % 64 + 1);
    let puts = versions.map(|version| {
        let cache = Arc::clone(&cache);
        async move { put(&cache, &reading(1, version)).await }
    });
    join_all(puts).await;
    let newest = reading(1, 64);
    assert_eq!(get(&cache, &newest.tenant, newest.id).await, Some(newest));
}

/// A full cache forgets; what it still knows is right.
pub async fn more_is_put_than_there_is_room_for(cache: Arc<dyn SessionCache>) {
    for number in 0..20_000 {
        put(&cache, &reading(number, 1)).await;
    }
    for number in 0..20_000 {
        let session = reading(number, 1);
        let remembered = get(&cache, &session.tenant, session.id).await;
        assert!(remembered.is_none_or(|remembered| remembered == session));
    }
}
