//! A validator is killed while sessions end, and another takes its place at once.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "validator_killed",
    expected: "its lease is waited out, and its replacement knows of every end",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.settle().await;
    let victim = scene.one_of(world.validators.len());
    let program = &mut world.validators[victim].program;
    scene.strike();
    blocking(|| program.kill());
    scene.leave_between(0, 100).await;
    blocking(|| program.restart());
    blocking(|| world.eventually_ready());
}
