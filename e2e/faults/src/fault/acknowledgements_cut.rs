//! Validators hear everything and renew their leases, but nobody hears what they acknowledge.

use std::time::Duration;

use session_testkit::proxy::{Mishap, Way};

use super::Fault;
use crate::scene::Scene;
use crate::world::{Shape, World};

/// Where acknowledgements go.
const SUBJECT: &str = "session.ack";

pub(super) const FAULT: Fault = Fault {
    name: "acknowledgements_cut",
    expected: "ends wait leases out, each of them, for as long as it lasts",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(round(world, scene)),
};

async fn round(world: &mut World, scene: &Scene) {
    let before: u64 = dropped(world);
    scene.open();
    for validator in &world.validators {
        validator
            .nats()
            .meet(Mishap::to(Way::ToServer, SUBJECT).dropped(1_000));
    }
    scene.leave(Duration::from_secs(4)).await;
    for validator in &world.validators {
        validator.nats().mend();
    }
    scene.close();
    if dropped(world) == before {
        scene.complain("no acknowledgement was lost".to_owned());
    }
}

fn dropped(world: &World) -> u64 {
    let links = world.validators.iter().map(|one| one.nats().mishaps());
    links.map(|mishaps| mishaps.dropped).sum()
}
