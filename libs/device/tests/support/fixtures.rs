//! What our own databases say: places and networks that are made up, on addresses reserved for
//! documentation (RFC 5737, RFC 3849), so that examples and tests have somewhere to come from.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::net::IpAddr;

use super::support::{Database, Value, text};

/// 2026-01-01T00:00:00Z: fixed, so that the same bytes are made on any day.
pub const BUILD_EPOCH: u64 = 1_767_225_600;

/// A network with its ISO country, its city, its position and its radius in kilometres.
type City = (
    &'static str,
    u8,
    &'static str,
    Option<&'static str>,
    Option<(f64, f64)>,
    Option<u16>,
);

/// An office in Berlin, homes in Lisbon, telephones in Auckland, and what is awkward: a country
/// without a city, a position without a radius, both sides of the antimeridian.
const CITIES: [City; 8] = [
    (
        "192.0.2.0",
        25,
        "DE",
        Some("Berlin"),
        Some((52.52, 13.405)),
        Some(20),
    ),
    (
        "192.0.2.128",
        25,
        "DE",
        None,
        Some((51.0, 9.0)),
        Some(1_000),
    ),
    (
        "198.51.100.0",
        24,
        "PT",
        Some("Lisbon"),
        Some((38.7223, -9.1393)),
        Some(10),
    ),
    (
        "198.51.100.200",
        32,
        "PT",
        Some("Porto"),
        Some((41.1579, -8.6291)),
        None,
    ),
    (
        "203.0.113.0",
        24,
        "NZ",
        Some("Auckland"),
        Some((-36.8509, 174.7645)),
        Some(50),
    ),
    (
        "2001:db8::",
        33,
        "SE",
        Some("Linköping"),
        Some((58.4108, 15.6214)),
        Some(76),
    ),
    (
        "2001:db8:8000::",
        34,
        "FJ",
        Some("Suva"),
        Some((-18.1416, 178.4419)),
        Some(5),
    ),
    (
        "2001:db8:c000::",
        34,
        "WS",
        Some("Apia"),
        Some((-13.8333, -171.7667)),
        Some(5),
    ),
];

/// A network with its autonomous system: numbers are reserved for documentation too (RFC 5398).
const SYSTEMS: [(&str, u8, u32, &str); 4] = [
    ("192.0.2.0", 24, 64_496, "Example Office Networks"),
    ("198.51.100.0", 24, 64_497, "Example Broadband"),
    ("203.0.113.0", 24, 64_498, "Example Mobile"),
    ("2001:db8::", 32, 65_536, "Example Six"),
];

/// The City database.
pub fn city() -> Database {
    let networks = CITIES.map(|(address, length, country, city, position, radius)| {
        let record = city_record(country, city, position, radius);
        (ip(address), length, record)
    });
    Database {
        kind: "Documentation-City",
        build_epoch: BUILD_EPOCH,
        networks: networks.into(),
    }
}

/// The ASN database.
pub fn asn() -> Database {
    let networks = SYSTEMS.map(|(address, length, number, organisation)| {
        let record = Value::Map(vec![
            ("autonomous_system_number", Value::U32(number)),
            ("autonomous_system_organization", text(organisation)),
        ]);
        (ip(address), length, record)
    });
    Database {
        kind: "Documentation-ASN",
        build_epoch: BUILD_EPOCH,
        networks: networks.into(),
    }
}

/// A record of a City database.
pub fn city_record(
    country: &str,
    city: Option<&str>,
    position: Option<(f64, f64)>,
    radius: Option<u16>,
) -> Value {
    let mut record = vec![("country", Value::Map(vec![("iso_code", text(country))]))];
    if let Some(city) = city {
        let names = Value::Map(vec![("en", text(city))]);
        record.push(("city", Value::Map(vec![("names", names)])));
    }
    if let Some((latitude, longitude)) = position {
        let mut location = vec![
            ("latitude", Value::Double(latitude)),
            ("longitude", Value::Double(longitude)),
        ];
        location.extend(radius.map(|radius| ("accuracy_radius", Value::U16(radius))));
        record.push(("location", Value::Map(location)));
    }
    Value::Map(record)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
