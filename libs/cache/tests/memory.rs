//! The cache in memory keeps the port's contract, and its own promises of size and age.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_cache::MemoryCache;
use session_domain::contract::sample;
use session_domain::ids::Version;
use session_domain::port::{Clock, SessionCache};
use session_domain::session::Session;
use session_domain::time::{BootInstant, Timestamp};

/// A clock that is moved by hand; seconds since boot.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        sample::START
    }

    fn boot(&self) -> BootInstant {
        BootInstant(0).plus(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }
}

async fn fresh() -> Arc<dyn SessionCache> {
    Arc::new(MemoryCache::new(Arc::new(Hand::default())))
}

session_domain::session_cache_contract!(fresh);

fn numbered(number: u128, version: u64) -> Session {
    Session {
        id: sample::session_id(number),
        version: Version(version),
        ..sample::session()
    }
}

#[tokio::test]
async fn a_reading_is_shown_for_its_lifetime_and_no_longer() {
    let hand = Arc::new(Hand::default());
    let cache = MemoryCache::new(Arc::clone(&hand) as _);
    let session = numbered(1, 2);
    cache.put(&session).await.unwrap();
    hand.0.store(29, Ordering::Relaxed);
    assert!(
        cache
            .get(&session.tenant, session.id)
            .await
            .unwrap()
            .is_some()
    );
    hand.0.store(30, Ordering::Relaxed);
    assert!(
        cache
            .get(&session.tenant, session.id)
            .await
            .unwrap()
            .is_none()
    );

    // Too old to be shown, it still keeps an older one out.
    cache.put(&numbered(1, 1)).await.unwrap();
    assert!(
        cache
            .get(&session.tenant, session.id)
            .await
            .unwrap()
            .is_none()
    );

    // The same reading again is fresh again.
    cache.put(&session).await.unwrap();
    assert!(
        cache
            .get(&session.tenant, session.id)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn no_more_is_held_than_there_is_room_for() {
    let cache = MemoryCache::with(Arc::new(Hand::default()), 100, Duration::from_secs(30));
    for number in 0..1_000 {
        cache.put(&numbered(number, 1)).await.unwrap();
    }
    let mut held = 0;
    for number in 0..1_000 {
        let session = numbered(number, 1);
        let remembered = cache.get(&session.tenant, session.id).await.unwrap();
        held += usize::from(remembered.is_some());
    }
    assert!((1..=100).contains(&held), "{held}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_race_leave_the_newest() {
    let cache = Arc::new(MemoryCache::new(Arc::new(Hand::default())));
    for session in 0..50 {
        let puts = (1..=8).map(|version| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { cache.put(&numbered(session, version)).await })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap().unwrap();
        }
        let newest = numbered(session, 8);
        let remembered = cache.get(&newest.tenant, newest.id).await.unwrap();
        assert_eq!(remembered, Some(newest));
    }
}

#[test]
fn debug_shows_no_session() {
    let cache = MemoryCache::new(Arc::new(Hand::default()));
    assert!(format!("{cache:?}").contains("readings: 0"));
}
