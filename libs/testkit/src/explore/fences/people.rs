//! The validators of the small world, and the decisions their threads make.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use session_domain::contract::sample::{self, START};
use session_domain::ids::{InstanceId, KeyId, Seq, Serial, UserId};
use session_domain::port::{Clock, TokenVerifier};
use session_domain::revocation::{
    Follower, FollowerConfig, GrantReply, GrantRequest, Guards, Head, KeySet, Lease, PublicKey,
    RevocationState, Snapshot, Standing,
};
use session_domain::time::{BootInstant, Timestamp};
use session_domain::token::{Claims, Refusal, TokenKind};
use session_domain::usecase::validate::{Begun, Local, Memory, Requirements};
use uuid::Uuid;

/// Whose sessions end.
pub(super) const TENANTS: [&str; 2] = ["first", "second"];

const AUDIENCE: &str = "a";

/// A validator.
#[derive(Debug)]
pub struct Person<G> {
    pub(super) follower: Follower<G>,
    pub(super) state: Arc<RevocationState>,
    /// The end of each lease it was told of, and the head of its grant.
    pub(super) grants: Vec<(BootInstant, Seq)>,
    /// When it asked for each.
    pub(super) times: Vec<(u64, BootInstant)>,
}

impl<G: Guards> Person<G> {
    /// The validator of that number, as it starts.
    pub(super) fn new(number: usize) -> Self {
        let state = Arc::new(RevocationState::new());
        let instance = InstanceId(Uuid::from_u128(number as u128 + 1));
        let config = FollowerConfig::default();
        Self {
            follower: Follower::with_guards(instance, Arc::clone(&state), config),
            state,
            grants: Vec::new(),
            times: Vec::new(),
        }
    }

    /// The same, sharing nothing.
    pub(super) fn fork(&self) -> Self {
        let (follower, state) = self.follower.fork();
        Self {
            follower,
            state,
            grants: self.grants.clone(),
            times: self.times.clone(),
        }
    }

    /// Whether that end is visible to its threads.
    pub(super) fn knows(&self, end: usize) -> bool {
        let tenant = sample::tenant(TENANTS[end]);
        self.state.standing(&tenant, Serial(1)) == Standing::Ended
    }
}

/// By what it will do; what it was told before is known by that.
impl<G: Guards> Hash for Person<G> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.follower.hash(hasher);
    }
}

/// A lease's row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub lease: Lease,
    pub granted_head: Seq,
}

impl Hash for Row {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.lease.counter, self.lease.applied, self.granted_head).hash(hasher);
    }
}

/// What a validator has asked for: the newest of each kind, and what is on its way back.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub grant: Option<GrantRequest>,
    /// The head that was read for a grant whose row isn't written.
    pub reading: Option<(GrantRequest, Head)>,
    pub granted: Option<GrantReply>,
    pub snapshot: bool,
    pub joined: Option<Snapshot>,
    pub fetch: Option<Head>,
}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let request = |request: &GrantRequest| (request.counter, request.applied);
        self.grant.as_ref().map(request).hash(hasher);
        let reading = self.reading.as_ref();
        reading
            .map(|(asked, head)| (request(asked), head))
            .hash(hasher);
        match &self.granted {
            None => 0.hash(hasher),
            Some(GrantReply::Granted(grant)) => (1, grant.counter, grant.head).hash(hasher),
            Some(GrantReply::Lagging { counter, head }) => (2, counter, head).hash(hasher),
            Some(GrantReply::Rejoin { counter }) => (3, counter).hash(hasher),
        }
        self.snapshot.hash(hasher);
        self.joined
            .as_ref()
            .map(|snapshot| snapshot.head)
            .hash(hasher);
        self.fetch.hash(hasher);
    }
}

/// The one signing key.
pub(super) fn key() -> PublicKey {
    PublicKey {
        kid: kid(),
        alg: "EdDSA".into(),
        jwk: std::collections::BTreeMap::new(),
    }
}

fn kid() -> KeyId {
    "k".parse().expect("a key id")
}

/// A clock that stands.
#[derive(Debug)]
pub(super) struct Stopped(pub BootInstant);

impl Clock for Stopped {
    fn wall(&self) -> Timestamp {
        START
    }

    fn boot(&self) -> BootInstant {
        self.0
    }
}

/// Takes a tenant's name for a token of its one session.
pub(super) struct Reader;

impl TokenVerifier for Reader {
    fn verify(&self, token: &str, kind: TokenKind, keys: &KeySet) -> Result<Claims, Refusal> {
        let key = kid();
        keys.get(key.as_str()).ok_or(Refusal::UnknownKey)?;
        Ok(Claims {
            kind,
            key,
            issuer: String::new(),
            subject: "somebody".parse::<UserId>().map_err(|_| Refusal::Claims)?,
            audience: vec![AUDIENCE.into()],
            expires_at: START.plus(std::time::Duration::from_secs(86_400)),
            issued_at: Timestamp(0),
            token_id: String::new(),
            session: sample::session_id(1),
            tenant: token.parse().map_err(|_| Refusal::Claims)?,
            auth_time: START,
            acr: None,
            amr: Vec::new(),
            scope: None,
            client_id: None,
            serial: Serial(1),
        })
    }
}

/// What a decision of that state's threads works with.
pub(super) fn memory<'a>(state: &'a RevocationState, clock: &'a Stopped) -> Memory<'a> {
    Memory {
        state,
        verifier: &Reader,
        clock,
    }
}

/// What a token must be.
pub(super) fn requirements() -> Requirements {
    Requirements {
        audience: AUDIENCE.into(),
        reaper_lag_max: session_domain::usecase::validate::REAPER_LAG_MAX,
    }
}

/// What a thread says of a token of that end, when nothing holds it up.
pub(super) fn decide<G: Guards>(state: &RevocationState, now: BootInstant, end: usize) -> Local {
    let clock = Stopped(now);
    let memory = memory(state, &clock);
    Begun::<G>::begin(&memory)
        .judge(&memory, TENANTS[end], TokenKind::Session, &requirements())
        .answer(&memory)
}
