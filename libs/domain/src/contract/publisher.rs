//! What every [`EventPublisher`] does.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

use super::sample;
use crate::cloud_event::CloudEvent;
use crate::event::{Actor, Event, Fact};
use crate::ids::{EventId, ServiceKeyId};
use crate::port::EventPublisher;
use crate::session::EndReason;

/// Reads all that was published, in its order, as those who listen get it.
pub type Read = Arc<dyn Fn() -> BoxFuture<'static, Vec<Value>> + Send + Sync>;

/// A publisher, and what was published by it.
pub type Published = (Arc<dyn EventPublisher>, Read);

suite!(($) Published, publisher, event_publisher_contract:
    events_arrive_whole_and_in_order,
    what_is_published_again_adds_nothing,
    a_batch_that_overlaps_the_one_before_loses_nothing,
    nothing_is_published_of_nothing,
    a_large_batch_arrives,
);

/// Event `number` of many, of several kinds and tenants.
pub fn event(number: u64) -> CloudEvent {
    let key = ServiceKeyId(uuid::Uuid::from_u128(u128::from(number)));
    let fact = match number % 4 {
        0 => Fact::SessionStarted,
        1 => Fact::SessionEnded {
            reason: EndReason::Logout,
            note: None,
        },
        2 => Fact::SessionUpdated {
            fields: vec!["device.name".into()],
        },
        _ => Fact::KeyAdded {
            kid: "kid-1".into(),
        },
    };
    let event = Event {
        at: sample::START.plus(Duration::from_secs(number)),
        tenant: (number % 4 != 3).then(|| sample::tenant("acme-2")),
        session: (number % 4 != 3).then(|| sample::session_id(u128::from(number % 7))),
        user: (number % 4 != 3).then(|| sample::user("Zoë \"quoted\" \\ 📱")),
        actor: Actor::Service { key },
        fact,
    };
    CloudEvent::new(EventId(number), &event, "https://login.example".into())
}

fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<CloudEvent> {
    numbers.into_iter().map(event).collect()
}

fn json(events: &[CloudEvent]) -> Vec<Value> {
    let json = |event| serde_json::to_value(event).expect("an envelope is JSON");
    events.iter().map(json).collect()
}

/// What remains to whoever takes the first of each id.
pub fn first_of_each(published: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let first = |event: &Value| seen.insert(event["id"].as_str().map(str::to_owned));
    published.into_iter().filter(first).collect()
}

/// Nothing is missing, changed, or in another place.
pub async fn events_arrive_whole_and_in_order((publisher, read): Published) {
    let (first, second) = (events(1..=10), events(11..=15));
    publisher.publish(&first).await.unwrap();
    assert_eq!(read().await, json(&first), "kept when it returns");
    publisher.publish(&second).await.unwrap();
    assert_eq!(read().await, json(&events(1..=15)));
}

/// Whoever didn't hear that a batch was kept publishes it again.
pub async fn what_is_published_again_adds_nothing((publisher, read): Published) {
    let batch = events(1..=10);
    for _ in 0..3 {
        publisher.publish(&batch).await.unwrap();
    }
    assert_eq!(first_of_each(read().await), json(&batch));
}

/// Another leader takes over in the middle of a batch.
pub async fn a_batch_that_overlaps_the_one_before_loses_nothing((publisher, read): Published) {
    publisher.publish(&events(1..=4)).await.unwrap();
    publisher.publish(&events(3..=9)).await.unwrap();
    publisher.publish(&events(2..=6)).await.unwrap();
    publisher.publish(&events(10..=12)).await.unwrap();
    assert_eq!(first_of_each(read().await), json(&events(1..=12)));
}

/// An empty batch is kept at once.
pub async fn nothing_is_published_of_nothing((publisher, read): Published) {
    publisher.publish(&[]).await.unwrap();
    assert_eq!(read().await, Vec::<Value>::new());
}

/// More than fits into whatever is sent at once.
pub async fn a_large_batch_arrives((publisher, read): Published) {
    let batch = events(1..=2_000);
    publisher.publish(&batch).await.unwrap();
    assert_eq!(read().await, json(&batch));
}
