//! NATS forgets, repeats itself and gets things in the wrong order.

use std::time::Duration;

use session_testkit::proxy::{Mishap, Mishaps, Way};

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Shape, World};

/// Everything a deployment says begins with one of these: what is broadcast and asked, and what is
/// answered.
const SUBJECTS: [&str; 2] = ["session.", "_INBOX_"];

/// How late messages are.
const LATE: Duration = Duration::from_millis(150);

pub(super) const DROPPED: Fault = Fault {
    name: "messages_dropped",
    expected: "what is lost is sent again, or fetched: it costs time",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene, |mishap| mishap.dropped(300))),
};

pub(super) const DOUBLED: Fault = Fault {
    name: "messages_doubled",
    expected: "what comes twice is taken once",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene, |mishap| mishap.doubled(500))),
};

pub(super) const REORDERED: Fault = Fault {
    name: "messages_reordered",
    expected: "what comes too early waits; what comes too late is recognised",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene, |mishap| mishap.late(500, LATE))),
};

pub(super) const ALL_AT_ONCE: Fault = Fault {
    name: "messages_all_at_once",
    expected: "all of it together",
    shape: Shape::USUAL,
    round: |world, scene| {
        let all = |mishap: Mishap| mishap.dropped(200).doubled(300).late(300, LATE * 10);
        Box::pin(round(world, scene, all))
    },
};

async fn round(world: &mut World, scene: &Scene, of: fn(Mishap) -> Mishap) {
    let before = mishaps(world);
    scene.open();
    for node in world.nodes() {
        for subject in SUBJECTS {
            for way in [Way::ToServer, Way::ToClient] {
                node.nats().meet(of(Mishap::to(way, subject)));
            }
        }
    }
    scene.leave(Duration::from_secs(3)).await;
    for node in world.nodes() {
        node.nats().mend();
    }
    scene.close();
    if mishaps(world) == before {
        scene.complain("no message met with anything".to_owned());
    }
    blocking(|| world.eventually_ready());
}

fn mishaps(world: &World) -> Mishaps {
    let mut all = Mishaps::default();
    for node in world.nodes() {
        all += node.nats().mishaps();
    }
    all
}
