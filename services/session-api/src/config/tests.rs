use super::*;
use session_runtime::config::{Layers, load};

#[test]
fn the_issuer_is_where_it_listens_unless_named() {
    let settings = load(Layers::default(), Settings::read).unwrap().value;
    let config = settings.at("127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.policy.issuer, "http://127.0.0.1:8080");
    assert_eq!(config.origins, ["http://127.0.0.1:8080"]);
    let defaults = SessionPolicy::new("http://127.0.0.1:8080".into());
    assert_eq!(
        config.policy, defaults,
        "the documented defaults are the domain's"
    );
}

fn redis_of(settings: &[(&str, &str)]) -> Result<Option<RedisConfig>, String> {
    let layers = Layers::default().environment(settings.iter().copied());
    let loaded = load(layers, redis).map_err(|mistakes| mistakes.to_string());
    loaded.map(|loaded| loaded.value)
}

#[test]
fn redis_is_optional_and_its_documented_defaults_are_the_adapter_s() {
    assert_eq!(redis_of(&[]), Ok(None));
    let url = "redis://cache.example";
    let defaults = RedisConfig::new(url.parse().unwrap());
    assert_eq!(redis_of(&[("SESSION_REDIS__URL", url)]), Ok(Some(defaults)));
}

#[test]
fn redis_has_one_password_and_an_authority_only_with_tls() {
    let (url, with_password) = ("SESSION_REDIS__URL", "redis://:inside@cache.example");
    let password = ("SESSION_REDIS__PASSWORD", "outside");
    let apart = redis_of(&[(url, "redis://cache.example"), password]);
    assert!(apart.unwrap().unwrap().url.has_password());
    let twice = redis_of(&[(url, with_password), password]).unwrap_err();
    assert!(twice.contains("redis.password"), "{twice}");
    assert!(
        !twice.contains("inside") && !twice.contains("outside"),
        "{twice}"
    );
    let authority = ("SESSION_REDIS__CA_FILE", "/ca.pem");
    let plain = redis_of(&[(url, "redis://cache.example"), authority]).unwrap_err();
    assert!(plain.contains("redis.ca_file"), "{plain}");
    assert!(redis_of(&[(url, "rediss://cache.example"), authority]).is_ok());
}
