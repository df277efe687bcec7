//! A PostgreSQL database that is restored from a backup while validators live on: what was ended
//! before it stays ended, what it never heard of is dead, and what is ended afterwards is waited
//! for as always. The machines are the domain's own, on a clock of the test's.

mod support;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{EventId, InstanceId, Serial, TenantId};
use session_domain::port::{
    End, EndOutcome, EventOutbox, RevocationLog, SessionStore, Start, StartOutcome, Targets, Why,
};
use session_domain::revocation::{
    Acknowledgement, FenceId, Fences, FencesAction, Follower, FollowerAction, FollowerConfig, Head,
    ListBits, LogRun, Publication, RevocationState, Standing, StatusList,
};
use session_domain::session::EndReason;
use session_domain::time::BootInstant;
use session_store::PostgresStore;
use session_testkit::servers::Database;
use support::postgres::{database, open};

const LEASE: Duration = Duration::from_secs(5);

/// A validator's follower, answered by the store itself.
struct Validator {
    follower: Follower,
    state: Arc<RevocationState>,
}

impl Validator {
    fn new(number: u128) -> Self {
        let state = Arc::new(RevocationState::new());
        let instance = InstanceId(uuid::Uuid::from_u128(number));
        let follower = Follower::new(instance, Arc::clone(&state), FollowerConfig::default());
        Self { follower, state }
    }

    /// Does what is due, and what follows from that; gives the last acknowledgement.
    async fn work(&mut self, store: &PostgresStore, now: BootInstant) -> Option<Acknowledgement> {
        let mut said = None;
        for _ in 0..20 {
            for action in self.follower.poll(now) {
                match action {
                    FollowerAction::RequestGrant(request) => {
                        let reply = store.grant(&request, LEASE).await.unwrap();
                        self.follower.on_grant_reply(now, reply);
                    }
                    FollowerAction::FetchSnapshot(mark) => {
                        let part = store.snapshot(mark.as_ref()).await.unwrap();
                        self.follower.on_snapshot(now, &part);
                    }
                    FollowerAction::FetchList(list) => {
                        self.follower.on_list(now, &bits(store, list).await);
                    }
                    FollowerAction::FetchEntries { epoch, after } => {
                        let from = Head { epoch, seq: after };
                        match store.entries(from, 100).await.unwrap() {
                            LogRun::Entries(entries) => {
                                let run = Publication {
                                    epoch,
                                    after,
                                    entries,
                                };
                                self.follower.on_entries(now, run);
                            }
                            LogRun::Pruned | LogRun::Foreign { .. } => {
                                self.follower.on_entries_gone(now, epoch);
                            }
                        }
                    }
                    FollowerAction::Acknowledge(ack) => said = Some(ack),
                }
            }
        }
        said
    }

    fn accepts(&self, now: BootInstant, serial: Serial) -> bool {
        let live = self.state.standing(&TenantId::default(), serial) == Standing::Live;
        now < self.state.deadline() && live
    }
}

async fn bits(store: &PostgresStore, list: u64) -> ListBits {
    let head = store.head().await.unwrap();
    let (from, bits) = (Serial::at(list, 0).unwrap(), StatusList::new());
    let to = Serial::at(list + 1, 0).unwrap();
    for serial in store.ended_serials(from, to).await.unwrap() {
        bits.end(serial.place().1);
    }
    let bits = bits.to_bytes();
    ListBits { head, list, bits }
}

async fn start(store: &PostgresStore, number: u128) -> Serial {
    let change = Start {
        session: sample::new_session(number, "alice"),
        actor: Actor::System,
        limit: None,
        idempotency: None,
    };
    let store: &dyn SessionStore = store;
    match store.apply(change).await.unwrap() {
        StartOutcome::Started { session, .. } => session.serial,
        other => panic!("{other:?}"),
    }
}

async fn end(store: &PostgresStore, number: u128) -> EndOutcome {
    let change = End {
        targets: Targets::One {
            tenant: TenantId::default(),
            id: sample::session_id(number),
        },
        why: Why::Because {
            reason: EndReason::Logout,
            note: None,
        },
        at: sample::START,
        actor: Actor::System,
        batch: 1,
    };
    let store: &dyn SessionStore = store;
    store.apply(change).await.unwrap()
}

/// Commits an end and begins to wait for it.
async fn fence(
    store: &PostgresStore,
    fences: &mut Fences,
    now: BootInstant,
    number: u128,
) -> (FenceId, Publication) {
    let fresh = end(store, number).await.fresh.expect("it ends now");
    let through = Head {
        epoch: fresh.epoch,
        seq: fresh.last(),
    };
    let holders = store.holders().await.unwrap();
    let id = fences.begin(now, through, holders);
    (id.expect("of the epoch in force"), fresh)
}

/// The number of the last event.
async fn last_event(store: &PostgresStore) -> EventId {
    let events = store.unrelayed(1_000).await.unwrap();
    events.last().expect("something has happened").id
}

/// Runs a statement beside the database.
async fn administer(database: &Database<'_>, sql: &str) {
    let (server, _) = database.url().rsplit_once('/').map(own).unwrap();
    let admin = sea_orm::Database::connect(format!("{server}/postgres"))
        .await
        .unwrap();
    admin.execute_unprepared(sql).await.unwrap();
    admin.close().await.unwrap();
}

fn own((server, name): (&str, &str)) -> (String, String) {
    (server.to_owned(), name.to_owned())
}

fn opens(fences: &mut Fences, now: BootInstant, id: FenceId) -> bool {
    fences.take_if_open(now, id) || fences.poll(now).contains(&FencesAction::Open(id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn nothing_that_was_ended_is_accepted_after_a_restored_backup() {
    let database = database();
    let (_, name) = database.url().rsplit_once('/').map(own).unwrap();
    let backup = format!("{name}_backup");
    let start_of_time = BootInstant(1_000_000_000_000);
    let mut now = start_of_time;
    let store = open(&database).await;
    let mut serials = vec![Serial(0)];
    for number in 1..=5 {
        serials.push(start(&store, number).await);
    }
    let (mut one, mut other) = (Validator::new(1), Validator::new(2));
    let mut fences = Fences::new();
    one.work(&store, now).await;
    let (id, fresh) = fence(&store, &mut fences, now, 1).await;
    assert!(!opens(&mut fences, now, id), "its lease is waited for");
    one.follower.on_publication(now, fresh);
    let ack = one.work(&store, now).await.expect("an acknowledgement");
    fences.on_acknowledgement(&ack);
    assert!(opens(&mut fences, now, id), "answered: 1 has ended");
    store.close().await;
    administer(
        &database,
        &format!("CREATE DATABASE {backup} TEMPLATE {name}"),
    )
    .await;

    // What the backup doesn't know: an end, a start, a lease.
    let store = open(&database).await;
    let before = store.head().await.unwrap();
    let (id, fresh) = fence(&store, &mut fences, now, 2).await;
    one.follower.on_publication(now, fresh);
    fences.on_acknowledgement(&one.work(&store, now).await.unwrap());
    assert!(opens(&mut fences, now, id), "answered: 2 has ended");
    serials.push(start(&store, 6).await);
    let lost_event = last_event(&store).await;
    other.work(&store, now).await;
    assert!(one.accepts(now, serials[6]) && other.accepts(now, serials[6]));
    store.close().await;
    administer(&database, &format!("DROP DATABASE {name}")).await;
    administer(
        &database,
        &format!("ALTER DATABASE {backup} RENAME TO {name}"),
    )
    .await;

    let store = open(&database).await;
    let holders = store.holders().await.unwrap();
    assert_ne!(
        holders.head.epoch, before.epoch,
        "another history, another epoch"
    );
    assert!(
        !holders.settled,
        "leases may be held that it knows nothing of"
    );
    assert_eq!(holders.leases.len(), 1, "such as this one");
    let fresh_start = start(&store, 7).await;
    assert!(
        fresh_start.0 > serials[6].0 + (1 << 32),
        "no serial twice: {fresh_start}"
    );
    serials.push(fresh_start);
    let fresh_event = last_event(&store).await;
    assert!(
        fresh_event.0 > lost_event.0 + (1 << 32),
        "no event's number twice: {fresh_event}"
    );

    // The validators' leases of before run on; what they knew to be ended, they refuse.
    now = now.plus(Duration::from_millis(100));
    for validator in [&one, &other] {
        assert!(!validator.accepts(now, serials[1]) && !validator.accepts(now, serials[2]));
        assert!(validator.accepts(now, serials[3]));
    }
    // An end in the new epoch: the one that hears of it rejoins and acknowledges; the other, whose
    // lease nobody knows of any more, has to be outlived.
    let (id, fresh) = fence(&store, &mut fences, now, 3).await;
    one.follower.on_publication(now, fresh);
    fences.on_acknowledgement(
        &one.work(&store, now)
            .await
            .expect("it follows the new epoch"),
    );
    assert_eq!(one.follower.applied().unwrap().epoch, holders.head.epoch);
    for dead in [1, 2, 3, 6] {
        assert!(!one.accepts(now, serials[dead]), "{dead}");
    }
    for live in [4, 5, 7] {
        assert!(one.accepts(now, serials[live]), "{live}");
    }
    let (mut told, mut answered) = (false, false);
    while !answered {
        now = now.plus(Duration::from_millis(10));
        for action in fences.poll(now) {
            match action {
                FencesAction::Settle(epoch) => {
                    store.settle(epoch).await.unwrap();
                    told = true;
                }
                FencesAction::Open(open) => answered |= open == id,
                FencesAction::Resend(_) | FencesAction::Forget { .. } => {}
            }
        }
        assert!(
            answered || now < start_of_time.plus(LEASE * 3),
            "never answered"
        );
    }
    assert!(
        now > start_of_time.plus(LEASE),
        "answered only now: 3 has ended"
    );
    assert!(!other.accepts(now, serials[3]), "whose lease is over");
    assert!(told, "the log is told");
    assert!(store.holders().await.unwrap().settled);

    // Whoever starts now knows what the database knows: the end of 2 is lost, the rest is not.
    let mut newcomer = Validator::new(3);
    newcomer.work(&store, now).await;
    other.work(&store, now).await;
    for validator in [&newcomer, &other] {
        for dead in [1, 3, 6] {
            assert!(!validator.accepts(now, serials[dead]), "{dead}");
        }
        assert!(validator.accepts(now, serials[4]) && validator.accepts(now, serials[7]));
    }
    assert!(
        newcomer.accepts(now, serials[2]),
        "nobody can know of a lost end"
    );
    store.close().await;
}
