//! Start a session for a user who has just been authenticated.

use std::net::IpAddr;
use std::time::Duration;

use uuid::Builder;

use crate::device::{Device, Network};
use crate::ids::{Generation, Serial, SessionId, TenantId, UserId, Version};
use crate::policy::SessionPolicy;
use crate::port::{
    AgentReader, Clock, Entropy, Fence, Fingerprints, Idempotency, Locator, PortError,
    RefreshTokens, SessionStore, Start, StartOutcome, TokenSigner,
};
use crate::secret::Secret256;
use crate::session::{Authentication, Authorization, NewSession, RefreshState, Session, Status};
use crate::time::Timestamp;
use crate::usecase::caller::Caller;
use crate::usecase::issue::{Issued, issue};

/// At most this many bytes of metadata, as JSON, are remembered with a session.
pub const METADATA_BYTES_MAX: usize = 4 * 1024;

/// At most this many characters of a user agent are kept.
pub const USER_AGENT_CHARS_MAX: usize = 1_024;

/// How far ahead of ours the clock may run by which a login system says when a user authenticated.
pub const AUTH_TIME_AHEAD_MAX: Duration = Duration::from_secs(60);

/// What the login system says about the login.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// Whose customer.
    pub tenant: TenantId,
    /// Who signed in.
    pub user: UserId,
    /// From where.
    pub ip: IpAddr,
    /// With what; may be empty.
    pub user_agent: String,
    /// What the login system recognises the device by.
    pub device_fingerprint: Option<String>,
    /// What the user calls the device.
    pub device_name: Option<String>,
    /// How they proved who they are; `auth_time` absent means now.
    pub auth_time: Option<Timestamp>,
    /// The context class reached.
    pub acr: Option<String>,
    /// The methods used.
    pub amr: Vec<String>,
    /// What access tokens are good for.
    pub authorization: Authorization,
    /// What to remember.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// How long it shall last; absent means the policy's default.
    pub lifetime: Option<Duration>,
    /// How a repeated request is recognised: the key, and a hash of everything it said.
    pub idempotency: Option<(String, [u8; 32])>,
}

/// What starting needs from the world.
pub struct StartPorts<'a> {
    /// Where sessions are kept.
    pub store: &'a dyn SessionStore,
    /// How evictions are announced.
    pub fence: &'a dyn Fence,
    /// Signs tokens.
    pub signer: &'a dyn TokenSigner,
    /// Derives refresh tokens.
    pub refresh: &'a dyn RefreshTokens,
    /// Reads user agents.
    pub agents: &'a dyn AgentReader,
    /// Knows where addresses are.
    pub locator: &'a dyn Locator,
    /// Hashes device fingerprints.
    pub fingerprints: &'a dyn Fingerprints,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub entropy: &'a dyn Entropy,
}

/// A session has started.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The session.
    pub session: Session,
    /// Its credentials.
    pub issued: Issued,
}

/// Why no session was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something in the request breaks a rule.
    #[error("{field} must be {rule}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// The rule, worded to follow "must be".
        rule: String,
    },
    /// The idempotency key was used for a different request.
    #[error("the idempotency key was used for a different request")]
    KeyReused,
    /// The session this request started before has ended since.
    #[error("the session this request started has ended since")]
    Gone,
    /// The user has as many sessions as allowed.
    #[error("the user has as many sessions as allowed")]
    LimitReached,
    /// Something needed didn't work.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Starts a session and issues its credentials.
///
/// # Errors
/// See [`StartError`]; nothing was started, except that a lost answer can be had again with the
/// same idempotency key.
pub async fn start(
    ports: &StartPorts<'_>,
    policy: &SessionPolicy,
    caller: &Caller,
    request: StartRequest,
) -> Result<Started, StartError> {
    let idempotency = match (caller, &request.idempotency) {
        (Caller::Service(service), Some((key, digest))) => Some(Idempotency {
            caller: service.id,
            key: key.clone(),
            digest: *digest,
        }),
        _ => None,
    };
    let seed = ports.entropy.secret();
    let session = draft(ports, policy, request)?;
    let change = Start {
        session: NewSession::new(session, seed.clone()),
        actor: caller.actor(),
        limit: policy.session_limit,
        idempotency,
    };
    let (session, seed) = match ports.store.apply(change).await? {
        StartOutcome::Started {
            session,
            evicted: _,
            fresh,
        } => {
            if let Some(fresh) = fresh {
                // Nobody was promised these ends, so the login doesn't wait for them.
                ports.fence.announce(fresh).await;
            }
            (*session, seed)
        }
        StartOutcome::Replayed(seeded) if seeded.session.status != Status::Active => {
            return Err(StartError::Gone);
        }
        StartOutcome::Replayed(seeded) => (seeded.session, seeded.seed),
        StartOutcome::KeyReused => return Err(StartError::KeyReused),
        StartOutcome::LimitReached => return Err(StartError::LimitReached),
    };
    let issued = issue(ports.signer, ports.refresh, policy, &session, &seed)?;
    Ok(Started { session, issued })
}

fn draft(
    ports: &StartPorts<'_>,
    policy: &SessionPolicy,
    request: StartRequest,
) -> Result<Session, StartError> {
    let now = ports.clock.wall();
    let lifetime = check_lifetime(policy, request.lifetime)?;
    check_metadata(&request.metadata)?;
    let auth_time = request.auth_time.unwrap_or(now);
    if auth_time > now.plus(AUTH_TIME_AHEAD_MAX) {
        return Err(invalid("auth_time", "in the past"));
    }
    let user_agent: String = request
        .user_agent
        .chars()
        .take(USER_AGENT_CHARS_MAX)
        .collect();
    let fingerprint = request.device_fingerprint.as_deref();
    Ok(Session {
        id: session_id(now, ports.entropy),
        serial: Serial(0),
        status: Status::Active,
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus(lifetime),
        absolute_expires_at: now.plus(policy.absolute_lifetime),
        idle_timeout: policy.idle_timeout,
        authentication: Authentication {
            auth_time,
            acr: request.acr,
            amr: request.amr,
        },
        authorization: request.authorization,
        device: Device {
            agent: ports.agents.read(&user_agent),
            fingerprint_hash: fingerprint
                .map(|text| ports.fingerprints.hash(&request.tenant, text)),
            name: request.device_name,
            user_agent,
        },
        network: Network::new(request.ip, ports.locator.locate(request.ip.to_canonical())),
        refresh: RefreshState {
            generation: Generation(0),
            rotated_at: now,
        },
        metadata: request.metadata,
        version: Version(0),
        tenant: request.tenant,
        user: request.user,
    })
}

fn check_lifetime(policy: &SessionPolicy, asked: Option<Duration>) -> Result<Duration, StartError> {
    let ceiling = SessionPolicy::LIFETIME_MAX.min(policy.absolute_lifetime);
    match asked {
        None => Ok(SessionPolicy::LIFETIME_DEFAULT.min(ceiling)),
        Some(asked) if asked >= SessionPolicy::LIFETIME_MIN.min(ceiling) && asked <= ceiling => {
            Ok(asked)
        }
        Some(_) => {
            let (min, max) = (
                SessionPolicy::LIFETIME_MIN.min(ceiling).as_secs(),
                ceiling.as_secs(),
            );
            Err(invalid(
                "expires_in_seconds",
                &format!("from {min} to {max}"),
            ))
        }
    }
}

/// Whether so much is remembered with a session.
pub fn metadata_fits(metadata: &serde_json::Map<String, serde_json::Value>) -> bool {
    serde_json::to_vec(metadata).is_ok_and(|json| json.len() <= METADATA_BYTES_MAX)
}

fn check_metadata(metadata: &serde_json::Map<String, serde_json::Value>) -> Result<(), StartError> {
    if !metadata_fits(metadata) {
        return Err(invalid(
            "metadata",
            &format!("at most {METADATA_BYTES_MAX} bytes of JSON"),
        ));
    }
    Ok(())
}

fn invalid(field: &'static str, rule: &str) -> StartError {
    StartError::Invalid {
        field,
        rule: rule.to_owned(),
    }
}

/// A fresh `UUIDv7` (RFC 9562 §5.7): sorts by start, the rest random.
fn session_id(now: Timestamp, entropy: &dyn Entropy) -> SessionId {
    let Secret256(bits) = entropy.secret();
    let mut random = [0; 10];
    random.copy_from_slice(&bits[..10]);
    let millis = u64::try_from(now.0 / 1_000).unwrap_or(0);
    SessionId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}
