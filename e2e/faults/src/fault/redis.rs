//! Redis forgets everything, or is gone for a while.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

const SHAPE: Shape = Shape {
    redis: true,
    ..Shape::USUAL
};

pub(super) const FLUSHED: Fault = Fault {
    name: "redis_flushed",
    expected: "nothing: Redis never says whether a session lives",
    shape: SHAPE,
    round: |world, scene| Box::pin(flushed(world, scene)),
};

pub(super) const KILLED: Fault = Fault {
    name: "redis_killed",
    expected: "nothing, but that some answers take longer",
    shape: SHAPE,
    round: |world, scene| Box::pin(killed(world, scene)),
};

async fn flushed(world: &mut World, scene: &Scene) {
    scene.open();
    for _ in 0..5 {
        if let Some(redis) = &world.deployment.redis {
            let said = blocking(|| redis.say("FLUSHALL"));
            if said != "+OK" {
                scene.complain(format!("FLUSHALL: {said}"));
            }
        }
        scene.leave_between(0, 100).await;
    }
    scene.close();
}

async fn killed(world: &mut World, scene: &Scene) {
    let redis = world.deployment.redis.as_mut();
    let redis = redis.expect("a world with Redis");
    scene.open();
    blocking(|| redis.kill());
    scene.leave_between(100, 2_000).await;
    blocking(|| redis.restart());
    scene.leave_between(100, 300).await;
    scene.close();
    blocking(|| world.eventually_ready());
}
