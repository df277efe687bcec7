//! Nothing is broken.

use std::time::Duration;

use super::Fault;
use crate::scene::Scene;
use crate::world::{Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "healthy",
    expected: "every end is answered at once",
    shape: Shape {
        lease_seconds: 5,
        links: false,
        ..Shape::USUAL
    },
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(_: &mut World, scene: &Scene) {
    scene.open();
    scene.leave(Duration::from_secs(1)).await;
    scene.close();
}
