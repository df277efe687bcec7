//! What is wanted of the records; the rest isn't even decoded.

use serde::Deserialize;
use session_domain::device::Place;

/// What is wanted of a City record.
#[derive(Deserialize)]
pub(super) struct CityRecord<'a> {
    #[serde(borrow, default)]
    country: Country<'a>,
    #[serde(borrow, default)]
    city: City<'a>,
    #[serde(default)]
    location: Location,
}

#[derive(Deserialize, Default)]
struct Country<'a> {
    #[serde(borrow, default)]
    iso_code: Option<&'a str>,
}

#[derive(Deserialize, Default)]
struct City<'a> {
    #[serde(borrow, default)]
    names: Names<'a>,
}

#[derive(Deserialize, Default)]
struct Names<'a> {
    #[serde(borrow, default)]
    en: Option<&'a str>,
}

#[derive(Deserialize, Default)]
struct Location {
    #[serde(default)]
    latitude: Option<f64>,
    #[serde(default)]
    longitude: Option<f64>,
    #[serde(default)]
    accuracy_radius: Option<u16>,
}

/// What is wanted of an ASN record.
#[derive(Deserialize)]
pub(super) struct AsnRecord<'a> {
    #[serde(default)]
    autonomous_system_number: Option<u32>,
    #[serde(borrow, default)]
    autonomous_system_organization: Option<&'a str>,
}

impl CityRecord<'_> {
    /// The place it tells of.
    pub(super) fn into_place(self) -> Place {
        let Location {
            latitude,
            longitude,
            accuracy_radius,
        } = self.location;
        // A damaged number must not reach anybody's arithmetic; half a position is none.
        let position = latitude.zip(longitude).filter(|(latitude, longitude)| {
            (-90.0..=90.0).contains(latitude) && (-180.0..=180.0).contains(longitude)
        });
        Place {
            country: self.country.iso_code.map(str::to_owned),
            city: self.city.names.en.map(str::to_owned),
            latitude: position.map(|(latitude, _)| latitude),
            longitude: position.map(|(_, longitude)| longitude),
            accuracy_radius_km: position.and(accuracy_radius),
            ..Place::default()
        }
    }
}

impl AsnRecord<'_> {
    /// The number and the organisation.
    pub(super) fn into_parts(self) -> (Option<u32>, Option<String>) {
        let organisation = self.autonomous_system_organization.map(str::to_owned);
        (self.autonomous_system_number, organisation)
    }
}
