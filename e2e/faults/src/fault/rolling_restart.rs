//! Every process is replaced, one after the other, under full load.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "rolling_restart",
    expected: "ends are answered at once all the while, and every process stops by itself",
    shape: Shape {
        links: false,
        revokers: 64,
        stock: 60,
        ..Shape::USUAL
    },
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.settle().await;
    scene.open();
    for node in world.nodes_mut() {
        let program = &mut node.program;
        if !blocking(|| program.terminate()) {
            let name = program.role().program();
            scene.complain(format!(
                "{name} doesn't stop well when told to:\n{}",
                program.log()
            ));
        }
        blocking(|| program.restart());
        blocking(|| program.eventually_ready());
    }
    scene.close();
}
