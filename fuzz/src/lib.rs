//! What the targets share: a key, the tokens it has signed, and a validator that knows both. All of
//! it is the same in every run, so that a finding can be repeated.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use opentelemetry::metrics::Meter;
use session_client::{Config, Policies, Policy, Ports, Validator};
use session_domain::contract::sample;
use session_domain::ids::{LogEpoch, Seq, Serial};
use session_domain::port::{
    Bus, BusReply, BusRequest, Clock, Entropy, Incoming, KeyRing, PortError, Timer, TokenSigner,
};
use session_domain::revocation::{
    Acknowledgement, Grant, GrantReply, Head, KeySet, PublicKey, Publication, Snapshot,
};
use session_domain::secret::Secret256;
use session_domain::time::{BootInstant, Timestamp};
use session_domain::token::{Claims, TokenKind};
use session_token::seal::KeyEncryptionKey;
use session_token::{ActiveSigner, LifeMax, SealedKeyRing, StrictVerifier};

/// Who issues.
pub const ISSUER: &str = "http://127.0.0.1:1";

/// Whose the good tokens are.
pub const SUBJECT: &str = "alice";

/// How far the log is known.
const HEAD: Head = Head {
    epoch: LogEpoch(1),
    seq: Seq(7),
};

/// Every serial up to this one is dead.
const FLOOR: Serial = Serial(10);

/// Always the same: what depends on it must not differ between runs.
struct Same;

impl Entropy for Same {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl Clock for Same {
    fn wall(&self) -> Timestamp {
        sample::START.plus(Duration::from_secs(1))
    }

    fn boot(&self) -> BootInstant {
        BootInstant::default().plus(Duration::from_secs(1_000))
    }
}

#[async_trait]
impl Timer for Same {
    async fn sleep_until(&self, _: BootInstant) {
        std::future::pending().await
    }
}

/// An authority that grants one long lease, and is never there for a check.
#[async_trait]
impl Bus for Same {
    async fn publish(&self, _: &Publication) -> Result<(), PortError> {
        Ok(())
    }

    async fn publications(&self) -> Result<BoxStream<'static, Publication>, PortError> {
        Ok(stream::pending().boxed())
    }

    async fn acknowledge(&self, _: &Acknowledgement) -> Result<(), PortError> {
        Ok(())
    }

    async fn acknowledgements(&self) -> Result<BoxStream<'static, Acknowledgement>, PortError> {
        Ok(stream::pending().boxed())
    }

    async fn request(&self, request: BusRequest, _: Duration) -> Result<BusReply, PortError> {
        match request {
            BusRequest::Grant(asked) => Ok(BusReply::Grant(GrantReply::Granted(Grant {
                counter: asked.counter,
                head: HEAD,
                lease: Duration::from_secs(3_600),
                server_time: self.wall(),
                reaped_through: self.wall(),
                secret: Secret256([7; 32]),
            }))),
            BusRequest::Snapshot => Ok(BusReply::Snapshot(Snapshot {
                head: HEAD,
                keys: vec![KNOWN.public.clone()],
                skipped: Vec::new(),
                floors: vec![(None, FLOOR)],
                lists: Vec::new(),
                after: None,
                more: None,
            })),
            _ => Err(PortError::retry("request", "nobody is there")),
        }
    }

    async fn requests(&self) -> Result<BoxStream<'static, Incoming>, PortError> {
        Ok(stream::pending().boxed())
    }
}

/// What there is to know.
pub struct Known {
    /// The one key in service.
    pub public: PublicKey,
    /// A good access token.
    pub access: String,
    /// A good session token.
    pub session: String,
    /// An access token of a session that has ended.
    pub ended: String,
}

/// The key and the tokens.
pub static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let signer = Arc::new(ActiveSigner::new());
    let kek = KeyEncryptionKey::generate(&Same);
    let ring = SealedKeyRing::new(Arc::clone(&signer), kek, Arc::new(Same));
    let stored = ring.generate(sample::START).expect("a key");
    ring.activate(&stored).expect("its own seal");
    let sign = |kind, serial: u64| {
        let lasts = match kind {
            TokenKind::Access => 600,
            TokenKind::Session => 3_600,
        };
        let claims = Claims {
            kind,
            key: stored.public.kid.clone(),
            issuer: ISSUER.into(),
            subject: sample::user(SUBJECT),
            audience: vec![ISSUER.into()],
            expires_at: sample::START.plus(Duration::from_secs(lasts)),
            issued_at: sample::START,
            token_id: "1".into(),
            session: sample::session_id(serial.into()),
            tenant: session_domain::ids::TenantId::default(),
            auth_time: sample::START,
            acr: Some("low".into()),
            amr: vec!["pwd".into()],
            scope: Some("read".into()),
            client_id: None,
            serial: Serial(serial),
        };
        signer.sign(&claims).expect("a token").expose().to_owned()
    };
    Known {
        access: sign(TokenKind::Access, FLOOR.0 + 1),
        session: sign(TokenKind::Session, FLOOR.0 + 1),
        ended: sign(TokenKind::Access, FLOOR.0),
        public: stored.public,
    }
});

/// What stands for a token in an input: mutations would hardly ever keep a whole one whole.
const MARKS: [(&[u8], fn(&Known) -> &str); 3] = [
    (b"{access}", |known| &known.access),
    (b"{session}", |known| &known.session),
    (b"{ended}", |known| &known.ended),
];

/// `bytes` with tokens for their marks.
pub fn with_tokens(bytes: &[u8]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    'next: while let Some((&first, after)) = rest.split_first() {
        for (mark, token) in MARKS {
            if let Some(after) = rest.strip_prefix(mark) {
                filled.extend_from_slice(token(&KNOWN).as_bytes());
                rest = after;
                continue 'next;
            }
        }
        filled.push(first);
        rest = after;
    }
    filled
}

/// Whether a field holds a token that is good, and is one for such a field.
pub fn holds_a_good_one(name: &str, value: &[u8]) -> bool {
    let holds = |token: &str| {
        let token = token.as_bytes();
        value.windows(token.len()).any(|window| window == token)
    };
    match name.to_ascii_lowercase().as_str() {
        "authorization" | "sec-websocket-protocol" => holds(&KNOWN.access),
        "cookie" => holds(&KNOWN.session),
        _ => false,
    }
}

/// The key in service.
pub fn keys() -> KeySet {
    let mut keys = KeySet::default();
    keys.add(KNOWN.public.clone());
    keys
}

/// What checks tokens.
pub fn verifier() -> StrictVerifier {
    let life_max = LifeMax {
        access: Duration::from_secs(600),
        session: Duration::from_secs(3_600),
    };
    StrictVerifier::new(ISSUER, life_max)
}

/// A validator with a lease, and a policy for each thing a policy can say.
pub fn validator() -> Validator {
    let ports = Ports {
        bus: Arc::new(Same),
        verifier: Arc::new(verifier()),
        clock: Arc::new(Same),
        timer: Arc::new(Same),
        entropy: Arc::new(Same),
    };
    let policy = || Policy::new(ISSUER.into());
    let policies = Policies::new(Policy {
        websocket_origins: vec!["https://a.example".into()],
        ..policy()
    });
    let policies = policies.with(
        "cors",
        Policy {
            preflight: true,
            ..policy()
        },
    );
    let policies = policies.with(
        "strict",
        Policy {
            scopes: vec!["write".into()],
            min_acr: Some("high".into()),
            max_age: Some(Duration::from_secs(60)),
            cookie: false,
            ..policy()
        },
    );
    let policies = policies.with(
        "sockets",
        Policy {
            websocket_token: true,
            ..policy()
        },
    );
    let policies = policies.with_levels(vec!["low".into(), "high".into()]);
    let (validator, following) = Validator::new(Config::new(ISSUER), policies, ports);
    // Nothing it waits for ever takes time; what it would wait for afterwards never comes.
    let mut following = Box::pin(following.run(std::future::pending()));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        assert!(following.as_mut().poll(&mut context).is_pending());
    }
    assert!(validator.is_ready(), "it has a lease");
    // Its end would be the lease's.
    std::mem::forget(following);
    validator
}

/// A meter that counts nothing.
pub fn meter() -> Meter {
    opentelemetry::global::meter("fuzz")
}
