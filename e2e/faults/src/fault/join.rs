//! Validators leave, politely, and others join, while sessions end.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "join_during_revoke",
    expected: "who leaves isn't waited for; who joins knows of every end it isn't asked about",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.settle().await;
    let victim = scene.one_of(world.validators.len());
    let program = &mut world.validators[victim].program;
    if !blocking(|| program.terminate()) {
        scene.complain("a validator doesn't stop well when told to".to_owned());
    }
    scene.open();
    blocking(|| program.restart());
    blocking(|| world.eventually_ready());
    scene.close();
}
