//! What may break, each with what is expected of it.

mod acknowledgements_cut;
mod api_killed;
mod clocks_stepped;
mod database_cut;
mod database_frozen;
mod duplicate;
mod durable;
mod healthy;
mod join;
mod messages;
mod nats_cut;
mod nats_down;
mod outage;
mod postgres_killed;
mod redis;
mod rolling_restart;
mod sigterm;
mod validator_killed;
mod validator_starved;
mod validator_stopped;

use futures::future::LocalBoxFuture;

use crate::scene::Scene;
use crate::world::{Shape, World};

/// One thing that may break.
#[derive(Clone, Copy)]
pub struct Fault {
    /// What it is called.
    pub name: &'static str,
    /// What is expected, besides that no session is accepted that has ended.
    pub expected: &'static str,
    /// What it wants the world to be like.
    pub shape: Shape,
    /// Breaks it once and mends it. Done again until there were enough trials; at least once.
    pub round: for<'a> fn(&'a mut World, &'a Scene) -> LocalBoxFuture<'a, ()>,
}

/// All of them, in the order in which they are run.
pub const ALL: &[Fault] = &[
    healthy::FAULT,
    duplicate::FAULT,
    api_killed::FAULT,
    validator_killed::FAULT,
    validator_stopped::FAULT,
    validator_stopped::WITH_THE_USUAL_LEASE,
    validator_starved::FAULT,
    join::FAULT,
    nats_down::FAULT,
    nats_cut::OF_AN_API,
    nats_cut::OF_VALIDATORS,
    nats_cut::FROZEN,
    acknowledgements_cut::FAULT,
    messages::DROPPED,
    messages::DOUBLED,
    messages::REORDERED,
    messages::ALL_AT_ONCE,
    postgres_killed::FAULT,
    database_frozen::FAULT,
    database_cut::FAULT,
    redis::FLUSHED,
    redis::KILLED,
    clocks_stepped::OF_VALIDATORS,
    clocks_stepped::OF_REAPERS,
    clocks_stepped::OF_APIS,
    rolling_restart::FAULT,
    sigterm::FAULT,
    outage::OF_POSTGRES,
    outage::OF_NATS,
    outage::OF_THE_REAPERS,
    durable::FAULT,
];
