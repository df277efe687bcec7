//! What every operation may touch, in one place: the adapters this process was composed of, and
//! what it has decided.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use session_domain::policy::SessionPolicy;
use session_domain::port::{
    AgentReader, Bus, Clock, Entropy, Fence, Fingerprints, KeyRing, Locator, RateLimiter,
    RefreshTokens, RevocationLog, SessionCache, SessionStore, Timer, TokenSigner, TokenVerifier,
};
use session_domain::revocation::RevocationState;
use session_domain::usecase::cleanup::CleanupPorts;
use session_domain::usecase::end::EndPorts;
use session_domain::usecase::end_matching::EndMatchingPorts;
use session_domain::usecase::extend::AdjustPorts;
use session_domain::usecase::find::FindPorts;
use session_domain::usecase::inspect::InspectPorts;
use session_domain::usecase::ready_keys::ReadyKeysPorts;
use session_domain::usecase::refresh::RefreshPorts;
use session_domain::usecase::start::StartPorts;
use session_domain::usecase::step_up::StepUpPorts;
use session_domain::usecase::touch::Activity;
use session_domain::usecase::validate::{Memory, Requirements};

/// The adapters `session-api` is composed of. Chosen in `main`; nothing below knows which.
#[derive(Clone)]
pub struct Ports {
    /// The truth about sessions and keys.
    pub store: Arc<dyn SessionStore>,
    /// The revocation log and the leases.
    pub log: Arc<dyn RevocationLog>,
    /// Recent readings.
    pub cache: Arc<dyn SessionCache>,
    /// Counts what may happen only so often.
    pub limiter: Arc<dyn RateLimiter>,
    /// Messages between processes.
    pub bus: Arc<dyn Bus>,
    /// Signs tokens.
    pub signer: Arc<dyn TokenSigner>,
    /// Makes signing keys and puts them to use.
    pub keys: Arc<dyn KeyRing>,
    /// Checks tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// Derives refresh tokens.
    pub refresh: Arc<dyn RefreshTokens>,
    /// Reads user agents.
    pub agents: Arc<dyn AgentReader>,
    /// Knows where addresses are.
    pub locator: Arc<dyn Locator>,
    /// Hashes device fingerprints.
    pub fingerprints: Arc<dyn Fingerprints>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Waiting.
    pub timer: Arc<dyn Timer>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// How long a check of a caller's token with the authority may take.
pub const CHECK_WITHIN: Duration = Duration::from_secs(1);

/// The state shared by all operations.
pub struct App {
    /// The adapters.
    pub ports: Ports,
    /// The wait for every validator.
    pub fence: Arc<dyn Fence>,
    /// What this process itself has heard of ends: its callers' tokens are judged by it, under a
    /// lease of its own, like anybody's.
    pub revocations: Arc<RevocationState>,
    /// Uses of sessions that wait to be written.
    pub activity: Activity,
    /// Lifetimes, limits, names.
    pub policy: SessionPolicy,
    /// What a caller's own token must be.
    pub requirements: Requirements,
    /// The session cookie's name.
    pub cookie: String,
    /// The origins whose pages may act with the cookie.
    pub origins: Vec<String>,
    /// The proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// How many invalid credentials may come from one address in a minute.
    pub invalid_credentials_per_minute: u32,
}

impl App {
    /// What starting a session touches.
    pub fn start_ports(&self) -> StartPorts<'_> {
        StartPorts {
            store: self.ports.store.as_ref(),
            fence: self.fence.as_ref(),
            signer: self.ports.signer.as_ref(),
            refresh: self.ports.refresh.as_ref(),
            agents: self.ports.agents.as_ref(),
            locator: self.ports.locator.as_ref(),
            fingerprints: self.ports.fingerprints.as_ref(),
            clock: self.ports.clock.as_ref(),
            entropy: self.ports.entropy.as_ref(),
        }
    }

    /// What refreshing touches.
    pub fn refresh_ports(&self) -> RefreshPorts<'_> {
        RefreshPorts {
            store: self.ports.store.as_ref(),
            fence: self.fence.as_ref(),
            signer: self.ports.signer.as_ref(),
            refresh: self.ports.refresh.as_ref(),
            clock: self.ports.clock.as_ref(),
        }
    }

    /// What ending touches.
    pub fn end_ports(&self) -> EndPorts<'_> {
        EndPorts {
            store: self.ports.store.as_ref(),
            cache: self.ports.cache.as_ref(),
            fence: self.fence.as_ref(),
            clock: self.ports.clock.as_ref(),
        }
    }

    /// What ending many touches.
    pub fn end_matching_ports(&self) -> EndMatchingPorts<'_> {
        EndMatchingPorts {
            store: self.ports.store.as_ref(),
            fence: self.fence.as_ref(),
            clock: self.ports.clock.as_ref(),
            timer: self.ports.timer.as_ref(),
            entropy: self.ports.entropy.as_ref(),
        }
    }

    /// What looking touches.
    pub fn find_ports(&self) -> FindPorts<'_> {
        FindPorts {
            store: self.ports.store.as_ref(),
            cache: self.ports.cache.as_ref(),
            revocations: &self.revocations,
            clock: self.ports.clock.as_ref(),
        }
    }

    /// What judging a caller's token touches.
    pub fn memory(&self) -> Memory<'_> {
        Memory {
            state: &self.revocations,
            verifier: self.ports.verifier.as_ref(),
            clock: self.ports.clock.as_ref(),
        }
    }

    /// What extending and updating touch.
    pub fn adjust_ports(&self) -> AdjustPorts<'_> {
        AdjustPorts {
            store: self.ports.store.as_ref(),
            cache: self.ports.cache.as_ref(),
            clock: self.ports.clock.as_ref(),
        }
    }

    /// What stepping up touches.
    pub fn step_up_ports(&self) -> StepUpPorts<'_> {
        StepUpPorts {
            store: self.ports.store.as_ref(),
            cache: self.ports.cache.as_ref(),
            fence: self.fence.as_ref(),
            signer: self.ports.signer.as_ref(),
            refresh: self.ports.refresh.as_ref(),
            clock: self.ports.clock.as_ref(),
            entropy: self.ports.entropy.as_ref(),
        }
    }

    /// What judging a token for a service touches.
    pub fn inspect_ports(&self) -> InspectPorts<'_> {
        InspectPorts {
            memory: self.memory(),
            bus: self.ports.bus.as_ref(),
            find: self.find_ports(),
            activity: &self.activity,
        }
    }

    /// What cleaning up touches.
    pub fn cleanup_ports(&self) -> CleanupPorts<'_> {
        CleanupPorts {
            store: self.ports.store.as_ref(),
            log: self.ports.log.as_ref(),
            fence: self.fence.as_ref(),
            clock: self.ports.clock.as_ref(),
        }
    }

    /// What having, making and withdrawing signing keys touches.
    pub fn key_ports(&self) -> ReadyKeysPorts<'_> {
        ReadyKeysPorts {
            store: self.ports.store.as_ref(),
            log: self.ports.log.as_ref(),
            fence: self.fence.as_ref(),
            ring: self.ports.keys.as_ref(),
            clock: self.ports.clock.as_ref(),
        }
    }
}
