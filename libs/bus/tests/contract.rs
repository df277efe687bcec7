//! The in-process bus keeps the port's contract.

use std::sync::Arc;

use session_bus::InProcessBus;
use session_domain::contract::bus;
use session_domain::port::Bus;

fn make() -> Arc<dyn Bus> {
    Arc::new(InProcessBus::new())
}

#[tokio::test]
async fn every_subscriber_hears_every_broadcast_in_order() {
    bus::every_subscriber_hears_every_broadcast_in_order(make()).await;
}

#[tokio::test]
async fn a_subscription_starts_when_it_is_made() {
    bus::a_subscription_starts_when_it_is_made(make()).await;
}

#[tokio::test]
async fn a_request_is_answered_by_one_server() {
    bus::a_request_is_answered_by_one_server(make()).await;
}

#[tokio::test]
async fn a_request_nobody_answers_ends_in_time() {
    bus::a_request_nobody_answers_ends_in_time(make()).await;
}

#[tokio::test]
async fn a_dropped_request_is_an_error() {
    bus::a_dropped_request_is_an_error(make()).await;
}

#[tokio::test]
async fn a_server_that_left_is_not_asked() {
    bus::a_server_that_left_is_not_asked(make()).await;
}
