//! Too many questions at once: the first are answered, the others are told so at once, and later it
//! is as before.

use std::time::Duration;

use futures::future::join_all;

use crate::authority::LEASE;
use crate::envoy::{code, question};
use crate::world::{CHECKS_MAX, World, eventually};

#[tokio::test]
async fn what_is_too_much_is_shed_at_once_and_the_rest_is_answered() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    let token = token.expose();
    world.valve.close();
    // From here on each question is a check, and each check waits.
    tokio::time::sleep(LEASE * 2).await;
    let url = format!("http://{}/v1/authz/forwarded/default", world.http);
    let ask = || world.client.get(&url).bearer_auth(token).send();
    let waiting: Vec<_> = (0..CHECKS_MAX).map(|_| tokio::spawn(ask())).collect();
    eventually(async || world.valve.waiting() == CHECKS_MAX).await;

    for _ in 0..50 {
        let shed = tokio::time::timeout(Duration::from_secs(5), ask()).await;
        let shed = shed.expect("at once").expect("an answer");
        assert_eq!(shed.status().as_u16(), 503);
        assert_eq!(shed.headers()["x-session-error"], "overloaded");
        assert_eq!(shed.headers()["retry-after"], "1");
    }
    let bearer = format!("Bearer {token}");
    let shed = question(None, "GET", &[("authorization", &bearer)]);
    assert_eq!(code(&world.check(shed).await), 14);
    // What needs no check is answered all the while.
    assert_eq!(world.status("default", "x.y.z").await, 401);

    world.valve.open();
    for answer in join_all(waiting).await {
        let answer = answer.expect("no panic").expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
    }
    // Once there is a lease again, none of many is a check.
    let all_good = async || {
        let answers = join_all((0..20).map(|_| ask())).await;
        let statuses = answers
            .into_iter()
            .map(|answer| answer.expect("an answer").status());
        statuses
            .map(|status| status.as_u16())
            .all(|status| status == 200)
    };
    eventually(all_good).await;
}

#[tokio::test]
async fn a_gateways_deadline_is_kept() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    world.valve.close();
    tokio::time::sleep(LEASE * 2).await;
    // The check would wait for as long as the test is patient.
    let within = Duration::from_secs(5);
    let bearer = format!("Bearer {}", token.expose());
    // The client gives up after the whole of it: whoever answers has 20 ms to be first, which a busy
    // machine may not keep each time. Somebody who took no notice of it would never be.
    let in_time = async || {
        loop {
            let fields = [("authorization", bearer.as_str())];
            let mut asked = tonic::Request::new(question(None, "GET", &fields));
            let timeout = "100m".parse().expect("text");
            asked.metadata_mut().insert("grpc-timeout", timeout);
            if let Ok(answered) = world.envoy.clone().check(asked).await {
                return answered.into_inner();
            }
        }
    };
    let answered = tokio::time::timeout(within, in_time()).await;
    assert_eq!(code(&answered.expect("in time")), 14);

    let url = format!("http://{}/v1/authz/envoy/default", world.http);
    let asked = world.client.get(url).header("authorization", &bearer);
    let asked = asked.header("x-envoy-expected-rq-timeout-ms", "100").send();
    let answered = tokio::time::timeout(within, asked).await;
    let answered = answered.expect("in time").expect("an answer");
    assert_eq!(answered.status().as_u16(), 503);
}
