//! Everything is killed, one after the other, while sessions are started, refreshed, extended and
//! ended; commits wait for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use hyper::Method;
use serde_json::{Value, json};

use super::Fault;
use crate::life::Life;
use crate::scene::{Scene, blocking};
use crate::users::Users;
use crate::world::{Shape, World};

/// How many work at a time.
const WORKERS: usize = 16;

pub(super) const FAULT: Fault = Fault {
    name: "nothing_answered_is_lost",
    expected: "every answered start, refresh, extension and end is there afterwards",
    shape: Shape {
        revokers: 0,
        durable: true,
        ..Shape::USUAL
    },
    round: |world, scene| Box::pin(round(world, scene)),
};

/// What was answered about one session.
struct Answered {
    life: Arc<Life>,
    /// The refresh token of the newest answered refresh.
    refresh_token: String,
    /// The end answered by the newest extension.
    expires_at: Option<Value>,
    /// Whether its end was asked for, and answered.
    asked_to_end: bool,
    ended: bool,
}

async fn round(world: &mut World, scene: &Scene) {
    let over = AtomicBool::new(false);
    let workers = join_all((0..WORKERS).map(|worker| work(&scene.users, &over, worker)));
    let kills = async {
        scene.leave_between(100, 400).await;
        for victim in 0..world.nodes().count() {
            let program = world.nodes_mut().nth(victim).map(|node| &mut node.program);
            let program = program.expect("one of them");
            blocking(|| program.restart());
            scene.leave_between(20, 200).await;
        }
        blocking(|| world.deployment.nats.restart());
        scene.leave_between(200, 400).await;
        blocking(|| world.deployment.postgres.kill());
        over.store(true, Ordering::Relaxed);
        blocking(|| world.deployment.postgres.restart());
        blocking(|| world.eventually_ready());
    };
    let (answered, ()) = tokio::join!(workers, kills);
    let answered: Vec<_> = answered.into_iter().flatten().collect();
    let wrong = join_all(answered.iter().map(|one| look(&scene.users, one))).await;
    for wrong in wrong.into_iter().flatten() {
        scene.complain(wrong);
    }
    scene.tried(answered.len());
}

/// Starts, refreshes, extends and ends, and notes what is answered.
async fn work(users: &Users, over: &AtomicBool, worker: usize) -> Vec<Answered> {
    let mut all = Vec::new();
    for turn in worker.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let Some(life) = users.sign_in_at(turn % 2).await else {
            // Somebody is down; nobody is in a hurry.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let mut one = Answered {
            refresh_token: life.refresh_token.clone(),
            life,
            expires_at: None,
            asked_to_end: false,
            ended: false,
        };
        // A refresh without an answer may have happened: what comes next would be its reuse.
        let goes_on = match turn / 2 % 4 {
            0 => true,
            1 => refresh(users, turn % 2, &mut one).await,
            2 => extend(users, turn % 2, &mut one).await,
            _ => {
                one.asked_to_end = true;
                one.ended = users.end_at(&one.life, turn % 2).await;
                true
            }
        };
        if goes_on {
            all.push(one);
        }
    }
    all
}

/// Says whether it was answered.
async fn refresh(users: &Users, api: usize, one: &mut Answered) -> bool {
    let body = json!({ "refresh_token": one.refresh_token });
    let path = "/api/v1/sessions/refresh";
    let answer = users.ask(api, Method::POST, path, Some(&body), None).await;
    let Some(answer) = answer.ok().filter(|answer| answer.status == 200) else {
        return false;
    };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = body["refresh_token"].as_str().unwrap_or_default();
    token.clone_into(&mut one.refresh_token);
    true
}

/// Says whether it was answered.
async fn extend(users: &Users, api: usize, one: &mut Answered) -> bool {
    let body = json!({ "additional_seconds": 3_600 });
    let path = format!("/api/v1/sessions/{}/extend", one.life.id);
    let answer = users.ask(api, Method::POST, &path, Some(&body), None).await;
    let Some(answer) = answer.ok().filter(|answer| answer.status == 200) else {
        return false;
    };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let session = body.get("session").unwrap_or(&body);
    one.expires_at = session.get("expires_at").cloned();
    one.expires_at.is_some()
}

/// What is not as it was answered.
async fn look(users: &Users, one: &Answered) -> Option<String> {
    let id = &one.life.id;
    let shown = users.show(&one.life).await;
    let Some(shown) = shown else {
        return Some(format!("{id} was started and isn't there"));
    };
    if one.asked_to_end {
        let gone = one.ended && shown["status"] != "revoked";
        return gone.then(|| format!("{id} was ended and is {}", shown["status"]));
    }
    if shown["status"] != "active" {
        return Some(format!("{id} is {} and nobody ended it", shown["status"]));
    }
    if let Some(expires_at) = &one.expires_at
        && shown["expires_at"] != *expires_at
    {
        return Some(format!(
            "{id} was extended to {expires_at} and ends at {}",
            shown["expires_at"]
        ));
    }
    let mut again = Answered {
        life: Arc::clone(&one.life),
        refresh_token: one.refresh_token.clone(),
        expires_at: None,
        asked_to_end: false,
        ended: false,
    };
    let refreshed = refresh(users, 0, &mut again).await;
    (!refreshed).then(|| format!("{id}: the refresh token answered last isn't good"))
}
