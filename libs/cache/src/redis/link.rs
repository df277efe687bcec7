//! The way to the server. No call waits longer than the configured moment. After one that failed
//! nobody asks for a while: the server is probed in the background, and asked again once it serves.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use bb8_redis::bb8::{ManageConnection, Pool, RunError};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, FromRedisValue, RedisError, Script, TlsCertificates};
use session_domain::port::PortError;
use session_domain::secret::Secret256;
use tokio::task::AbortHandle;

use super::circuit::{Circuit, Epoch};
use super::config::RedisConfig;
use super::failure::Failure;
use super::limiter::spend_once;
use super::seal::Seal;

/// How long a probe may take: longer than a call, for nobody waits for it.
const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// The pause before the server is probed, again and again while it isn't asked.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// A Redis server, or Valkey. It may be away at any time, from the start on; whatever uses it does
/// without it meanwhile.
pub struct Redis {
    link: Arc<Link>,
    prober: AbortHandle,
}

/// What calls and the prober share.
pub(super) struct Link {
    server: String,
    prefix: String,
    pool: Pool<Manager>,
    circuit: Arc<Circuit>,
    timeout: Duration,
    pub(super) seal: Seal,
    failures: Counter<u64>,
    available: Gauge<u64>,
}

impl Redis {
    /// Reaches the server `config` names. Where it can't be reached now that is logged, and the
    /// rest does without it until it can. `key` is this deployment's own: what it didn't seal in
    /// Redis isn't believed. Failed calls are counted in `session.redis.failures` of `meter`, and
    /// `session.redis.available` is 1 while the server is asked.
    ///
    /// # Errors
    /// What waiting doesn't mend: an authority that can't be read, a certificate that isn't
    /// trusted, a login or a command that is refused.
    pub async fn connect(
        config: &RedisConfig,
        key: &Secret256,
        meter: &Meter,
    ) -> Result<Self, PortError> {
        let circuit = Arc::new(Circuit::open());
        let manager = Manager {
            inner: manager(config).await?,
            circuit: Arc::clone(&circuit),
        };
        let pool = Pool::builder()
            .max_size(config.connections_max)
            .connection_timeout(PROBE_WITHIN)
            .retry_connection(false)
            .build_unchecked(manager);
        let link = Arc::new(Link {
            server: config.url.to_string(),
            prefix: config.prefix.as_str().to_owned(),
            pool,
            circuit,
            timeout: config.timeout,
            seal: Seal::new(key),
            failures: meter
                .u64_counter("session.redis.failures")
                .with_description("Calls of Redis that failed, by reason")
                .build(),
            available: meter
                .u64_gauge("session.redis.available")
                .with_description("1 while Redis is asked, 0 while it is done without")
                .build(),
        });
        link.available.record(0, &[]);
        let epoch = link.circuit.epoch();
        match link.probe().await {
            Ok(()) => link.mend(epoch),
            Err(Failure::Refused(error)) => {
                return Err(PortError::fatal("Redis refuses this process", error));
            }
            Err(error) => {
                let server = &link.server;
                tracing::warn!(%server, %error, "Redis can't be used; going on without it");
            }
        }
        let prober = tokio::spawn(Arc::clone(&link).keep_probing()).abort_handle();
        Ok(Self { link, prober })
    }

    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Whether it is asked at the moment.
    pub fn is_available(&self) -> bool {
        !self.link.circuit.epoch().is_open()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.prober.abort();
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("server", &self.link.server)
            .field("available", &self.is_available())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// The key of that name in this deployment.
    pub(super) fn key(&self, kind: &str, name: fmt::Arguments<'_>) -> String {
        format!("{}:{kind}:{name}", self.prefix)
    }

    /// Sends a command and waits for its answer, for a moment.
    pub(super) async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.within(self.timeout, async |connection| {
            command.query_async(connection).await
        })
        .await
    }

    /// Runs a script with one key. The server is sent its text where it doesn't know it yet.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        key: &str,
        arguments: &[&[u8]],
    ) -> Result<T, Failure> {
        let mut prepared = script.key(key);
        for argument in arguments {
            prepared.arg(*argument);
        }
        let prepared = &prepared;
        self.within(self.timeout, async |connection| {
            prepared.invoke_async(connection).await
        })
        .await
    }

    async fn within<T>(
        &self,
        span: Duration,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Failure> {
        let epoch = self.circuit.epoch();
        if epoch.is_open() {
            return Err(Failure::Away);
        }
        let asking = async {
            let mut held = self.pool.get().await.map_err(|error| match error {
                RunError::User(error) => Failure::from(error),
                RunError::TimedOut => Failure::Late,
            })?;
            ask(&mut held.connection).await.map_err(Failure::from)
        };
        let asked = tokio::time::timeout(span, asking).await;
        let result = asked.unwrap_or(Err(Failure::Late));
        if let Err(failure) = &result {
            self.note(epoch, failure);
        }
        result
    }

    /// Counts a failure, and stops asking where others would fail, too.
    fn note(&self, epoch: Epoch, failure: &Failure) {
        let reason = KeyValue::new("reason", failure.label());
        self.failures.add(1, &[reason]);
        if failure.concerns_all() && self.circuit.break_in(epoch) {
            self.available.record(0, &[]);
            let server = &self.server;
            tracing::warn!(%server, error = %failure, "Redis can't be used; going on without it");
        }
    }

    fn mend(&self, epoch: Epoch) {
        if self.circuit.mend_in(epoch) {
            self.available.record(1, &[]);
            let server = &self.server;
            tracing::info!(%server, "Redis is in use");
        }
    }

    async fn keep_probing(self: Arc<Self>) {
        let mut refused = false;
        loop {
            let epoch = self.circuit.broken().await;
            tokio::time::sleep(PROBE_EVERY).await;
            match self.probe().await {
                Ok(()) => {
                    refused = false;
                    self.mend(epoch);
                }
                // Said once: a process that serves isn't ended for a cache.
                Err(failure @ Failure::Refused(_)) if !refused => {
                    refused = true;
                    let server = &self.server;
                    tracing::error!(%server, error = %failure, "Redis refuses this process");
                }
                Err(_) => {}
            }
        }
    }

    /// Does on a connection of its own what calls do: whether the server lets this process count
    /// tells whether it is the primary, has loaded its data, and has the commands permitted.
    async fn probe(&self) -> Result<(), Failure> {
        let probing = async {
            let mut held = self.pool.dedicated_connection().await?;
            let key = self.key("probe", format_args!("0"));
            spend_once(&mut held.connection, &key).await
        };
        match tokio::time::timeout(PROBE_WITHIN, probing).await {
            Ok(Ok(())) => Ok(()),
            // It serves; what is wrong with one counter is that counter's.
            Ok(Err(error)) => match Failure::from(error) {
                Failure::Reply(_) => Ok(()),
                failure => Err(failure),
            },
            Err(_) => Err(Failure::Late),
        }
    }
}

/// Makes connections, and tells those from before the server was last lost.
pub(super) struct Manager {
    inner: RedisConnectionManager,
    circuit: Arc<Circuit>,
}

/// A connection, and when it was made.
pub(super) struct Held {
    connection: MultiplexedConnection,
    made: Epoch,
}

impl ManageConnection for Manager {
    type Connection = Held;
    type Error = RedisError;

    async fn connect(&self) -> Result<Held, RedisError> {
        let made = self.circuit.epoch();
        let connection = self.inner.connect().await?;
        Ok(Held { connection, made })
    }

    /// Without a word to the server: a call that fails says the same, and costs nothing until then.
    async fn is_valid(&self, held: &mut Held) -> Result<(), RedisError> {
        if self.has_broken(held) {
            Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
        } else {
            Ok(())
        }
    }

    fn has_broken(&self, held: &mut Held) -> bool {
        held.made != self.circuit.epoch()
    }
}

/// How connections are made. Reads the file the configuration names.
async fn manager(config: &RedisConfig) -> Result<RedisConnectionManager, PortError> {
    let unusable = |error: RedisError| PortError::fatal("the Redis settings can't be used", error);
    let mut info = config.url.connection().map_err(unusable)?;
    if config.url.is_tls() {
        // Refused where the process has chosen before, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let root_cert =
            match &config.ca_file {
                Some(file) => Some(tokio::fs::read(file).await.map_err(|error| {
                    PortError::fatal("can't read the authority for Redis", error)
                })?),
                None => None,
            };
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert,
        };
        let client = Client::build_with_tls(info, certificates).map_err(unusable)?;
        info = client.get_connection_info().clone();
    }
    RedisConnectionManager::new(info).map_err(unusable)
}
