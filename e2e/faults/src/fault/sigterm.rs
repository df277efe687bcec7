//! An API is told to stop while requests are under way.

use std::time::Duration;

use super::Fault;
use crate::moment::Moment;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

/// How long a request may be on its way before it is taken: what a server closes an idle connection
/// on, HTTP/1.1 can't tell from what never arrived.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

pub(super) const FAULT: Fault = Fault {
    name: "sigterm_under_load",
    expected: "every request that was under way is answered",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    scene.settle().await;
    let victim = scene.one_of(world.apis.len());
    let program = &mut world.apis[victim].program;
    scene.strike();
    let told = Moment::now();
    if !blocking(|| program.terminate()) {
        scene.complain(format!(
            "the API doesn't stop well when told to:\n{}",
            program.log()
        ));
    }
    blocking(|| program.restart());
    blocking(|| program.eventually_ready());
    let lives = scene.users.lives();
    let lost: Vec<_> = lives
        .iter()
        .filter_map(|life| life.lost_at(victim, told))
        .filter(|(age, _)| *age >= ON_ITS_WAY)
        .collect();
    if !lost.is_empty() {
        scene.complain(format!(
            "{} requests were taken and not answered; begun so long before SIGTERM, and cut so \
             long after it: {lost:?}",
            lost.len()
        ));
    }
}
