//! A validator stands still for longer than its lease, with requests before it: some from before
//! the 204, some from after it.

use std::time::Duration;

use hyper::Method;

use super::Fault;
use crate::moment::Moment;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

/// What is waited for beyond the lease: machines that stood still (δ).
const PAUSE_ALLOWANCE: Duration = Duration::from_secs(1);

/// What an end may take beyond that.
const SLACK: Duration = Duration::from_secs(1);

/// "At once", on a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(1);

pub(super) const FAULT: Fault = Fault {
    name: "validator_stopped",
    expected: "ends are answered within L + δ + 1 s; when it goes on, it accepts nothing that was \
               asked after a 204",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

pub(super) const WITH_THE_USUAL_LEASE: Fault = Fault {
    name: "validator_stopped_5s_lease",
    expected: "ends are answered within L + δ + 1 s = 7 s, and at once with 202 where the client \
               prefers not to wait",
    shape: Shape {
        lease_seconds: 5,
        ..Shape::USUAL
    },
    ..FAULT
};

async fn round(world: &mut World, scene: &Scene) {
    let lease = Duration::from_secs(world.shape().lease_seconds);
    let victim = &world.validators[scene.one_of(world.validators.len())].program;
    scene.open();
    let from = Moment::now();
    victim.stop();
    asynchronously(scene).await;
    scene.leave(lease + PAUSE_ALLOWANCE + SLACK / 2).await;
    victim.resume();
    let to = Moment::now();
    scene.close();
    blocking(|| world.eventually_ready());
    let bound = lease + PAUSE_ALLOWANCE + SLACK;
    for life in scene.users.lives() {
        let begun = life.ending().map(|(begun, _)| begun);
        let meanwhile = begun.is_some_and(|begun| begun >= from && begun <= to);
        let took = life.took().filter(|took| meanwhile && *took > bound);
        if let Some(took) = took {
            scene.complain(format!("an end took {took:?}, not {bound:?}"));
        }
    }
}

/// Who prefers not to wait needn't.
async fn asynchronously(scene: &Scene) {
    let life = scene.users.sign_in().await;
    let path = format!("/api/v1/sessions/{}", life.id);
    life.call(0);
    let begun = Moment::now();
    let answer = scene
        .users
        .ask(0, Method::DELETE, &path, None, Some("respond-async"));
    let status = answer.await.map(|answer| answer.status.as_u16());
    let took = Moment::now().since(begun);
    if status != Ok(202) || took > AT_ONCE {
        scene.complain(format!(
            "respond-async was answered {status:?} after {took:?}"
        ));
    }
}
