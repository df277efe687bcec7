//! Places and devices as an operator configures them: GeoIP databases that come, change and break
//! while the service runs, and what desktop applications look like.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Instance, login};
use serde_json::{Value, json};

/// One of the databases of documentation addresses.
fn database(name: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.join("../../libs/device/tests/data").join(name)
}

async fn network(instance: &Instance) -> Value {
    let response = instance.create(login("alice")).await;
    let body: Value = response.json().await.expect("JSON");
    body["session"]["network"].clone()
}

/// Starts sessions until one is placed as expected.
async fn until_placed(instance: &Instance, country: &Value) -> Value {
    for _ in 0..200 {
        let network = network(instance).await;
        if network["country"] == *country {
            return network;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no session was placed in {country}");
}

#[tokio::test]
async fn databases_may_come_and_break_while_the_service_runs() {
    let dir = tempfile::tempdir().unwrap();
    let city = dir.path().join("city.mmdb");
    let instance = Instance::start_with(&dir.path().join("data"), |command| {
        command
            .env("SESSION_GEOIP__CITY", &city)
            .env("SESSION_GEOIP__ASN", database("asn.mmdb"))
            .env("SESSION_GEOIP__RELOAD", "1s");
    });
    let before = network(&instance).await;
    assert_eq!(before["country"], Value::Null);
    assert_eq!(before["asn"], json!(64_496));

    fs::copy(database("city.mmdb"), &city).unwrap();
    let placed = until_placed(&instance, &json!("DE")).await;
    assert_eq!(placed["city"], "Berlin");
    assert_eq!(placed["organisation"], "Example Office Networks");

    fs::write(&city, b"half a downlo").unwrap();
    while !instance.log().contains("the one before stays in use") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(network(&instance).await["country"], "DE");
}

#[tokio::test]
async fn desktop_applications_are_known_by_the_patterns_an_operator_sets() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        command
            .env("SESSION_DEVICE__DESKTOP_LABEL", "Acme Studio")
            .env("SESSION_DEVICE__DESKTOP_PATTERNS", "acmeshell/, acmeview");
    });
    for (agent, label) in [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AcmeShell/3",
            "Acme Studio",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) AcmeView", "Acme Studio"),
        ("curl/8.5.0", "curl"),
    ] {
        let mut body = login("alice");
        body["user_agent"] = agent.into();
        let started: Value = instance.create(body).await.json().await.unwrap();
        assert_eq!(started["session"]["device"]["label"], label, "{agent}");
    }
}
