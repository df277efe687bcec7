//! Look-ups in real databases. Those that need some run where `GEOIP_TEST_DIR` names a folder with
//! MaxMind's test databases, and say so where it doesn't.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use session_device::GeoLocator;
use session_domain::device::Place;
use session_domain::port::Locator;

fn databases() -> Option<PathBuf> {
    let folder = std::env::var_os("GEOIP_TEST_DIR").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        println!("skipped: GEOIP_TEST_DIR names no folder of test databases");
    }
    folder.map(PathBuf::from)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Addresses of all sorts: known ones, private ones, the ends of both ranges.
fn addresses() -> impl Iterator<Item = IpAddr> {
    let some = [
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
        "::ffff:81.2.69.142",
    ];
    let many = (0..=255).map(|byte| IpAddr::from([byte, byte ^ 0x55, 3, byte]));
    some.map(ip).into_iter().chain(many)
}

#[test]
fn without_databases_places_are_empty() {
    let locator = GeoLocator::open(None, None);
    locator.reload();
    for address in addresses() {
        assert_eq!(locator.locate(address), Place::default());
    }
}

#[test]
fn missing_and_damaged_files_are_as_good_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.mmdb");
    fs::write(&garbage, b"\xab\xcd\xefMaxMind.com and nothing more").unwrap();
    let empty = folder.path().join("empty.mmdb");
    fs::write(&empty, b"").unwrap();
    let missing = folder.path().join("missing.mmdb");
    for path in [&garbage, &empty, &missing, &folder.path().to_owned()] {
        let locator = GeoLocator::open(Some(path), Some(path));
        assert_eq!(locator.locate(ip("81.2.69.142")), Place::default());
    }
}

#[test]
fn a_city_and_its_network_are_found() {
    let Some(folder) = databases() else { return };
    let locator = GeoLocator::open(
        Some(&folder.join("GeoIP2-City-Test.mmdb")),
        Some(&folder.join("GeoLite2-ASN-Test.mmdb")),
    );
    let place = locator.locate(ip("89.160.20.128"));
    assert_eq!(place.country.as_deref(), Some("SE"));
    assert_eq!(place.city.as_deref(), Some("Linköping"));
    assert!(place.latitude.is_some() && place.longitude.is_some());
    assert!(place.accuracy_radius_km.is_some());
    assert_eq!(place.asn, Some(29518));
    assert_eq!(place.organisation.as_deref(), Some("Bredband2 AB"));

    let mapped = locator.locate(ip("::ffff:89.160.20.128"));
    assert_eq!(mapped, place);
    assert_eq!(locator.locate(ip("127.0.0.1")), Place::default());
}

#[test]
fn databases_damaged_inside_harm_nobody() {
    let Some(folder) = databases() else { return };
    for name in [
        "GeoIP2-City-Test-Broken-Double-Format.mmdb",
        "GeoIP2-City-Test-Invalid-Node-Count.mmdb",
        "GeoIP2-Anonymous-IP-Test.mmdb",
        "GeoIP2-Connection-Type-Test.mmdb",
    ] {
        let path = folder.join(name);
        let locator = GeoLocator::open(Some(&path), Some(&path));
        for address in addresses() {
            let place = locator.locate(address);
            assert!(place.latitude.is_none_or(|latitude| latitude.abs() <= 90.0));
            assert!(
                place
                    .longitude
                    .is_none_or(|longitude| longitude.abs() <= 180.0)
            );
        }
    }
}

/// Cut off anywhere, or with bytes turned over: an empty place, or a wrong one, but no panic.
#[test]
fn a_database_damaged_anywhere_harms_nobody() {
    let Some(folder) = databases() else { return };
    let whole = fs::read(folder.join("GeoIP2-City-Test.mmdb")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("damaged.mmdb");
    for step in 0..40 {
        let mut damaged = whole.clone();
        if step % 2 == 0 {
            damaged.truncate(whole.len() * step / 40);
        } else {
            damaged
                .iter_mut()
                .skip(step)
                .step_by(97)
                .for_each(|byte| *byte ^= 0xff);
        }
        locate_all(&path, &damaged);
    }
}

fn locate_all(path: &Path, database: &[u8]) {
    fs::write(path, database).unwrap();
    let locator = GeoLocator::open(Some(path), None);
    for address in addresses() {
        let _ = locator.locate(address);
    }
}

#[test]
fn a_replaced_file_is_read_again_and_a_damaged_one_changes_nothing() {
    let Some(folder) = databases() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("city.mmdb");
    let locator = GeoLocator::open(Some(&path), None);
    let address = ip("89.160.20.128");
    assert_eq!(locator.locate(address), Place::default());

    fs::copy(folder.join("GeoLite2-City-Test.mmdb"), &path).unwrap();
    locator.reload();
    let place = locator.locate(address);
    assert_eq!(place.country.as_deref(), Some("SE"));

    fs::write(&path, b"half a downlo").unwrap();
    locator.reload();
    assert_eq!(locator.locate(address), place);
}
