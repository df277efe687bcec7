//! Writing: events, grouping, and what survives a kill.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use session_domain::contract::log::entries;
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{Generation, Seq, TenantId, Version};
use session_domain::known_device::DeviceUpdate;
use session_domain::port::{
    Change, ChangeDevice, Eviction, Extend, ForgetDevice, RevocationLog, Rotate, SessionLimit,
    SessionStore, Start, StepUp, Update,
};
use session_domain::secret::Secret256;
use session_domain::session::{SessionUpdate, Status};
use session_store::OpenError;
use support::{directory, end, open, raw, start, try_open};

async fn event_types(path: &Path) -> Vec<String> {
    let db = raw(path).await;
    let select = Statement::from_string(
        DbBackend::Sqlite,
        "SELECT type FROM session_events ORDER BY id",
    );
    let rows = db.query_all_raw(select).await.unwrap();
    let update = db
        .execute_unprepared("UPDATE session_events SET at = 0")
        .await;
    assert!(
        rows.is_empty() || update.is_err(),
        "events must not be changed"
    );
    db.close().await.unwrap();
    rows.iter()
        .map(|row| row.try_get("", "type").unwrap())
        .collect()
}

#[tokio::test]
async fn every_change_writes_one_event_and_no_change_none() {
    let (_directory, path) = directory();
    let store = open(&path).await;
    start(&store, 1, "alice").await;
    let new = sample::new_session(1, "alice");
    let rotate = |presented, seconds| {
        Change::Rotate(Rotate {
            tenant: TenantId::default(),
            id: sample::session_id(1),
            presented: Generation(presented),
            seed: new.seed().clone(),
            at: sample::START.plus(std::time::Duration::from_secs(seconds)),
            grace: std::time::Duration::from_secs(10),
            actor: Actor::System,
        })
    };
    // Rotated; repeated; not issued; used before, so ended; ended already, twice.
    for change in [
        rotate(0, 1),
        rotate(0, 2),
        rotate(7, 2),
        rotate(0, 60),
        rotate(1, 61),
    ] {
        store.commit(change).await.unwrap();
    }
    end(&store, 1).await;
    // Started; started and evicted; refused.
    start(&store, 2, "bob").await;
    for (number, eviction) in [(3, Eviction::Oldest), (4, Eviction::Reject)] {
        let session = sample::new_session(number, "bob");
        let limit = Some(SessionLimit { max: 1, eviction });
        let change = Start {
            session,
            actor: Actor::System,
            limit,
            idempotency: None,
        };
        store.commit(Change::from(change)).await.unwrap();
    }
    store.close().await.unwrap();
    let (started, ended) = ("session_started", "session_ended");
    assert_eq!(
        event_types(&path).await,
        [started, "session_refreshed", ended, started, ended, started]
    );
}

#[tokio::test]
async fn concurrent_changes_share_transactions() {
    let (_directory, path) = directory();
    let store = open(&path).await;
    join_all((1..=500).map(|number| start(&store, number, "alice"))).await;
    let before = store.counts();
    join_all((1..=500).map(|number| end(&store, number))).await;
    let after = store.counts();
    assert_eq!(after.changes - before.changes, 500);
    let transactions = after.transactions - before.transactions;
    assert!(
        transactions <= 50,
        "{transactions} transactions for 500 changes"
    );
    assert_eq!(store.head().await.unwrap().seq, Seq(500));
}

/// Where the process below finds its file, and that it is to write at all.
const CHILD_PATH: &str = "SESSION_STORE_TEST_CHILD";

/// Not a test by itself: the process that the next one kills. Says each number once the session
/// with it has been started and ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD_PATH) else {
        return;
    };
    let store = open(Path::new(&path)).await;
    let writers = (0..8_u128).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in (0..).map(|round: u128| 1 + writer + round * 8) {
                start(&store, number, "alice").await;
                end(&store, number).await;
                println!("answered {number}");
            }
        })
    });
    join_all(writers).await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_has_answered() {
    let (_directory, path) = directory();
    for round in 1..=3 {
        // Each round's process goes on with a store of its own size, over what the last one left.
        let path = path.with_extension(round.to_string());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "child_that_writes_until_it_is_killed",
                "--exact",
                "--nocapture",
            ])
            .env(CHILD_PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut answered = Vec::new();
        for line in lines.map_while(Result::ok) {
            // The harness may have begun the line.
            let Some((_, number)) = line.split_once("answered ") else {
                continue;
            };
            answered.push(number.parse::<u128>().unwrap());
            if answered.len() == 100 * round {
                assert!(matches!(try_open(&path).await, Err(OpenError::InUse)));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(
            answered.len() >= 100 * round,
            "the child ended by itself: {answered:?}"
        );

        let store = open(&path).await;
        for number in answered {
            let found = store
                .find(&TenantId::default(), sample::session_id(number))
                .await
                .unwrap();
            assert!(
                matches!(found.unwrap().status, Status::Ended(_)),
                "{number} was answered"
            );
        }
        let head = store.head().await.unwrap().seq;
        let entries = entries(&*store, Seq(0), u32::MAX).await;
        assert_eq!(entries.len() as u64, head.0, "numbers without gaps");
        store.close().await.unwrap();
        let events = event_types(&path).await;
        let ended = events
            .iter()
            .filter(|event| *event == "session_ended")
            .count();
        assert_eq!(ended as u64, head.0, "one event for each ended session");
    }
}

#[tokio::test]
async fn every_change_of_a_living_session_writes_one_event_and_a_refusal_none() {
    let (_directory, path) = directory();
    let store = open(&path).await;
    let session = start(&store, 1, "alice").await;
    let at = sample::START.plus(std::time::Duration::from_secs(1));
    let (tenant, id, actor) = (TenantId::default(), session.id, Actor::System);
    let update = |version| {
        let update = SessionUpdate {
            version: Some(Version(version)),
            device_name: Some(None),
            ..SessionUpdate::default()
        };
        Change::Update(Box::new(Update {
            tenant: tenant.clone(),
            id,
            update,
            at,
            actor: actor.clone(),
        }))
    };
    let extend = Change::Extend(Extend {
        tenant: tenant.clone(),
        id,
        by: std::time::Duration::from_secs(86_400),
        at,
        actor: actor.clone(),
    });
    let step_up = Change::StepUp(Box::new(StepUp {
        tenant: tenant.clone(),
        id,
        authentication: session.authentication.clone(),
        seed: Secret256([9; 32]),
        at,
        actor: actor.clone(),
    }));
    let device = |user: &str| {
        Change::ChangeDevice(ChangeDevice {
            tenant: tenant.clone(),
            user: sample::user(user),
            id: session.device_id(),
            update: DeviceUpdate::default(),
            at,
            actor: actor.clone(),
        })
    };
    let forget = Change::ForgetDevice(ForgetDevice {
        tenant: tenant.clone(),
        user: session.user.clone(),
        id: session.device_id(),
        at,
        actor: actor.clone(),
        batch: 10,
    });
    // Extended, then at its absolute end; updated, then for a version that is gone; stepped up;
    // the device changed, and not by a stranger; forgotten with its session, and nothing is left
    // to change, step up or forget.
    let changes = [
        extend.clone(),
        extend,
        update(2),
        update(2),
        step_up.clone(),
        device("alice"),
        device("bob"),
        forget.clone(),
        forget,
        update(5),
        step_up,
    ];
    for change in changes {
        store.commit(change).await.unwrap();
    }
    assert_eq!(
        event_types(&path).await,
        [
            "session_started",
            "session_extended",
            "session_updated",
            "session_stepped_up",
            "device_changed",
            "device_forgotten",
            "session_ended",
        ]
    );
}
