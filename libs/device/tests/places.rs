//! Look-ups. Most in our own small databases of documentation addresses; where `GEOIP_TEST_DIR`
//! names a folder with MaxMind's test databases, in those too, and says so where it doesn't.

#[path = "support/fixtures.rs"]
mod fixtures;
mod support;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::Reader;
use session_device::GeoLocator;
use session_domain::device::Place;
use session_domain::port::Locator;
use session_domain::time::Timestamp;

/// The committed file of that name.
fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The test database of MaxMind's of that name.
fn foreign(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("GEOIP_TEST_DIR").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        println!("skipped: GEOIP_TEST_DIR names no folder of test databases");
    }
    folder.map(|folder| PathBuf::from(folder).join(name))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Addresses of all sorts: known ones, private ones, the ends of both ranges.
fn addresses() -> impl Iterator<Item = IpAddr> {
    let some = [
        "192.0.2.1",
        "192.0.2.200",
        "198.51.100.200",
        "203.0.113.9",
        "2001:db8::1",
        "2001:db8:c000::1",
        "::ffff:192.0.2.1",
        "2.125.160.216",
        "89.160.20.128",
        "81.2.69.142",
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "2001:218::",
        "2a02:dead::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ];
    let many = (0..=255).map(|byte| IpAddr::from([byte, byte ^ 0x55, 3, byte]));
    some.map(ip).into_iter().chain(many)
}

#[test]
fn the_committed_databases_are_what_make_generate_writes_and_sound() {
    for (name, database) in [
        ("city.mmdb", fixtures::city()),
        ("asn.mmdb", fixtures::asn()),
    ] {
        let bytes = fs::read(own(name)).unwrap();
        assert!(bytes == database.bytes(), "{name}: run `make generate`");
        assert!(bytes.len() < 20_000);
        let reader = Reader::from_source(bytes).unwrap();
        reader.verify().unwrap();
        assert_eq!(reader.metadata().build_epoch, fixtures::BUILD_EPOCH);
    }
}

#[test]
fn a_city_and_its_network_are_found() {
    let locator = GeoLocator::open(Some(&own("city.mmdb")), Some(&own("asn.mmdb")));
    let berlin = Place {
        country: Some("DE".into()),
        city: Some("Berlin".into()),
        latitude: Some(52.52),
        longitude: Some(13.405),
        accuracy_radius_km: Some(20),
        asn: Some(64_496),
        organisation: Some("Example Office Networks".into()),
    };
    assert_eq!(locator.locate(ip("192.0.2.127")), berlin);
    assert_eq!(
        locator.locate(ip("::ffff:192.0.2.127")),
        berlin,
        "IPv4-mapped"
    );
    let built = i64::try_from(fixtures::BUILD_EPOCH).unwrap();
    let built = Timestamp::from_unix_seconds(built);
    assert_eq!(locator.city_built_at(), Some(built));

    let cities = [
        "192.0.2.128",
        "198.51.100.199",
        "198.51.100.200",
        "203.0.113.255",
    ];
    let found = cities.map(|address| locator.locate(ip(address)).city);
    let found = found.each_ref().map(|city| city.as_deref());
    assert_eq!(
        found,
        [None, Some("Lisbon"), Some("Porto"), Some("Auckland")]
    );
    let porto = locator.locate(ip("198.51.100.200"));
    assert_eq!(porto.accuracy_radius_km, None, "the radius isn't known");

    let six = ["2001:db8::1", "2001:db8:8000::1", "2001:db8:ffff::1"];
    let found = six.map(|address| {
        let place = locator.locate(ip(address));
        (place.country.unwrap(), place.asn.unwrap())
    });
    let expected = ["SE", "FJ", "WS"].map(|country| (country.to_owned(), 65_536));
    assert_eq!(found, expected);

    for unknown in ["127.0.0.1", "192.0.3.0", "192.0.1.255", "2001:db7::", "::1"] {
        assert_eq!(locator.locate(ip(unknown)), Place::default(), "{unknown}");
    }
}

#[test]
fn each_database_alone_tells_its_part() {
    let city = GeoLocator::open(Some(&own("city.mmdb")), None).locate(ip("203.0.113.1"));
    assert_eq!((city.country.as_deref(), city.asn), (Some("NZ"), None));
    let asn = GeoLocator::open(None, Some(&own("asn.mmdb"))).locate(ip("203.0.113.1"));
    assert_eq!((asn.country, asn.asn), (None, Some(64_498)));
}

#[test]
fn without_databases_places_are_empty() {
    let locator = GeoLocator::open(None, None);
    locator.refresh();
    assert_eq!(locator.city_built_at(), None);
    for address in addresses() {
        assert_eq!(locator.locate(address), Place::default());
    }
}

#[test]
fn what_is_no_database_is_as_good_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.mmdb");
    fs::write(&garbage, b"\xab\xcd\xefMaxMind.com and nothing more").unwrap();
    let empty = folder.path().join("empty.mmdb");
    fs::write(&empty, b"").unwrap();
    let missing = folder.path().join("missing.mmdb");
    // Opening one waits for a writer who never comes.
    let pipe = folder.path().join("pipe.mmdb");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [&garbage, &empty, &missing, &pipe, &folder.path().to_owned()] {
        let locator = GeoLocator::open(Some(path), Some(path));
        locator.refresh();
        assert_eq!(locator.locate(ip("192.0.2.1")), Place::default());
    }
}

#[test]
fn foreign_databases_are_read() {
    let (Some(city), Some(asn)) = (
        foreign("GeoIP2-City-Test.mmdb"),
        foreign("GeoLite2-ASN-Test.mmdb"),
    ) else {
        return;
    };
    let place = GeoLocator::open(Some(&city), Some(&asn)).locate(ip("::ffff:89.160.20.128"));
    assert_eq!(place.country.as_deref(), Some("SE"));
    assert_eq!(place.city.as_deref(), Some("Linköping"));
    assert!(place.latitude.is_some() && place.longitude.is_some());
    assert!(place.accuracy_radius_km.is_some());
    assert_eq!(place.asn, Some(29518));
    assert_eq!(place.organisation.as_deref(), Some("Bredband2 AB"));
}

#[test]
fn foreign_databases_damaged_inside_or_of_another_kind_harm_nobody() {
    for name in [
        "GeoIP2-City-Test-Broken-Double-Format.mmdb",
        "GeoIP2-City-Test-Invalid-Node-Count.mmdb",
        "GeoIP2-Anonymous-IP-Test.mmdb",
        "GeoIP2-Connection-Type-Test.mmdb",
    ] {
        let Some(path) = foreign(name) else { return };
        let locator = GeoLocator::open(Some(&path), Some(&path));
        for address in addresses() {
            let place = locator.locate(address);
            let within = |degrees: Option<f64>, most| degrees.is_none_or(|it| it.abs() <= most);
            assert!(within(place.latitude, 90.0) && within(place.longitude, 180.0));
        }
    }
}

/// Cut off anywhere, or with bytes turned over: an empty place, or a wrong one, but no panic.
#[test]
fn a_database_damaged_anywhere_harms_nobody() {
    let mut wholes = vec![fs::read(own("city.mmdb")).unwrap()];
    wholes.extend(foreign("GeoIP2-City-Test.mmdb").map(|path| fs::read(path).unwrap()));
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("damaged.mmdb");
    for whole in wholes {
        for step in 0..80 {
            let mut damaged = whole.clone();
            if step % 2 == 0 {
                damaged.truncate(whole.len() * step / 80);
            } else {
                let every = damaged.iter_mut().skip(step).step_by(13 * step);
                every.for_each(|byte| *byte ^= 0xff);
            }
            fs::write(&path, &damaged).unwrap();
            let locator = GeoLocator::open(Some(&path), Some(&path));
            for address in addresses() {
                let _ = locator.locate(address);
            }
        }
    }
}
