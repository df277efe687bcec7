use std::time::Duration;

use futures::future::join;

use super::{Pair, end_one, later, sample, started};
use crate::event::Actor;
use crate::ids::{Generation, Seq, Serial, TenantId};
use crate::port::{Rotate, RotateOutcome, StepUp};
use crate::revocation::LogEntry;
use crate::secret::Secret256;
use crate::session::{Authentication, NewSession, Over, RefreshVerdict, Session, Status};

fn step_up(of: &NewSession, seed: u8) -> StepUp {
    StepUp {
        tenant: of.draft().tenant.clone(),
        id: of.draft().id,
        authentication: Authentication {
            auth_time: later(30),
            acr: Some("aal2".into()),
            amr: vec!["pwd".into(), "otp".into()],
        },
        seed: Secret256([seed; 32]),
        at: later(30),
        actor: Actor::System,
    }
}

fn rotate(of: &NewSession, presented: u32, seed: u8) -> Rotate {
    Rotate {
        tenant: of.draft().tenant.clone(),
        id: of.draft().id,
        presented: Generation(presented),
        seed: Secret256([seed; 32]),
        at: later(31),
        grace: Duration::from_secs(10),
        actor: Actor::System,
    }
}

/// A new serial, and the old one dead: in the log, in the lists, and for good.
pub async fn a_step_up_ends_the_old_serial((store, log): Pair) {
    let new = sample::new_session(1, "alice");
    let before = started(&store, new.clone()).await;
    let done = store.apply(step_up(&new, 99)).await.unwrap();
    let done = done.unwrap().unwrap();
    assert!(done.session.serial > before.serial);
    assert_eq!(done.session.status, Status::Active);
    assert_eq!(done.fresh.entries, [LogEntry::Ended(vec![before.serial])]);
    assert_eq!(done.fresh.last(), log.head().await.unwrap().seq);
    let kept = store.find_for_refresh(before.id).await.unwrap().unwrap();
    assert_eq!(
        (&kept.session, kept.seed),
        (&done.session, Secret256([99; 32]))
    );
    let ended = || log.ended_serials(Serial(0), Serial(u64::MAX));
    assert_eq!(ended().await.unwrap(), [before.serial]);
    assert_eq!(log.snapshot(None).await.unwrap().lists, [0]);
    // The session's own end comes on top.
    end_one(&store, "default", before.id).await;
    assert_eq!(ended().await.unwrap(), [before.serial, done.session.serial]);
    assert_eq!(ended().await.unwrap().len(), 2);
    let range = log.ended_serials(before.serial, before.serial.next()).await;
    assert_eq!(range.unwrap(), [before.serial]);
}

/// What was handed out before is nobody's: no grace, and no theft.
pub async fn earlier_refresh_tokens_die_without_a_verdict((store, _): Pair) {
    const NOBODYS: RotateOutcome = RotateOutcome {
        judged: None,
        fresh: None,
    };
    let new = sample::new_session(1, "alice");
    started(&store, new.clone()).await;
    let stepped = store.apply(step_up(&new, 99)).await.unwrap();
    let generation = stepped.unwrap().unwrap().session.refresh.generation;
    for presented in 0..=generation.0 {
        assert_eq!(
            store.apply(rotate(&new, presented, 1)).await.unwrap(),
            NOBODYS
        );
    }
    let next = store.apply(rotate(&new, generation.0, 99)).await.unwrap();
    let (verdict, session) = next.judged.unwrap();
    assert_eq!(verdict, RefreshVerdict::Rotate);
    assert_eq!(session.status, Status::Active);
}

/// A refresh and a step-up at once: whichever is first, the session lives on with the credentials
/// of the step-up, and nobody is taken for a thief.
pub async fn a_step_up_beside_a_refresh_wins((store, log): Pair) {
    for number in 1..=20 {
        let new = sample::new_session(number, "alice");
        let seed = new.seed().0[0];
        started(&store, new.clone()).await;
        let (refreshed, stepped) = join(
            store.apply(rotate(&new, 0, seed)),
            store.apply(step_up(&new, 200)),
        )
        .await;
        if let Some((verdict, _)) = refreshed.unwrap().judged {
            assert_eq!(verdict, RefreshVerdict::Rotate);
        }
        let stepped = stepped.unwrap().unwrap().unwrap();
        let kept = store
            .find_for_refresh(stepped.session.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (kept.session, kept.seed),
            (stepped.session, Secret256([200; 32]))
        );
    }
    assert_eq!(log.head().await.unwrap().seq, Seq(20));
}

/// Neither an ended session nor one of another tenant; no serial is drawn for it.
pub async fn what_is_over_is_not_stepped_up((store, log): Pair) {
    let new = sample::new_session(1, "alice");
    let session: Session = started(&store, new.clone()).await;
    let elsewhere = StepUp {
        tenant: sample::tenant("other"),
        ..step_up(&new, 99)
    };
    assert_eq!(store.apply(elsewhere).await.unwrap(), None);
    let ended = end_one(&store, "default", session.id).await.ended.remove(0);
    let Status::Ended(ending) = ended.status else {
        panic!("not ended")
    };
    let refused = store.apply(step_up(&new, 99)).await.unwrap();
    assert_eq!(refused, Some(Err(Over::Ended(ending))));
    assert_eq!(log.head().await.unwrap().seq, Seq(1));
    let found = store.find(&TenantId::default(), session.id).await.unwrap();
    assert_eq!(found, Some(ended));
    let next = started(&store, sample::new_session(2, "alice")).await;
    assert_eq!(next.serial, session.serial.next());
}
