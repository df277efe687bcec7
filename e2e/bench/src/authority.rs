//! What a validator follows, as little of it as it takes: it grants every lease, knows one key, and
//! has a snapshot of as many sessions as it is told, every other of them ended.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use session_domain::contract::sample;
use session_domain::ids::{LogEpoch, Seq, Serial, SessionId, TenantId};
use session_domain::port::{
    Bus, BusReply, BusRequest, Clock, Entropy, Incoming, KeyRing, TokenSigner,
};
use session_domain::revocation::{
    Grant, GrantReply, Head, LIST_BYTES, LIST_SERIALS, ListBits, PublicKey, Snapshot,
};
use session_domain::secret::Secret256;
use session_domain::token::{Claims, TokenKind};
use session_runtime::clock::{SystemClock, SystemEntropy};
use session_token::{ActiveSigner, SealedKeyRing, Secrets};
use tokio::task::JoinSet;

/// Who issues.
pub const ISSUER: &str = "http://127.0.0.1:1";

/// How long leases are.
const LEASE: Duration = Duration::from_secs(5);

/// How long tokens are good: longer than anything here takes.
const LIFE: Duration = Duration::from_secs(599);

/// The one before all entries: nothing is ever logged.
const HEAD: Head = Head {
    epoch: LogEpoch(1),
    seq: Seq(0),
};

/// What a validator follows.
#[derive(Clone)]
pub struct Authority {
    signer: Arc<ActiveSigner>,
    key: PublicKey,
    /// How many lists there are.
    lists: u64,
}

impl Authority {
    /// One that knows of this many sessions.
    pub fn new(sessions: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let secrets = Secrets::load_or_create(&folder.path().join("secrets"), entropy.as_ref())?;
        let signer = Arc::new(ActiveSigner::new());
        let ring = SealedKeyRing::new(Arc::clone(&signer), secrets.kek.clone(), entropy);
        let key = ring.generate(SystemClock.wall())?;
        ring.activate(&key)?;
        Ok(Self {
            signer,
            key: key.public,
            lists: sessions.div_ceil(LIST_SERIALS.into()),
        })
    }

    /// The key it signs with.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// An access token of a session beyond all lists, as usual ones are.
    pub fn token(&self, number: u64) -> Result<String> {
        let now = SystemClock.wall();
        let claims = Claims {
            kind: TokenKind::Access,
            key: self.key.kid.clone(),
            issuer: ISSUER.to_owned(),
            subject: sample::user("alice"),
            audience: vec![ISSUER.to_owned()],
            expires_at: now.plus(LIFE),
            issued_at: now,
            token_id: format!("{number:032x}"),
            session: SessionId(uuid::Uuid::from_u128(
                0x019a_5f3e_7c00_7000_8000 << 48 | u128::from(number),
            )),
            tenant: TenantId::default(),
            auth_time: now,
            acr: None,
            amr: vec!["pwd".to_owned()],
            scope: None,
            client_id: None,
            // Odd: the other ones have ended.
            serial: Serial(self.lists * u64::from(LIST_SERIALS) + 2 * number + 1),
        };
        let token = self.signer.sign(&claims).context("a token")?;
        Ok(token.expose().to_owned())
    }

    /// Answers over `bus` for as long as what is returned is kept.
    pub async fn serve(self, bus: Arc<dyn Bus>) -> Result<JoinSet<()>> {
        let mut requests = bus.requests().await?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            // Kept for as long as it listens: some buses end their streams with themselves.
            let _bus = bus;
            while let Some(Incoming { request, reply }) = requests.next().await {
                // Gone where the asker gave up.
                let _ = reply.send(self.answer(&request));
            }
        });
        Ok(serving)
    }

    fn answer(&self, request: &BusRequest) -> BusReply {
        match request {
            BusRequest::Grant(request) => BusReply::Grant(GrantReply::Granted(Grant {
                counter: request.counter,
                head: HEAD,
                lease: LEASE,
                server_time: SystemClock.wall(),
                reaped_through: SystemClock.wall(),
                secret: Secret256([7; 32]),
            })),
            BusRequest::Release { .. } => BusReply::Released,
            BusRequest::Snapshot => BusReply::Snapshot(Snapshot {
                head: HEAD,
                keys: vec![self.key.clone()],
                skipped: Vec::new(),
                floors: Vec::new(),
                lists: (0..self.lists).collect(),
                after: None,
                more: None,
            }),
            BusRequest::List(list) => BusReply::List(ListBits {
                head: HEAD,
                list: *list,
                bits: vec![0b0101_0101; LIST_BYTES],
            }),
            BusRequest::Activity(_) => BusReply::ActivityKept,
            BusRequest::Entries { .. } | BusRequest::Check(_) | BusRequest::SnapshotPart(_) => {
                BusReply::Unavailable
            }
        }
    }
}
