//! One API can't reach PostgreSQL, in the middle of transactions.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "postgres_cut_from_api",
    expected: "nobody is told of an end that may not have been committed; the other API serves",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.settle().await;
    let victim = world.apis[scene.one_of(world.apis.len())].database();
    scene.open();
    victim.cut();
    scene.leave_between(50, 1_500).await;
    victim.heal();
    scene.close();
    blocking(|| world.eventually_ready());
}
