//! Validators stand still again and again, for less than the pause allowance each time.

use super::Fault;
use crate::scene::Scene;
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "validator_starved",
    expected: "ends take as much longer as validators stand still",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.open();
    for _ in 0..8 {
        let victim = &world.validators[scene.one_of(world.validators.len())].program;
        victim.stop();
        scene.leave_between(1, 300).await;
        victim.resume();
        scene.leave_between(0, 30).await;
    }
    let victim = &world.validators[scene.one_of(world.validators.len())].program;
    victim.stop();
    scene.leave_between(500, 950).await;
    victim.resume();
    scene.close();
}
