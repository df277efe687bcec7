//! PostgreSQL is killed, and recovers.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "postgres_killed",
    expected: "nothing is answered that isn't committed; sessions are accepted from memory as long \
               as leases last",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.settle().await;
    scene.open();
    blocking(|| world.deployment.postgres.kill());
    scene.leave_between(100, 2_500).await;
    blocking(|| world.deployment.postgres.restart());
    scene.close();
    blocking(|| world.eventually_ready());
}
