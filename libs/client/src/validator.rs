//! The decision: one for HTTP, gRPC and libraries.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use http::HeaderMap;
use session_domain::ids::{InstanceId, Seq};
use session_domain::port::{Bus, BusReply, BusRequest, Clock, Entropy, Timer, TokenVerifier};
use session_domain::revocation::{
    CheckVerdict, Follower, FollowerConfig, KeySet, PublicKey, RevocationState,
};
use session_domain::time::{BootInstant, Timestamp};
use session_domain::token::{Claims, Refusal, TokenKind};
use session_domain::usecase::touch::Activity;
use session_domain::usecase::validate::{
    Local, Memory, Requirements, Verdict, conclude, decide_by, query,
};

use crate::credential::{NoCredential, Presented, credential, is_preflight};
use crate::demand;
use crate::denial::Denial;
use crate::follow::Following;
use crate::identity::Identity;
use crate::policy::{DEFAULT, Policies, Policy};
use crate::remembered::Remembered;

/// The adapters a validator is composed of.
#[derive(Clone)]
pub struct Ports {
    /// Messages between processes.
    pub bus: Arc<dyn Bus>,
    /// Checks tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Waiting.
    pub timer: Arc<dyn Timer>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What holds for every policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How far the reaper may lag before session tokens are checked with the authority.
    pub reaper_lag_max: Duration,
    /// How often the authority is told which sessions are used.
    pub activity_interval: Duration,
    /// The name of the cookie that holds the session token.
    pub cookie_name: String,
    /// How long a check with the authority may take.
    pub check_within: Duration,
    /// How many checks with the authority may be under way. Further ones aren't begun.
    pub checks_max: usize,
    /// How much memory good tokens may take, about, to be verified once and not with each request.
    pub remembered_bytes_max: usize,
}

impl Config {
    /// How long a check may take, so that a gateway's own deadline (Envoy: 200 ms) isn't overrun.
    pub const CHECK_WITHIN: Duration = Duration::from_millis(150);

    /// How many checks may be under way, where nobody decides.
    pub const CHECKS_MAX: usize = 512;

    /// How much memory good tokens may take, where nobody decides: twenty thousand and more.
    pub const REMEMBERED_BYTES_MAX: usize = 64 * 1024 * 1024;

    /// What a validator starts out with, for tokens issued by `issuer`.
    pub fn new(issuer: &str) -> Self {
        Self {
            reaper_lag_max: session_domain::usecase::validate::REAPER_LAG_MAX,
            activity_interval: Duration::from_secs(1),
            cookie_name: session_domain::policy::session_cookie_name(issuer).to_owned(),
            check_within: Self::CHECK_WITHIN,
            checks_max: Self::CHECKS_MAX,
            remembered_bytes_max: Self::REMEMBERED_BYTES_MAX,
        }
    }
}

/// What is asked: may this request pass?
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The policy it is judged by.
    pub policy: &'a str,
    /// Its method; `None` where whoever asks doesn't know it for sure.
    pub method: Option<&'a str>,
    /// Its header fields, as the client sent them.
    pub headers: &'a HeaderMap,
    /// How long the answer may take, where whoever asks says so.
    pub within: Option<Duration>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may pass, as this session.
    Allow(Identity),
    /// It is a CORS preflight and may pass, as nobody.
    Preflight,
    /// It may not.
    Deny(Denial),
}

/// Judges requests from memory. Clones are the same validator.
#[derive(Clone)]
pub struct Validator(Arc<Inner>);

struct Inner {
    state: Arc<RevocationState>,
    activity: Arc<Activity>,
    in_force: ArcSwap<InForce>,
    remembered: Remembered,
    ports: Ports,
    config: Config,
    checks: AtomicUsize,
}

/// The policies, and what each of them requires of a token, ready to be lent.
struct InForce {
    policies: Policies,
    requirements: BTreeMap<String, Requirements>,
}

impl InForce {
    fn new(policies: Policies, config: &Config) -> Self {
        let requirements = policies.iter().map(|(name, policy)| {
            let requirements = Requirements {
                audience: policy.audience.clone(),
                reaper_lag_max: config.reaper_lag_max,
            };
            (name.to_owned(), requirements)
        });
        Self {
            requirements: requirements.collect(),
            policies,
        }
    }

    /// What a question is judged by.
    fn bench<'a>(&'a self, question: &Question<'a>) -> Result<Bench<'a>, Denial> {
        let get = |name| Some((self.policies.get(name)?, self.requirements.get(name)?));
        let (policy, requirements) = get(question.policy).ok_or(Denial::UnknownPolicy)?;
        Ok(Bench {
            policies: &self.policies,
            policy,
            requirements,
            headers: question.headers,
        })
    }
}

/// What one request is judged by.
struct Bench<'a> {
    policies: &'a Policies,
    policy: &'a Policy,
    requirements: &'a Requirements,
    headers: &'a HeaderMap,
}

/// A token that is verified.
enum Verified {
    /// It was, and is remembered.
    Remembered(Identity),
    /// Just now, by this key.
    Fresh(Box<Claims>, Arc<PublicKey>),
}

impl Borrow<Claims> for Verified {
    fn borrow(&self) -> &Claims {
        match self {
            Self::Remembered(identity) => identity,
            Self::Fresh(claims, _) => claims,
        }
    }
}

impl Validator {
    /// A validator that knows nothing yet, and what has to run for it to learn.
    pub fn new(config: Config, policies: Policies, ports: Ports) -> (Self, Following) {
        let state = Arc::new(RevocationState::new());
        let activity = Arc::new(Activity::default());
        let mut id = [0; 16];
        ports.entropy.fill(&mut id);
        let instance = InstanceId(uuid::Builder::from_random_bytes(id).into_uuid());
        tracing::info!(%instance, "validator starting");
        let following = Following {
            follower: Follower::new(instance, Arc::clone(&state), FollowerConfig::default()),
            state: Arc::clone(&state),
            activity: Arc::clone(&activity),
            activity_interval: config.activity_interval,
            bus: Arc::clone(&ports.bus),
            clock: Arc::clone(&ports.clock),
            timer: Arc::clone(&ports.timer),
        };
        let remembered = Remembered::new(config.remembered_bytes_max, ports.entropy.as_ref());
        let inner = Inner {
            state,
            activity,
            in_force: ArcSwap::from_pointee(InForce::new(policies, &config)),
            ports,
            config,
            checks: AtomicUsize::new(0),
            remembered,
        };
        (Self(Arc::new(inner)), following)
    }

    /// Whether it has ever held a lease: before, it knows nothing; after, the loss of one only
    /// means that the authority is asked.
    pub fn is_ready(&self) -> bool {
        self.0.state.deadline() != BootInstant::default()
    }

    /// For how long it may still answer from memory.
    pub fn lease_left(&self) -> Duration {
        self.0.state.deadline().since(self.0.ports.clock.boot())
    }

    /// Up to which entry of the revocation log it knows everything.
    pub fn applied(&self) -> Seq {
        self.0.state.applied()
    }

    /// Judges by other policies from now on. What is being judged is judged by the old ones.
    pub fn set_policies(&self, policies: Policies) {
        let in_force = InForce::new(policies, &self.0.config);
        self.0.in_force.store(Arc::new(in_force));
    }

    /// Judges an access token by the policy `default`.
    pub async fn validate(&self, token: &str) -> Decision {
        let presented = Presented {
            kind: TokenKind::Access,
            token,
        };
        let headers = HeaderMap::new();
        let question = Question {
            policy: DEFAULT,
            method: None,
            headers: &headers,
            within: None,
        };
        let judged = self.try_judge(&question, |_, _| Ok(Some(presented)));
        judged.await.unwrap_or_else(Decision::Deny)
    }

    /// Judges a request.
    pub async fn judge(&self, question: &Question<'_>) -> Decision {
        let judged = self.try_judge(question, |inner, policy| inner.present(question, policy));
        judged.await.unwrap_or_else(Decision::Deny)
    }

    /// Judges what `present` finds in a request; nothing is a preflight.
    async fn try_judge<'a>(
        &self,
        question: &Question<'a>,
        present: impl FnOnce(&Inner, &Policy) -> Result<Option<Presented<'a>>, Denial>,
    ) -> Result<Decision, Denial> {
        let inner = &*self.0;
        let in_force = inner.in_force.load();
        let bench = in_force.bench(question)?;
        let Some(presented) = present(inner, bench.policy)? else {
            return Ok(Decision::Preflight);
        };
        let verified = match inner.decide(presented, bench.requirements) {
            Local::Accept(verified) => {
                let identity = inner.identify(presented.token, verified);
                return inner.admit(identity, &bench, inner.now());
            }
            Local::Deny(refusal) => return Err(Denial::Refused(refusal)),
            Local::Blind => return Err(Denial::Unavailable(bench.policy.failure)),
            Local::Ask(verified) => verified,
        };
        // Policies that are waited with are kept for themselves; lending them is for a moment.
        let in_force = Guard::into_inner(in_force);
        let bench = in_force.bench(question)?;
        let own = inner.config.check_within;
        let within = question.within.map_or(own, |told| told.min(own));
        let (verified, now) = inner.ask(verified, bench.policy, within).await?;
        inner.admit(inner.identify(presented.token, verified), &bench, now)
    }
}

impl Inner {
    /// The credential of a request, or nothing where it is a preflight that may pass.
    fn present<'a>(
        &self,
        question: &Question<'a>,
        policy: &Policy,
    ) -> Result<Option<Presented<'a>>, Denial> {
        if policy.needs_method() && question.method.is_none() {
            return Err(Denial::ContextMissing);
        }
        let headers = question.headers;
        // Before the look-up, which then knows of everything up to there.
        if demand::least_entry(headers) > self.state.applied() {
            return Err(Denial::Behind(policy.failure));
        }
        let cookie_name = &self.config.cookie_name;
        let preflight = |method| is_preflight(method, headers, cookie_name);
        if policy.preflight && question.method.is_some_and(preflight) {
            return Ok(None);
        }
        let presented = credential(headers, cookie_name, policy);
        presented.map(Some).map_err(|none| match none {
            NoCredential::Absent => Denial::NoCredential,
            NoCredential::Ambiguous => Denial::Ambiguous,
            NoCredential::ForeignOrigin => Denial::ForeignOrigin,
        })
    }

    /// What memory says of a token.
    fn decide(&self, presented: Presented<'_>, requirements: &Requirements) -> Local<Verified> {
        let memory = Memory {
            state: &self.state,
            verifier: self.ports.verifier.as_ref(),
            clock: self.ports.clock.as_ref(),
        };
        let Presented { kind, token } = presented;
        decide_by(&memory, kind, requirements, |keys: &KeySet| {
            if let Some(identity) = self.remembered.get(token, kind, keys) {
                return Ok(Verified::Remembered(identity));
            }
            let claims = memory.verifier.verify(token, kind, keys)?;
            // Which it was just verified by.
            let key = keys.get(claims.key.as_str()).ok_or(Refusal::UnknownKey)?;
            Ok(Verified::Fresh(Box::new(claims), Arc::clone(key)))
        })
    }

    /// Whose token it is, which is good. Remembers it.
    fn identify(&self, token: &str, verified: Verified) -> Identity {
        match verified {
            Verified::Remembered(identity) => identity,
            Verified::Fresh(claims, key) => {
                let used = self.activity.keep(&claims.tenant, claims.session);
                let identity = Identity::new(token, *claims, key, used);
                self.remembered.put(&identity);
                identity
            }
        }
    }

    /// Lets a session through that is good at `now`, if it satisfies policy and request, too.
    fn admit(
        &self,
        identity: Identity,
        bench: &Bench<'_>,
        now: Timestamp,
    ) -> Result<Decision, Denial> {
        demand::check(&identity, bench.policies, bench.policy, bench.headers, now)?;
        self.activity.note_kept(&identity.known().used, now);
        Ok(Decision::Allow(identity))
    }

    /// Asks the authority, unless too many wait for it already. Returns its time, too: memory may
    /// not know it.
    async fn ask(
        &self,
        verified: Verified,
        policy: &Policy,
        within: Duration,
    ) -> Result<(Verified, Timestamp), Denial> {
        let _place = Place::take(&self.checks, self.config.checks_max)
            .ok_or(Denial::Overloaded(policy.failure))?;
        let request = BusRequest::Check(query(verified.borrow()));
        let Ok(BusReply::Check(verdict)) = self.ports.bus.request(request, within).await else {
            // Any other answer, or none, is no yes.
            return Err(Denial::Unavailable(policy.failure));
        };
        let now = match &verdict {
            CheckVerdict::Alive { server_time } => *server_time,
            CheckVerdict::Dead | CheckVerdict::UnknownKey => self.now(),
        };
        match conclude(&self.state, verified, verdict) {
            Verdict::Accept(verified) => Ok((verified, now)),
            Verdict::Deny(refusal) => Err(Denial::Refused(refusal)),
            Verdict::Unavailable => Err(Denial::Unavailable(policy.failure)),
        }
    }

    fn now(&self) -> Timestamp {
        self.state.server_time(self.ports.clock.boot())
    }
}

/// One of a few places; given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = taken.fetch_add(1, Ordering::Relaxed);
        // Made first, so that it is given back where there was none.
        let place = Self(taken);
        (before < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
