//! The authority a validator follows, put together from the parts that ship.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{SessionId, TenantId};
use session_domain::policy::SessionPolicy;
use session_domain::port::{
    Bus, Clock, End, Entropy, Fence, SessionStore, Start, StartOutcome, Targets, Why,
};
use session_domain::secret::{Credential, Secret256};
use session_domain::session::{Authentication, EndReason, NewSession, RefreshState, Session};
use session_domain::usecase::fence::{FenceKeeper, FencePorts};
use session_domain::usecase::issue::{Issued, issue};
use session_domain::usecase::ready_keys::{ReadyKeysPorts, ready_keys};
use session_domain::usecase::serve::{ServePorts, serve};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_store::SqliteStore;
use session_token::{ActiveSigner, RefreshDeriver, SealedKeyRing, Secrets};

/// Short, so that outliving one doesn't take long.
pub const LEASE: Duration = Duration::from_secs(1);

/// Who issues.
pub const ISSUER: &str = "http://127.0.0.1:1";

/// What answers validators, ends sessions and waits at the fence.
pub struct Authority {
    store: Arc<SqliteStore>,
    fence: Arc<FenceKeeper>,
    signer: Arc<ActiveSigner>,
    refresh: RefreshDeriver,
    started: AtomicU8,
    _folder: tempfile::TempDir,
}

impl Authority {
    /// One that is reached over `bus`.
    pub async fn over(bus: Arc<dyn Bus>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let file = folder.path().join("sessions.db");
        let store = SqliteStore::open(&file, Arc::new(SystemClock), Arc::clone(&entropy)).await;
        let store = Arc::new(store.expect("a store"));
        let fence = Arc::new(FenceKeeper::new(FencePorts {
            log: Arc::clone(&store) as _,
            bus: Arc::clone(&bus),
            clock: Arc::new(SystemClock),
            timer: Arc::new(TokioTimer::new(SystemClock)),
        }));
        let fencing = Arc::clone(&fence);
        tokio::spawn(async move { fencing.run(std::future::pending()).await });
        let serving = Arc::clone(&store);
        tokio::spawn(async move {
            let ports = ServePorts {
                log: serving.as_ref(),
                store: serving.as_ref(),
                bus: bus.as_ref(),
                clock: &SystemClock,
                lease: LEASE,
            };
            serve(&ports, std::future::pending()).await
        });
        let secrets = Secrets::load_or_create(&folder.path().join("secrets"), entropy.as_ref());
        let secrets = secrets.expect("secrets");
        let signer = Arc::new(ActiveSigner::new());
        let ring = SealedKeyRing::new(Arc::clone(&signer), secrets.kek.clone(), entropy);
        ready_keys(&ReadyKeysPorts {
            store: store.as_ref(),
            log: store.as_ref(),
            fence: fence.as_ref(),
            ring: &ring,
            clock: &SystemClock,
        })
        .await
        .expect("a key");
        let newest = *secrets.refresh_keys.keys().next_back().expect("a key");
        Self {
            store,
            fence,
            signer,
            refresh: RefreshDeriver::new(secrets.refresh_keys, newest).expect("keys"),
            started: AtomicU8::new(0),
            _folder: folder,
        }
    }

    /// Starts a session of an hour. Returns it and its access token.
    pub async fn sign_in(&self) -> (SessionId, Credential) {
        let (id, issued) = self.sign_in_as(|_| {}).await;
        (id, issued.access_token)
    }

    /// Starts a session of an hour that differs as told. Returns it and its credentials.
    pub async fn sign_in_as(&self, change: impl FnOnce(&mut Session)) -> (SessionId, Issued) {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let (now, seed) = (SystemClock.wall(), Secret256([number; 32]));
        let sample = sample::session();
        let mut session = Session {
            id: sample::session_id(number.into()),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus(Duration::from_secs(3_600)),
            absolute_expires_at: now.plus(Duration::from_secs(86_400)),
            authentication: Authentication {
                auth_time: now,
                ..sample.authentication.clone()
            },
            refresh: RefreshState {
                rotated_at: now,
                ..sample.refresh
            },
            ..sample
        };
        change(&mut session);
        let change = Start {
            session: NewSession::new(session, seed.clone()),
            actor: Actor::System,
            limit: None,
            idempotency: None,
        };
        let store: &dyn SessionStore = self.store.as_ref();
        let outcome = store.apply(change).await.expect("a session");
        let StartOutcome::Started { session, .. } = outcome else {
            panic!("not started: {outcome:?}");
        };
        let policy = SessionPolicy::new(ISSUER.into());
        let issued = issue(
            self.signer.as_ref(),
            &self.refresh,
            &policy,
            &session,
            &seed,
        );
        (session.id, issued.expect("tokens"))
    }

    /// Ends a session, and returns once no validator accepts it.
    pub async fn end(&self, id: SessionId) {
        let change = End {
            targets: Targets::One {
                tenant: TenantId::default(),
                id,
            },
            why: Why::Because {
                reason: EndReason::Logout,
                note: None,
            },
            at: SystemClock.wall(),
            actor: Actor::System,
            batch: 1,
        };
        let store: &dyn SessionStore = self.store.as_ref();
        let outcome = store.apply(change).await.expect("an end");
        assert_eq!(outcome.ended.len(), 1);
        let waited = self.fence.wait(outcome.through, outcome.fresh).await;
        waited.expect("the fence opens");
    }
}
