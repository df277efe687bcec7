//! Some can't reach NATS, while others do.

use super::Fault;
use crate::scene::{Scene, blocking};
use crate::world::{Node, Shape, World};

pub(super) const OF_AN_API: Fault = Fault {
    name: "nats_cut_from_api",
    expected: "the API that can't publish waits leases out; the other one serves validators",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(of_an_api(world, scene)),
};

pub(super) const OF_VALIDATORS: Fault = Fault {
    name: "nats_cut_from_validators",
    expected: "validators that hear nothing stop accepting when their leases run out",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(of_validators(world, scene)),
};

pub(super) const FROZEN: Fault = Fault {
    name: "nats_frozen",
    expected: "connections that are open and carry nothing, one way or both, are no different",
    shape: Shape::USUAL,
    round: |world, scene| Box::pin(frozen(world, scene)),
};

async fn of_an_api(world: &mut World, scene: &Scene) {
    let victim = &world.apis[scene.one_of(world.apis.len())];
    cut(&[victim], scene).await;
    blocking(|| world.eventually_ready());
}

async fn of_validators(world: &mut World, scene: &Scene) {
    let some = scene.one_of(world.validators.len()) + 1;
    let victims: Vec<_> = world.validators.iter().take(some).collect();
    cut(&victims, scene).await;
    blocking(|| world.eventually_ready());
}

async fn cut(victims: &[&Node], scene: &Scene) {
    scene.open();
    for victim in victims {
        victim.nats().cut();
    }
    scene.leave_between(300, 3_000).await;
    for victim in victims {
        victim.nats().heal();
    }
    scene.close();
}

async fn frozen(world: &mut World, scene: &Scene) {
    use session_testkit::proxy::{Proxy, Way};
    let freezes: [fn(&Proxy); 3] = [
        |link| link.freeze_way(Way::ToServer),
        |link| link.freeze_way(Way::ToClient),
        Proxy::freeze,
    ];
    let freeze = freezes[scene.one_of(freezes.len())];
    let everybody: Vec<_> = world.apis.iter().chain(&world.validators).collect();
    let victims = [0; 2].map(|_| everybody[scene.one_of(everybody.len())].nats());
    scene.open();
    victims.into_iter().for_each(freeze);
    scene.leave_between(300, 3_000).await;
    victims.into_iter().for_each(Proxy::heal);
    scene.close();
    blocking(|| world.eventually_ready());
}
