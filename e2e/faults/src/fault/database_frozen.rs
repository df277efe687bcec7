//! PostgreSQL takes everything and answers nothing, for a while.

use session_testkit::proxy::Proxy;

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Node, Shape, World};

pub(super) const FAULT: Fault = Fault {
    name: "postgres_frozen",
    expected: "ends take as much longer, or fail and are asked for again",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    let links = || world.apis.iter().chain(&world.reapers).map(Node::database);
    scene.open();
    links().for_each(Proxy::freeze);
    scene.leave_between(300, 3_000).await;
    links().for_each(Proxy::heal);
    scene.close();
    blocking(|| world.eventually_ready());
}
