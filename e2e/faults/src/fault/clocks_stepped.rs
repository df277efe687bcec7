//! Wall clocks are set, an hour forwards and back, wherever processes run.

use std::time::Duration;

use session_testkit::deployment::Role;

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Node, Shape, World};

const HOUR: i64 = 3_600;

const SHAPE: Shape = Shape {
    clocks: true,
    ..Shape::USUAL
};

pub(super) const OF_VALIDATORS: Fault = Fault {
    name: "clocks_of_validators",
    expected: "nothing: they measure by the boot clock, and are told the time",
    shape: SHAPE,
    round: |world, scene| Box::pin(round(world, scene, &[Role::Validator])),
};

pub(super) const OF_REAPERS: Fault = Fault {
    name: "clocks_of_reapers",
    expected: "nothing that lives is ended: what is overdue, the database's clock decides",
    shape: SHAPE,
    round: |world, scene| Box::pin(round(world, scene, &[Role::Reaper])),
};

pub(super) const OF_APIS: Fault = Fault {
    name: "clocks_of_apis",
    expected: "nothing: they go by the database's clock",
    shape: SHAPE,
    round: |world, scene| Box::pin(round(world, scene, &[Role::Api])),
};

async fn round(world: &mut World, scene: &Scene, whose: &[Role]) {
    let nodes = world
        .nodes()
        .filter(|node| whose.contains(&node.program.role()));
    let victims: Vec<_> = nodes.collect();
    scene.open();
    for _ in 0..4 {
        let victim = victims[scene.one_of(victims.len())];
        set(victim, [HOUR, -HOUR][scene.one_of(2)]);
        scene.leave(Duration::from_millis(500)).await;
    }
    for node in &victims {
        set(node, 0);
    }
    scene.close();
    blocking(|| world.eventually_ready());
}

fn set(node: &Node, seconds: i64) {
    let skew = node.skew.as_ref();
    skew.expect("a world with clocks that can be set")
        .set(seconds);
}
