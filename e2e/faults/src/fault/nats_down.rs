//! NATS is killed, and comes back.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "nats_down",
    expected: "ends wait leases out; validators say that they don't know, and know again afterwards",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.open();
    blocking(|| world.deployment.nats.kill());
    // Shorter than a lease, or longer than one is waited for.
    scene.leave_between(200, 3_500).await;
    blocking(|| world.deployment.nats.restart());
    blocking(|| world.eventually_ready());
    scene.close();
}
