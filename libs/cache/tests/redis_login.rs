//! Who is let in, and over what: logins, permissions, TLS. What nobody but an operator can mend
//! ends the start with a clear word; what comes about later doesn't end a process that serves.

mod support;

use std::error::Error;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use session_cache::RedisConfig;
use session_domain::port::PortError;
use session_domain::secret::Credential;
use session_testkit::servers::Redis as Server;

use support::{Process, config, reading};

/// The whole story, as `main` prints it.
fn told(error: &PortError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

async fn refused(config: &RedisConfig) -> String {
    match Process::try_start(config).await {
        Ok(_) => panic!("it is let in"),
        Err(error) => {
            assert!(!error.is_retry());
            told(&error)
        }
    }
}

async fn works(config: &RedisConfig) {
    let process = Process::start(config).await;
    let session = reading(1, 1);
    process.put(&session).await;
    assert_eq!(process.get(&session).await, Some(session));
}

#[tokio::test]
async fn a_wrong_password_is_told_at_the_start_and_never_shown() {
    let server = Server::start_with(&["--requirepass", "hunter2"]);
    let wrong = refused(&config(&server.url_as("default", "hunter3"))).await;
    assert!(wrong.starts_with("Redis refuses this process"), "{wrong}");
    assert!(!wrong.contains("hunter"), "{wrong}");
    let none = refused(&config(&server.url())).await;
    assert!(none.contains("NOAUTH"), "{none}");
    works(&config(&server.url_as("default", "hunter2"))).await;

    let mut apart = config(&server.url());
    apart.url = apart.url.with_password(Credential::new("hunter2".into()));
    works(&apart).await;
}

#[tokio::test]
async fn a_password_changed_later_ends_nobody() {
    let server = Server::start();
    let process = Process::start(&config(&server.url())).await;
    assert_eq!(server.say("CONFIG SET requirepass hunter2"), "+OK");
    // Connections that are in stay in; new ones don't come in.
    server.say("AUTH hunter2");
    let mut hand = redis::Client::open(server.url_as("default", "hunter2"))
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let () = redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .query_async(&mut hand)
        .await
        .unwrap();
    process.put(&reading(1, 1)).await;
    process.eventually_available(false).await;
    let () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("requirepass")
        .arg("")
        .query_async(&mut hand)
        .await
        .unwrap();
    process.eventually_available(true).await;
}

/// The permissions `docs/operations.md` asks for are enough, and without them it is said so.
#[tokio::test]
async fn the_documented_permissions_suffice() {
    let operations = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let operations = std::fs::read_to_string(operations).unwrap();
    let line = operations
        .lines()
        .find_map(|line| line.trim().strip_prefix("user sessions "))
        .expect("the documentation names the permissions");
    let server = Server::start();
    let mut config = config(&server.url_as("sessions", "PASSWORD"));
    config.prefix = "session".parse().unwrap();

    let fewer = line.replace("+evalsha", "");
    assert_eq!(
        server.say(&format!("ACL SETUSER sessions reset {fewer}")),
        "+OK"
    );
    let refusal = refused(&config).await;
    assert!(
        refusal.contains("NOPERM") || refusal.contains("permissions"),
        "{refusal}"
    );

    assert_eq!(
        server.say(&format!("ACL SETUSER sessions reset {line}")),
        "+OK"
    );
    works(&config).await;
    config.prefix = "other".parse().unwrap();
    refused(&config).await;
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server on a port of its own for TLS, that says it is `name`.
    fn server(&self, name: &str) -> (Server, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file("server.pem"), certificate.pem()).unwrap();
        std::fs::write(self.file("server.key"), key.serialize_pem()).unwrap();
        // Held until the server has chosen its other port.
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port().to_string();
        let path = |name: &str| self.file(name).display().to_string();
        let mut server = Server::down(&[
            "--tls-port",
            &port,
            "--tls-cert-file",
            &path("server.pem"),
            "--tls-key-file",
            &path("server.key"),
            "--tls-ca-cert-file",
            &path("ca.pem"),
            "--tls-auth-clients",
            "no",
        ]);
        drop(held);
        server.restart();
        (server, format!("rediss://127.0.0.1:{port}"))
    }
}

fn trusting(url: &str, authority: &Authority) -> RedisConfig {
    RedisConfig {
        ca_file: Some(authority.file("ca.pem")),
        ..config(url)
    }
}

#[tokio::test]
async fn over_tls_the_server_s_certificate_is_checked() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (_server, url) = ours.server("127.0.0.1");
    works(&trusting(&url, &ours)).await;

    let untrusted = refused(&trusting(&url, &other)).await;
    assert!(untrusted.contains("certificate"), "{untrusted}");
    let unknown = refused(&config(&url)).await;
    assert!(unknown.contains("certificate"), "{unknown}");

    let missing = RedisConfig {
        ca_file: Some("/nowhere/ca.pem".into()),
        ..config(&url)
    };
    let missing = refused(&missing).await;
    assert!(missing.starts_with("can't read the authority"), "{missing}");
}

#[tokio::test]
async fn over_tls_the_server_must_have_the_name_it_is_called_by() {
    let authority = Authority::new();
    let (_server, url) = authority.server("elsewhere.example");
    let misnamed = refused(&trusting(&url, &authority)).await;
    assert!(misnamed.contains("certificate"), "{misnamed}");
}
