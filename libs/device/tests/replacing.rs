//! Files that change while they are in use: replaced, overwritten, truncated, removed. What is
//! known stays until something better is there, and nothing harms the process.

#[path = "support/fixtures.rs"]
mod fixtures;
mod support;

use std::fs::{self, OpenOptions};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use session_device::GeoLocator;
use session_domain::device::Place;
use session_domain::port::Locator;
use support::Database;

/// The versions of a database that the tests replace each other with.
const VERSIONS: [(&str, &str, f64, f64); 3] = [
    ("DE", "Berlin", 52.0, 13.0),
    ("PT", "Lisbon", 38.0, -9.0),
    ("NZ", "Auckland", -36.0, 174.0),
];

fn address() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

/// A database of which every look-up tells the version: one wide network, and some narrower ones
/// so that the versions' sizes and trees differ.
fn version(number: usize) -> Vec<u8> {
    let (country, city, latitude, longitude) = VERSIONS[number % VERSIONS.len()];
    let position = Some((latitude, longitude));
    let record = fixtures::city_record(country, Some(city), position, Some(10));
    let wide = ("192.0.2.0".parse().unwrap(), 24, record.clone());
    let narrow = (0..number % 7).map(|host| {
        let host = u8::try_from(host).unwrap();
        (IpAddr::from([192, 0, 2, 64 + host]), 32, record.clone())
    });
    let database = Database {
        kind: "Documentation-City",
        build_epoch: fixtures::BUILD_EPOCH,
        networks: [wide].into_iter().chain(narrow).collect(),
    };
    database.bytes()
}

fn expected(number: usize) -> Place {
    let (country, city, latitude, longitude) = VERSIONS[number % VERSIONS.len()];
    Place {
        country: Some(country.into()),
        city: Some(city.into()),
        latitude: Some(latitude),
        longitude: Some(longitude),
        accuracy_radius_km: Some(10),
        ..Place::default()
    }
}

/// As careful updaters do: whole beside it, then renamed.
fn replace(path: &Path, bytes: &[u8]) {
    let staged = path.with_extension("new");
    fs::write(&staged, bytes).unwrap();
    fs::rename(&staged, path).unwrap();
}

#[test]
fn one_that_appears_later_is_taken_and_one_that_replaces_it_too() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("city.mmdb");
    let locator = GeoLocator::open(Some(&path), None);
    assert_eq!(locator.locate(address()), Place::default());
    for number in 0..3 {
        replace(&path, &version(number));
        locator.refresh();
        assert_eq!(locator.locate(address()), expected(number));
    }
}

#[test]
fn a_damaged_successor_changes_nothing_and_a_whole_one_after_it_does() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("city.mmdb");
    fs::write(&path, version(0)).unwrap();
    let locator = GeoLocator::open(Some(&path), None);
    let whole = version(1);
    let cut = &whole[..whole.len() - 10];
    let mut turned = whole.clone();
    turned[40] ^= 0xff;
    for damaged in [cut, &turned, b"half a downlo", b""] {
        replace(&path, damaged);
        locator.refresh();
        assert_eq!(locator.locate(address()), expected(0));
    }
    replace(&path, &whole);
    locator.refresh();
    assert_eq!(locator.locate(address()), expected(1));
}

#[test]
fn truncating_and_overwriting_the_file_in_place_harms_nobody() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("city.mmdb");
    fs::write(&path, version(0)).unwrap();
    let locator = GeoLocator::open(Some(&path), None);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    // A mapping of the file itself would be the end of this process (SIGBUS).
    assert_eq!(locator.locate(address()), expected(0));
    file.set_len(100_000).unwrap();
    assert_eq!(locator.locate(address()), expected(0));
    locator.refresh();
    assert_eq!(locator.locate(address()), expected(0));
    fs::write(&path, version(2)).unwrap();
    locator.refresh();
    assert_eq!(locator.locate(address()), expected(2));
}

#[test]
fn a_file_that_goes_away_leaves_what_was_known() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("city.mmdb");
    fs::write(&path, version(0)).unwrap();
    let locator = GeoLocator::open(Some(&path), None);
    fs::remove_file(&path).unwrap();
    locator.refresh();
    assert_eq!(locator.locate(address()), expected(0));
    replace(&path, &version(1));
    locator.refresh();
    assert_eq!(locator.locate(address()), expected(1));
}

/// Whoever looks up while databases come and go gets an answer that is wholly of one of them.
#[test]
fn readers_never_see_half_of_one_and_half_of_another() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("city.mmdb");
    fs::write(&path, version(0)).unwrap();
    let locator = Arc::new(GeoLocator::open(Some(&path), None));
    let over = Arc::new(AtomicBool::new(false));
    let all: Vec<_> = (0..VERSIONS.len()).map(expected).collect();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (locator, over, all) = (Arc::clone(&locator), Arc::clone(&over), all.clone());
            thread::spawn(move || {
                let mut looked = 0_u32;
                while !over.load(Ordering::Relaxed) || looked == 0 {
                    let place = locator.locate(address());
                    assert!(all.contains(&place), "{place:?}");
                    looked += 1;
                }
            })
        })
        .collect();
    // Two who look for news at once, as when a round takes longer than it should.
    let refresher = {
        let (locator, over) = (Arc::clone(&locator), Arc::clone(&over));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                locator.refresh();
            }
        })
    };
    for number in 0..400 {
        match number % 4 {
            0 => replace(&path, b"no database"),
            // Not what careful updaters do.
            1 => fs::write(&path, version(number)).unwrap(),
            _ => replace(&path, &version(number)),
        }
        locator.refresh();
    }
    over.store(true, Ordering::Relaxed);
    for thread in readers.into_iter().chain([refresher]) {
        thread.join().unwrap();
    }
    assert_eq!(locator.locate(address()), expected(399));
}
