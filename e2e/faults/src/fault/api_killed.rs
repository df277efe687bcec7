//! An API is killed while it ends sessions: before the commit, after it, after the publication,
//! wherever each of them is in that moment.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "api_killed",
    expected: "clients end it through the other API; what was committed and not told is refused \
               from the 204 on all the same",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.settle().await;
    let victim = scene.one_of(world.apis.len());
    let program = &mut world.apis[victim].program;
    scene.strike();
    blocking(|| program.kill());
    scene.leave_between(0, 200).await;
    blocking(|| program.restart());
    blocking(|| world.eventually_ready());
}
