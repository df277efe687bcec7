//! What belongs to somebody else isn't there: byte for byte the same answer as for what nobody has.

use reqwest::RequestBuilder;

use super::refusal::refused;
use super::world::{World, body};
use crate::support::api::with_query;
use crate::support::operations::{Callers, Operation, table};

/// Nobody's.
const UNKNOWN: &str = "0191d3c4-5b6e-7f80-8123-456789abcdef";

/// A request about this, by whoever holds this.
fn ask(world: &World, operation: &Operation, about: &str, token: &str) -> RequestBuilder {
    let request = operation.request(&world.instance, about).bearer_auth(token);
    match body(operation) {
        Some(body) => request.json(&body),
        None => request,
    }
}

#[tokio::test]
async fn unknown_and_not_yours_look_the_same() {
    let world = World::new().await;
    let before = world.state().await;
    let mut count = 0;
    for operation in &world.operations {
        let is_device = operation.path.contains("/devices/{id}");
        if !is_device && !operation.path.contains("/sessions/{id}") {
            continue;
        }
        count += 1;
        let [_, bobs, acmes] = &world.devices;
        let theirs = if is_device {
            [bobs, acmes]
        } else {
            [&world.bob.id, &world.acme.id]
        };
        let (callers, _) = &table()[operation.id.as_str()];
        let mut askers: Vec<(&str, &[&String])> = Vec::new();
        // To a user both are strangers; to a key of one tenant, what is of another.
        if matches!(callers, Callers::User | Callers::Both(_)) {
            askers.push((&world.alice[0].access, &theirs));
        }
        if matches!(callers, Callers::Service(_) | Callers::Both(_)) {
            askers.push((&world.acme_admin, &theirs[..1]));
            // A key of the deployment asks within one tenant too.
            askers.push((&world.instance.service_key, &theirs[1..]));
        }
        for (token, theirs) in askers {
            let what = |whose: &str| format!("{} about {whose}", operation.id);
            let unknown = ask(&world, operation, UNKNOWN, token);
            let unknown = refused(unknown, 404, "not_found", &what("nobody's")).await;
            for about in theirs {
                let theirs = ask(&world, operation, about, token);
                let theirs = refused(theirs, 404, "not_found", &what("another's")).await;
                assert_eq!(theirs.anonymous(), unknown.anonymous(), "{}", operation.id);
            }
        }
    }
    assert!(
        count >= 8,
        "only {count} operations are about a session or device"
    );
    world.is_as(&before).await;
}

/// Nor does another tenant exist for a key that is tied to one.
#[tokio::test]
async fn another_tenant_is_as_good_as_none() {
    let world = World::new().await;
    let before = world.state().await;
    for operation in &world.operations {
        if !operation
            .parameters("query")
            .any(|one| one.name == "tenant")
        {
            continue;
        }
        let of = |tenant: &str| {
            let request = ask(&world, operation, &world.alice[0].id, &world.acme_admin);
            with_query(request, &[("tenant", tenant)])
        };
        let real = refused(of("default"), 404, "not_found", &operation.id).await;
        let made_up = refused(of("nobodys"), 404, "not_found", &operation.id).await;
        assert_eq!(real.anonymous(), made_up.anonymous(), "{}", operation.id);
    }
    world.is_as(&before).await;
}
