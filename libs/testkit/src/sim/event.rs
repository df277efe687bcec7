//! What can happen at a moment of simulated time.

use session_domain::ids::{Seq, Serial, TenantId};
use session_domain::port::{BusReply, BusRequest};
use session_domain::revocation::{Acknowledgement, Head, Holders, LogRun, Publication};

use super::database::{Operation, Outcome, Work};
use super::network::Faults;

/// A validator process, by its place in the list of all there ever were.
pub type ValidatorId = usize;
/// An API process, by its place in the list of all there ever were.
pub type ApiId = usize;
/// A session, by its place in the database.
pub type SessionNumber = usize;

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// A request of a validator reaches an API.
    Request {
        /// Which API.
        api: ApiId,
        /// Who asks.
        validator: ValidatorId,
        /// Which of its requests.
        id: u64,
        /// What it asks.
        request: BusRequest,
    },
    /// An answer reaches a validator.
    Reply {
        /// Who asked.
        validator: ValidatorId,
        /// Which of its requests.
        id: u64,
        /// The answer.
        reply: BusReply,
    },
    /// A broadcast reaches a validator.
    Published {
        /// Which validator.
        validator: ValidatorId,
        /// What was published.
        publication: Publication,
    },
    /// An acknowledgement, true or forged, reaches an API.
    Acknowledged {
        /// Which API.
        api: ApiId,
        /// What was said.
        ack: Acknowledgement,
    },
    /// A validator's follower has something to do.
    WakeValidator(ValidatorId),
    /// An API's fences have something to do.
    WakeApi(ApiId),
    /// The database starts on an operation: it waits for its lock, or reads.
    Start(Call),
    /// The database is done with an operation: what it changes is there for all.
    Commit(Work),
    /// The database's answer reaches an API.
    Answer {
        /// Which API.
        api: ApiId,
        /// Which of its calls.
        id: u64,
        /// The answer.
        result: Answer,
    },
    /// A client sends its request, for the first time or again.
    Send(usize),
    /// A token is presented, or its decision goes on.
    Probe(usize),
    /// A misfortune.
    Fault(Fault),
    /// All that was broken is mended.
    Heal,
}

/// A call to the database.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub api: ApiId,
    /// Which of its calls.
    pub id: u64,
    /// What for.
    pub operation: Operation,
}

/// What the database answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To what was served over the bus.
    Bus(BusReply),
    /// To a change.
    Changed(Outcome),
    /// Every lease.
    Leases(Holders),
    /// Entries to send again, the last of them that of this number.
    Entries(Head, LogRun),
    /// It is done.
    Done,
}

/// What breaks.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Links are cut between these, for so long. `None` stands for all of them.
    Cut {
        /// Which API.
        api: Option<ApiId>,
        /// Which validator.
        validator: Option<ValidatorId>,
        /// Which links.
        links: Faults,
        /// Until when.
        until: u64,
    },
    /// The cut links of that number are mended.
    Mend(usize),
    /// The network gets this bad, in thousandths.
    Weather {
        /// Lost.
        lost: u64,
        /// Doubled.
        doubled: u64,
        /// Much delayed.
        delayed: u64,
    },
    /// A validator is killed.
    KillValidator(ValidatorId),
    /// A validator is asked to stop.
    DrainValidator(ValidatorId),
    /// A validator starts.
    StartValidator,
    /// An API is killed.
    KillApi(ApiId),
    /// An API starts.
    StartApi,
    /// A machine stands still for so long, and its boot clock with it where `unseen`.
    Pause {
        /// Whose machine.
        of: Process,
        /// For how long.
        span: u64,
        /// Whether its clock stands still as well.
        unseen: bool,
    },
    /// The task that drives a validator's follower gets no processor for so long.
    Stall {
        /// Whose.
        validator: ValidatorId,
        /// For how long.
        span: u64,
    },
    /// Somebody sets a wall clock; `None` means the database's.
    StepWall {
        /// Whose.
        of: Option<Process>,
        /// By how much.
        by_us: i64,
    },
    /// A boot clock changes its pace.
    Drift {
        /// Whose.
        of: Process,
        /// How wrong it is from now on.
        error_ppm: i64,
    },
    /// Leases have another length from now on.
    Rollout(std::time::Duration),
    /// A validator that is being drained has another look whether it is done.
    Draining(ValidatorId),
    /// A machine stands still, and its boot clock with it.
    Freeze {
        /// Whose.
        validator: ValidatorId,
        /// For how long.
        span: u64,
    },
    /// Somebody presents a token.
    Onlooker,
    /// That validator is cut off from the bus for longer than a lease.
    CutOff(ValidatorId),
    /// Another server receives a copy of the database; it may fall behind from then on.
    Standby,
    /// Another server becomes the database: the one with the copy, or one that has everything.
    Failover {
        /// Whether it has the copy only.
        lossy: bool,
        /// For how long nobody is the database.
        outage: u64,
    },
    /// Old entries are deleted.
    Prune,
}

/// A process, of either kind.
#[derive(Debug, Clone, Copy)]
pub enum Process {
    /// A validator.
    Validator(ValidatorId),
    /// An API.
    Api(ApiId),
}

/// What a client was promised with an answer: from then on none of this is accepted.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    /// These sessions, whatever their credentials.
    pub sessions: Vec<SessionNumber>,
    /// Credentials of this serial.
    pub serial: Option<Serial>,
    /// Every serial up to this one of this tenant.
    pub floor: Option<(TenantId, Serial)>,
    /// Whatever this key signed.
    pub key: Option<session_domain::ids::KeyId>,
    /// The timeline it was committed on.
    pub timeline: u64,
    /// The number of the entry that makes it true.
    pub seq: Seq,
}
