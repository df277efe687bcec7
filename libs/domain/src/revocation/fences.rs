//! The machine that waits until every follower knows. Without I/O: it is told which leases there
//! are and what was acknowledged, and [`Fences::poll`] says who may go on.

#[cfg(any(test, feature = "contract"))]
mod fork;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use crate::ids::{InstanceId, LogEpoch};
use crate::revocation::{
    Acknowledgement, AllGuards, CLOCK_ERROR_PER_MILLE, Guards, Head, Holders, Lease,
    PAUSE_ALLOWANCE,
};
use crate::time::BootInstant;

/// How long an unacknowledged entry waits before it is sent again.
const RESEND_AFTER: Duration = Duration::from_millis(50);

/// One wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FenceId(u64);

/// What the driver shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FencesAction {
    /// Nobody can answer from a state before this fence's entry any more.
    Open(FenceId),
    /// Publish this entry again: somebody hasn't acknowledged it.
    Resend(Head),
    /// This lease ran out long ago: delete it, if its counter is still this.
    Forget {
        /// Whose.
        instance: InstanceId,
        /// Only if this is still its counter.
        counter: u64,
    },
    /// Every lease that epochs before this one may have granted has run out: say so to the log.
    Settle(LogEpoch),
}

#[derive(Debug, Clone)]
struct Wait {
    through: Head,
    /// Not before then, whatever anybody says.
    held_until: BootInstant,
    /// Who hasn't acknowledged yet, and when its lease is over at the latest.
    leases: Vec<(Lease, BootInstant)>,
    resend_at: BootInstant,
}

/// Since when, on our own boot clock, a lease has had the counter it has.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    counter: u64,
    since: BootInstant,
    over: BootInstant,
}

impl Wait {
    fn is_open(&self, now: BootInstant) -> bool {
        self.leases.is_empty() && self.held_until <= now
    }
}

/// An epoch in which leases of epochs before it may be held that the log doesn't know of.
#[derive(Debug, Clone, Copy)]
struct Hold {
    until: BootInstant,
    /// Whether the log was told that it is over.
    told: bool,
}

/// All the waits of one process.
#[derive(Debug, Clone, Default)]
pub struct Fences<G = AllGuards> {
    waits: BTreeMap<FenceId, Wait>,
    /// In order, so that a simulation of it is the same every time.
    sightings: BTreeMap<InstanceId, Sighting>,
    holds: BTreeMap<LogEpoch, Hold>,
    last: u64,
    guards: PhantomData<G>,
}

impl Fences {
    /// Nobody waits.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<G: Guards> Fences<G> {
    /// How long a lease of `duration` is waited for once it has been seen: its holder may have
    /// stood still together with its clock, and our own clock may run fast.
    fn outlives(duration: Duration) -> Duration {
        let pause = if G::PAUSE_ALLOWED_FOR {
            PAUSE_ALLOWANCE
        } else {
            Duration::ZERO
        };
        let wait = duration + pause;
        if G::WAITER_CLOCK_ERROR {
            // The extra nanosecond makes up for the rounding.
            wait + wait / 1_000 * CLOCK_ERROR_PER_MILLE + Duration::from_nanos(1)
        } else {
            wait
        }
    }

    /// Begins to wait for `through`, given every lease there was when they were read, which was
    /// after `through` was committed and before `now`. `None` where the log has another epoch by
    /// then or doesn't go as far: what was committed may be lost, so nothing can be confirmed.
    ///
    /// No clocks are compared between machines: a holder counts from before it asked for its
    /// grant, which was before the grant was written, which was before we read it. So from the
    /// moment *we* first saw a grant, its duration, stretched by what clocks and pauses may do,
    /// bounds what is left of it.
    ///
    /// The same holds for leases the log doesn't know of, because it lost the end of an earlier
    /// epoch: they were granted before this epoch began, which was before we first saw it.
    pub fn begin(&mut self, now: BootInstant, through: Head, holders: Holders) -> Option<FenceId> {
        if through.epoch != holders.head.epoch || through.seq > holders.head.seq {
            return None;
        }
        self.last += 1;
        let id = FenceId(self.last);
        let held_until = self.hold(now, &holders);
        let leases = holders.leases;
        self.sightings
            .retain(|instance, _| leases.iter().any(|lease| lease.instance == *instance));
        let leases = leases
            .into_iter()
            .map(|lease| {
                let over = self.sight(now, &lease);
                (lease, over)
            })
            .filter(|(lease, over)| G::HOLDERS_AWAITED && !lease.has(through.seq) && *over > now)
            .collect();
        self.waits.insert(
            id,
            Wait {
                through,
                held_until,
                leases,
                resend_at: now.plus(RESEND_AFTER),
            },
        );
        Some(id)
    }

    /// Until when nobody is answered in the epoch in force, by when we first saw it.
    fn hold(&mut self, now: BootInstant, holders: &Holders) -> BootInstant {
        let epoch = holders.head.epoch;
        if holders.settled || !G::ANSWERS_HELD_IN_NEW_EPOCH {
            self.holds.remove(&epoch);
            return BootInstant(0);
        }
        let leases = holders.leases.iter().map(|lease| lease.duration);
        let longest = leases.fold(holders.longest, Duration::max);
        let hold = self.holds.entry(epoch).or_insert(Hold {
            until: now.plus(Self::outlives(longest)),
            told: false,
        });
        // It still isn't settled, so whoever was told didn't hear.
        hold.told = false;
        hold.until
    }

    /// The log has this epoch now. Whoever waits in another one waits for something that may be
    /// lost: gives these waits, which are over unconfirmed.
    pub fn on_epoch(&mut self, current: LogEpoch) -> Vec<FenceId> {
        let lost = self.waits.iter();
        let lost = lost.filter(|(_, wait)| wait.through.epoch != current);
        let lost: Vec<FenceId> = lost.map(|(&id, _)| id).collect();
        for id in &lost {
            self.waits.remove(id);
        }
        lost
    }

    /// Whether this fence is open already; if so it is forgotten.
    pub fn take_if_open(&mut self, now: BootInstant, id: FenceId) -> bool {
        let open = self.waits.get(&id).is_none_or(|wait| wait.is_open(now));
        if open {
            self.waits.remove(&id);
        }
        open
    }

    /// Nobody waits for this one any more.
    pub fn cancel(&mut self, id: FenceId) {
        self.waits.remove(&id);
    }

    /// Somebody says what it has applied. Without the right proof it has said nothing.
    pub fn on_acknowledgement(&mut self, ack: &Acknowledgement) {
        for wait in self.waits.values_mut() {
            let same_epoch =
                !G::ACKNOWLEDGEMENT_OF_EPOCH || ack.applied.epoch == wait.through.epoch;
            if same_epoch && ack.applied.seq >= wait.through.seq {
                // Proofs last: they cost the most, and anybody may claim to be anybody.
                wait.leases.retain(|(lease, _)| {
                    lease.instance != ack.instance
                        || (G::ACKNOWLEDGEMENT_PROVEN && !ack.is_by(&lease.secret))
                });
            }
        }
    }

    /// What is due at `now`.
    pub fn poll(&mut self, now: BootInstant) -> Vec<FencesAction> {
        let mut actions = Vec::new();
        let mut resend: Option<Head> = None;
        self.waits.retain(|&id, wait| {
            wait.leases.retain(|(_, over)| *over > now);
            if wait.held_until <= now {
                wait.held_until = BootInstant(0);
            }
            if wait.is_open(now) {
                actions.push(FencesAction::Open(id));
                return false;
            }
            if now >= wait.resend_at && !wait.leases.is_empty() {
                wait.resend_at = now.plus(RESEND_AFTER);
                // Acknowledgements are cumulative: the newest entry stands for all before it.
                if resend.is_none_or(|head| head.seq < wait.through.seq) {
                    resend = Some(wait.through);
                }
            }
            true
        });
        actions.extend(resend.map(FencesAction::Resend));
        actions.extend(self.forget_outlived(now));
        for (&epoch, hold) in &mut self.holds {
            if hold.until <= now && !hold.told {
                hold.told = true;
                actions.push(FencesAction::Settle(epoch));
            }
        }
        actions
    }

    /// When [`Self::poll`] has something to do next, if nothing arrives before.
    pub fn wake_at(&self) -> Option<BootInstant> {
        let waits = self.waits.values().flat_map(|wait| {
            let resend = (!wait.leases.is_empty()).then_some(wait.resend_at);
            wait.leases
                .iter()
                .map(|(_, over)| *over)
                .chain(resend)
                .chain((wait.held_until > BootInstant(0)).then_some(wait.held_until))
        });
        let holds = self.holds.values().filter(|hold| !hold.told);
        let waits = waits.chain(holds.map(|hold| hold.until));
        // A lease that runs out unrenewed is forgotten although nobody waits for it.
        let sightings = self.sightings.values().map(|sighting| sighting.over);
        waits.chain(sightings).min()
    }

    /// When the lease is over at the latest, by when we first saw this counter.
    fn sight(&mut self, now: BootInstant, lease: &Lease) -> BootInstant {
        let sighting = self.sightings.entry(lease.instance).or_insert(Sighting {
            counter: lease.counter,
            since: now,
            over: BootInstant(0),
        });
        if sighting.counter != lease.counter {
            *sighting = Sighting {
                counter: lease.counter,
                since: now,
                over: BootInstant(0),
            };
        }
        sighting.over = sighting
            .over
            .max(sighting.since.plus(Self::outlives(lease.duration)));
        sighting.over
    }

    fn forget_outlived(&mut self, now: BootInstant) -> Vec<FencesAction> {
        let outlived = |sighting: &Sighting| sighting.over <= now;
        let forget: Vec<_> = self
            .sightings
            .iter()
            .filter(|(_, sighting)| outlived(sighting))
            .map(|(&instance, sighting)| FencesAction::Forget {
                instance,
                counter: sighting.counter,
            })
            .collect();
        self.sightings.retain(|_, sighting| !outlived(sighting));
        forget
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LogEpoch, Seq};
    use crate::secret::Secret256;
    use uuid::Uuid;

    const L: Duration = Duration::from_secs(5);
    const T0: BootInstant = BootInstant(1_000_000_000_000);

    fn head(seq: u64) -> Head {
        Head {
            epoch: LogEpoch(1),
            seq: Seq(seq),
        }
    }

    fn lease(number: u128, counter: u64, applied: u64) -> Lease {
        Lease {
            instance: InstanceId(Uuid::from_u128(number)),
            counter,
            applied: Seq(applied),
            duration: L,
            secret: Secret256([u8::try_from(number).unwrap(); 32]),
        }
    }

    /// A log far ahead of every number here, whose holders are these.
    fn holders(leases: Vec<Lease>) -> Holders {
        Holders {
            head: head(100),
            settled: true,
            longest: L,
            leases,
        }
    }

    /// Begins to wait, where nothing is lost.
    fn begin(fences: &mut Fences, now: BootInstant, seq: u64, leases: Vec<Lease>) -> FenceId {
        fences.begin(now, head(seq), holders(leases)).unwrap()
    }

    fn ack(lease: &Lease, seq: u64) -> Acknowledgement {
        Acknowledgement::new(lease.instance, head(seq), &lease.secret)
    }

    fn outlives() -> Duration {
        Fences::<AllGuards>::outlives(L)
    }

    fn opens(fences: &mut Fences, now: BootInstant, id: FenceId) -> bool {
        fences.poll(now).contains(&FencesAction::Open(id))
    }

    #[test]
    fn nobody_to_wait_for() {
        let mut fences = Fences::new();
        let id = begin(&mut fences, T0, 3, vec![lease(1, 1, 3), lease(2, 1, 9)]);
        assert!(fences.take_if_open(T0, id));
    }

    #[test]
    fn opens_with_the_last_acknowledgement_and_not_before() {
        let (a, b) = (lease(1, 1, 0), lease(2, 1, 0));
        let mut fences = Fences::new();
        let id = begin(&mut fences, T0, 3, vec![a.clone(), b.clone()]);
        assert!(!fences.take_if_open(T0, id));
        fences.on_acknowledgement(&ack(&a, 3));
        assert!(!opens(&mut fences, T0, id));
        fences.on_acknowledgement(&ack(&b, 2));
        assert!(
            !opens(&mut fences, T0, id),
            "an acknowledgement of less doesn't count"
        );
        fences.on_acknowledgement(&ack(&b, 7));
        assert!(opens(&mut fences, T0, id));
    }

    #[test]
    fn a_forged_or_foreign_acknowledgement_does_not_count() {
        let a = lease(1, 1, 0);
        let mut fences = Fences::new();
        let id = begin(&mut fences, T0, 3, vec![a.clone()]);
        fences.on_acknowledgement(&Acknowledgement::new(
            a.instance,
            head(3),
            &Secret256([9; 32]),
        ));
        let other_epoch = Head {
            epoch: LogEpoch(2),
            seq: Seq(9),
        };
        fences.on_acknowledgement(&Acknowledgement::new(a.instance, other_epoch, &a.secret));
        assert!(!opens(&mut fences, T0, id));
    }

    #[test]
    fn a_silent_holder_is_outlived_after_its_lease_and_all_that_clocks_and_pauses_may_add() {
        let mut fences = Fences::new();
        let id = begin(&mut fences, T0, 3, vec![lease(1, 1, 0)]);
        let over = T0.plus(outlives());
        assert!(outlives() >= (L + PAUSE_ALLOWANCE) * (1_000 + CLOCK_ERROR_PER_MILLE) / 1_000);
        assert!(!opens(&mut fences, BootInstant(over.0 - 1), id));
        assert!(opens(&mut fences, over, id));
    }

    #[test]
    fn a_holder_seen_standing_still_is_neither_waited_for_again_nor_kept() {
        let dead = lease(1, 4, 0);
        let mut fences = Fences::new();
        let first = begin(&mut fences, T0, 3, vec![dead.clone()]);
        let later = T0.plus(L);
        let second = begin(&mut fences, later, 4, vec![dead.clone()]);
        assert!(
            !fences.take_if_open(later, second),
            "its lease may still run"
        );
        let over = T0.plus(outlives());
        let actions = fences.poll(over);
        assert!(
            actions.contains(&FencesAction::Open(first))
                && actions.contains(&FencesAction::Open(second))
        );
        assert!(actions.contains(&FencesAction::Forget {
            instance: dead.instance,
            counter: 4
        }));
    }

    #[test]
    fn a_holder_nobody_waits_for_is_forgotten_too() {
        let mut fences: Fences = Fences::new();
        let id = begin(&mut fences, T0, 0, vec![lease(1, 4, 0)]);
        assert!(fences.take_if_open(T0, id));
        let over = fences.wake_at().expect("there is a lease to look after");
        let forget = FencesAction::Forget {
            instance: lease(1, 4, 0).instance,
            counter: 4,
        };
        assert_eq!(fences.poll(BootInstant(over.0 - 1)), vec![]);
        assert_eq!(fences.poll(over), vec![forget]);
        assert_eq!(fences.wake_at(), None);
    }

    #[test]
    fn a_renewed_holder_is_waited_for_in_full() {
        let mut fences = Fences::new();
        begin(&mut fences, T0, 3, vec![lease(1, 4, 0)]);
        let later = T0.plus(L);
        let id = begin(&mut fences, later, 4, vec![lease(1, 5, 0)]);
        assert!(!opens(&mut fences, T0.plus(outlives()), id));
        assert!(opens(&mut fences, later.plus(outlives()), id));
    }

    #[test]
    fn in_a_new_epoch_nobody_is_answered_before_unknown_leases_have_run_out() {
        let new = || Holders {
            settled: false,
            ..holders(vec![])
        };
        let mut fences: Fences = Fences::new();
        let id = fences.begin(T0, head(3), new()).unwrap();
        assert!(
            !fences.take_if_open(T0, id),
            "although nobody holds a lease"
        );
        let later = T0.plus(L);
        let second = fences.begin(later, head(4), new()).unwrap();
        let over = T0.plus(outlives());
        assert_eq!(fences.wake_at(), Some(over));
        assert_eq!(fences.poll(BootInstant(over.0 - 1)), vec![]);
        let settle = FencesAction::Settle(LogEpoch(1));
        let both = [FencesAction::Open(id), FencesAction::Open(second)];
        assert_eq!(fences.poll(over), [&both[..], &[settle]].concat());
        assert_eq!(fences.wake_at(), None);
        let third = begin(&mut fences, over, 5, vec![]);
        assert!(fences.take_if_open(over, third), "settled");
    }

    #[test]
    fn what_may_be_lost_is_never_confirmed() {
        let mut fences: Fences = Fences::new();
        let other = Head {
            epoch: LogEpoch(2),
            seq: Seq(1),
        };
        assert_eq!(fences.begin(T0, other, holders(vec![])), None);
        assert_eq!(fences.begin(T0, head(101), holders(vec![])), None);
        let id = begin(&mut fences, T0, 3, vec![lease(1, 1, 0)]);
        assert_eq!(fences.on_epoch(LogEpoch(1)), vec![]);
        assert_eq!(fences.on_epoch(LogEpoch(2)), vec![id]);
        assert!(!opens(&mut fences, T0.plus(outlives()), id));
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let mut fences = Fences::new();
        begin(&mut fences, T0, 3, vec![lease(1, 1, 0)]);
        begin(&mut fences, T0, 4, vec![lease(1, 1, 0)]);
        assert_eq!(fences.poll(T0), vec![]);
        let again = T0.plus(RESEND_AFTER);
        assert_eq!(fences.wake_at(), Some(again));
        assert_eq!(fences.poll(again), vec![FencesAction::Resend(head(4))]);
    }
}
