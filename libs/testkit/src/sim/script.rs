//! What a seed decides beforehand: how big the world is, who wants what when, and what breaks.

use std::time::Duration;

use session_domain::revocation::PAUSE_ALLOWANCE;

use super::client::{Op, Wish};
use super::event::{Fault, Process};
use super::fault::nanos;
use super::network::Faults;
use super::rng::Rng;
use super::{MICRO, MILLI, Nanos, SECOND};

/// A schedule.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a misfortune of its own"
)]
pub(super) struct Script {
    pub lease: Duration,
    pub apis: usize,
    pub validators: usize,
    /// Clocks are as wrong as they may be, in the worst direction.
    pub worst_clocks: bool,
    /// Somebody forges acknowledgements.
    pub forger: bool,
    /// Things end while validators join.
    pub join_ambush: bool,
    /// APIs die between a commit and its publication.
    pub crash_ambush: bool,
    /// From then on, the next grant is ambushed.
    pub edge_ambush: Option<Nanos>,
    /// From then on, the next first grant is lost in a failover.
    pub epoch_ambush: Option<Nanos>,
    /// From then on, the next validator that asks for a grant is asked to stop.
    pub drain_ambush: Option<Nanos>,
    pub ops: Vec<(Nanos, Op)>,
    pub faults: Vec<(Nanos, Fault)>,
    /// When somebody presents some token.
    pub probes: Vec<Nanos>,
    /// When everything is mended.
    pub heal: Nanos,
    /// When all must be well.
    pub over: Nanos,
}

impl Script {
    /// The schedule a seed stands for.
    pub fn write(rng: &mut Rng) -> Self {
        let edge = rng.chance(120);
        let seconds = if edge {
            rng.pick(&[10, 20])
        } else {
            rng.pick(&[2, 2, 3, 5])
        };
        let lease = Duration::from_secs(seconds);
        let heal = if edge {
            (seconds + 9) * SECOND
        } else {
            rng.between(8, 18) * SECOND
        };
        let patience = 2 * nanos(lease + PAUSE_ALLOWANCE) + 12 * SECOND;
        let mut script = Self {
            lease,
            apis: 1 + rng.index(3),
            validators: 1 + rng.index(3),
            worst_clocks: edge || rng.chance(100),
            forger: rng.chance(150),
            join_ambush: rng.chance(200),
            crash_ambush: rng.chance(120),
            edge_ambush: edge.then(|| rng.between(3, 5) * SECOND),
            epoch_ambush: rng.chance(80).then(|| rng.between(2, 4) * SECOND),
            drain_ambush: rng.chance(80).then(|| rng.between(1, 7) * SECOND),
            ops: Vec::new(),
            faults: Vec::new(),
            probes: Vec::new(),
            heal,
            over: heal + patience,
        };
        script.write_ops(rng);
        let quiet = edge || rng.chance(100);
        if !quiet {
            script.write_faults(rng);
        }
        if script.epoch_ambush.is_some() {
            // Whose first grant it is.
            let at = rng.between(4, 5) * SECOND;
            script.faults.push((at, Fault::StartValidator));
        }
        if rng.chance(400) {
            script.write_pruning(rng);
        }
        for _ in 0..rng.between(80, 200) {
            let at = rng.between(SECOND, script.over);
            script.probes.push(at);
        }
        script
    }

    /// How wrong a machine's boot clock is; `worst` is the direction that does most harm there.
    pub fn clock_error(&self, rng: &mut Rng, worst: i64) -> i64 {
        if self.worst_clocks {
            worst
        } else {
            rng.pick(&[-1_000, 1_000, 0, 200, -500])
        }
    }

    fn write_ops(&mut self, rng: &mut Rng) {
        for _ in 0..rng.between(5, 12) {
            self.ops
                .push((rng.between(10 * MILLI, SECOND), Op::new(Wish::Start)));
        }
        // Sometimes a crowd, sometimes hardly anybody: leases are forgotten in silence only.
        for _ in 0..rng.pick(&[4, 10, 20]) {
            let at = rng.between(SECOND, self.heal + SECOND);
            let wish = match rng.below(100) {
                0..26 => Wish::Start,
                26..60 => Wish::End,
                60..64 => Wish::EndUser,
                64..80 => Wish::Refresh,
                80..92 => Wish::StepUp,
                92..96 => Wish::Floor,
                96..98 => Wish::Reap,
                _ => Wish::RetireKey,
            };
            self.ops.push((at, Op::new(wish)));
        }
    }

    fn write_faults(&mut self, rng: &mut Rng) {
        if rng.chance(400) {
            let fault = Fault::Weather {
                lost: rng.pick(&[0, 20, 200, 500]),
                doubled: rng.pick(&[0, 50, 300]),
                delayed: rng.pick(&[0, 50, 300]),
            };
            self.faults.push((rng.below(self.heal), fault));
        }
        if rng.chance(150) {
            self.write_rollout(rng);
        }
        for _ in 0..rng.pick(&[0, 0, 0, 1, 1, 2]) {
            self.write_failover(rng);
        }
        for _ in 0..rng.below(9) {
            let at = rng.between(100 * MILLI, self.heal);
            self.write_fault(rng, at);
        }
    }

    fn write_fault(&mut self, rng: &mut Rng, at: Nanos) {
        let number = rng.index(4);
        let process = if rng.chance(700) {
            Process::Validator(number)
        } else {
            Process::Api(number)
        };
        let fault = match rng.below(100) {
            0..40 => self.cut(rng, at),
            40..47 => {
                let later = at + rng.between(MILLI, 3 * SECOND);
                self.faults.push((later, Fault::StartValidator));
                Fault::KillValidator(number)
            }
            // A replacement beside its predecessor, which is cut off and lives on.
            47..52 => {
                self.faults.push((at + MILLI, Fault::StartValidator));
                Fault::Cut {
                    api: None,
                    validator: Some(number),
                    links: Faults::BUS,
                    until: at + rng.between(SECOND, 9 * SECOND),
                }
            }
            52..58 => {
                self.faults.push((at + MILLI, Fault::StartValidator));
                Fault::DrainValidator(number)
            }
            58..64 => {
                let later = at + rng.between(MILLI, 4 * SECOND);
                self.faults.push((later, Fault::StartApi));
                Fault::KillApi(number)
            }
            64..72 => Fault::Pause {
                of: process,
                span: rng.between(10 * MILLI, 8 * SECOND),
                unseen: false,
            },
            72..82 => Fault::Pause {
                of: Process::Validator(number),
                span: rng.pick(&[nanos(PAUSE_ALLOWANCE), 300 * MILLI]),
                unseen: true,
            },
            82..87 => Fault::Stall {
                validator: number,
                span: rng.between(10 * MILLI, 6 * SECOND),
            },
            87..95 => Fault::StepWall {
                of: rng.chance(850).then_some(process),
                by_us: rng.pick(&[-3_600_000_000, 3_600_000_000]),
            },
            _ => Fault::Drift {
                of: process,
                error_ppm: rng.pick(&[-1_000, 1_000]),
            },
        };
        self.faults.push((at, fault));
    }

    fn cut(&self, rng: &mut Rng, at: Nanos) -> Fault {
        let links = rng.pick(&[
            Faults::BUS,
            Faults::BUS,
            Faults(Faults::REQUESTS.0 | Faults::REPLIES.0),
            Faults::REPLIES,
            Faults::PUBLICATIONS,
            Faults(Faults::PUBLICATIONS.0 | Faults::REPLIES.0),
            Faults::ACKNOWLEDGEMENTS,
            Faults::DATABASE,
        ]);
        let longest = 2 * nanos(self.lease + PAUSE_ALLOWANCE);
        Fault::Cut {
            api: rng.chance(250).then(|| rng.index(2)),
            validator: rng.chance(800).then(|| rng.index(4)),
            links,
            until: at + rng.between(10 * MILLI, longest),
        }
    }

    /// Another server becomes the database, which may have fallen behind; and things go on.
    fn write_failover(&mut self, rng: &mut Rng) {
        let at = rng.between(SECOND, self.heal);
        let lossy = rng.chance(600);
        if lossy {
            let behind = rng.pick(&[5 * MILLI, 100 * MILLI, SECOND, 3 * SECOND]);
            let since = at.saturating_sub(rng.below(behind));
            self.faults.push((since, Fault::Standby));
            for _ in 0..rng.between(1, 4) {
                let wish = rng.pick(&[Wish::Start, Wish::End, Wish::StepUp, Wish::Floor]);
                self.ops.push((rng.between(since, at), Op::new(wish)));
            }
        }
        let outage = rng.pick(&[0, 10 * MILLI, 400 * MILLI, 2 * SECOND]);
        self.faults.push((at, Fault::Failover { lossy, outage }));
        for _ in 0..rng.between(1, 4) {
            let later = at + outage + rng.below(SECOND);
            let wish = rng.pick(&[Wish::Start, Wish::End, Wish::End, Wish::StepUp]);
            self.ops.push((later, Op::new(wish)));
        }
    }

    /// Old entries go often, and somebody misses them.
    fn write_pruning(&mut self, rng: &mut Rng) {
        for second in 1..=self.heal / SECOND {
            let at = second * SECOND + rng.below(SECOND);
            self.faults.push((at, Fault::Prune));
        }
        if rng.chance(500) {
            let at = rng.between(2 * SECOND, 5 * SECOND);
            let links = rng.pick(&[Faults::BUS, Faults::PUBLICATIONS]);
            let cut = Fault::Cut {
                api: None,
                validator: Some(rng.index(3)),
                links,
                until: at + nanos(self.lease + PAUSE_ALLOWANCE) + rng.between(SECOND, 3 * SECOND),
            };
            self.faults.push((at, cut));
            for _ in 0..4 {
                let soon = at + rng.below(2 * SECOND);
                self.ops.push((soon, Op::new(Wish::End)));
            }
        }
    }

    /// Leases become shorter, and somebody who holds a long one doesn't hear of it.
    fn write_rollout(&mut self, rng: &mut Rng) {
        let at = rng.between(2 * SECOND, 6 * SECOND);
        let lease = Duration::from_secs(rng.pick(&[1, 1, 4]));
        self.faults.push((at, Fault::Rollout(lease)));
        if rng.chance(700) {
            let cut = Fault::Cut {
                api: None,
                validator: Some(rng.index(3)),
                links: Faults(Faults::REPLIES.0 | Faults::PUBLICATIONS.0),
                until: at + nanos(self.lease) + SECOND,
            };
            self.faults.push((at + 100 * MICRO, cut));
            let soon = at + rng.between(0, 3 * SECOND);
            self.ops.push((soon, Op::new(Wish::End)));
        }
    }
}
