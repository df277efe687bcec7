//! Something of ours is away for less than sessions may be idle.

use std::sync::Arc;
use std::time::Duration;

use super::Fault;
use crate::life::{Life, Said};
use crate::load::Load;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

/// How long a session may be unused, in these worlds.
const IDLE: Duration = Duration::from_secs(10);

/// How long the outage is: less, and less still when it takes a while until all is well again.
const OUTAGE: Duration = Duration::from_secs(4);

/// How often users come back while all is well.
const VISIT_EVERY: Duration = Duration::from_millis(500);

const SHAPE: Shape = Shape {
    revokers: 0,
    settings: &[("SESSION_SESSION__IDLE_TIMEOUT", "10s")],
    ..Shape::USUAL
};

pub(super) const OF_POSTGRES: Fault = Fault {
    name: "outage_of_postgres",
    expected: "nobody is logged out by it",
    shape: SHAPE,
    round: |world, scene| {
        Box::pin(round(
            world,
            scene,
            |world| world.deployment.postgres.kill(),
            |world| {
                world.deployment.postgres.restart();
            },
        ))
    },
};

pub(super) const OF_NATS: Fault = Fault {
    name: "outage_of_nats",
    expected: "nobody is logged out by it",
    shape: SHAPE,
    round: |world, scene| {
        Box::pin(round(
            world,
            scene,
            |world| world.deployment.nats.kill(),
            |world| {
                world.deployment.nats.restart();
            },
        ))
    },
};

pub(super) const OF_THE_REAPERS: Fault = Fault {
    name: "outage_of_reapers",
    expected: "nobody is logged out by it",
    shape: SHAPE,
    round: |world, scene| Box::pin(round(world, scene, kill_reapers, restart_reapers)),
};

fn kill_reapers(world: &mut World) {
    for node in &mut world.reapers {
        node.program.kill();
    }
}

fn restart_reapers(world: &mut World) {
    for node in &mut world.reapers {
        node.program.restart();
    }
}

async fn round(
    world: &mut World,
    scene: &Scene,
    break_it: fn(&mut World),
    mend_it: fn(&mut World),
) {
    let starts = futures::future::join_all((0..scene.wanted).map(|_| scene.users.sign_in()));
    let lives = starts.await;
    let unused = scene.users.sign_in().await;
    visits(scene, &lives, OUTAGE / 2).await;
    blocking(|| break_it(world));
    // Users try all the same, and get an answer or not.
    visits(scene, &lives, OUTAGE).await;
    blocking(|| mend_it(world));
    blocking(|| world.eventually_ready());
    // For longer than they may be idle, so that it is their use alone that keeps them.
    visits(scene, &lives, IDLE + OUTAGE).await;
    let asked = Load::each(lives, 32, async |life| scene.users.visit(&life, 0).await).await;
    let of = |which| asked.iter().filter(|said| **said == which).count();
    let (refused, unknown) = (of(Said::Refused), of(Said::Nothing));
    if refused + unknown > 0 {
        let all = asked.len();
        scene.complain(format!(
            "{refused} of {all} were logged out, {unknown} can't be known"
        ));
    }
    scene.tried(asked.len());
    // What isn't used does end, or nothing of this means anything.
    if scene.users.status(&unused).await.as_deref() == Some("active") {
        let logs = world.reapers.iter().map(|node| node.program.log());
        scene.complain(format!(
            "idle sessions don't end:\n{}",
            logs.collect::<String>()
        ));
    }
}

/// Every session is used at every other validator, again and again.
async fn visits(scene: &Scene, lives: &[Arc<Life>], span: Duration) {
    let mut left = span;
    while !left.is_zero() {
        let pause = left.min(VISIT_EVERY);
        scene.leave(pause).await;
        left -= pause;
        let visit = async |life: Arc<Life>| {
            let validator = scene.one_of(scene.users.validators());
            // What can't be known right now takes as long as it takes: people come back.
            let asked = scene.users.visit(&life, validator);
            let _ = tokio::time::timeout(VISIT_EVERY, asked).await;
        };
        Load::each(lives.to_vec(), 64, visit).await;
    }
}
