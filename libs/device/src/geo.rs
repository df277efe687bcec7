use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;
use session_domain::device::Place;
use session_domain::port::Locator;

/// Looks addresses up in the operator's City and ASN databases, in MaxMind's format. Each is
/// optional: without it, or where it is damaged, its part of a [`Place`] stays empty.
///
/// The files are read into memory whole. They may be replaced while the process runs; what was
/// read stays until [`GeoLocator::reload`].
pub struct GeoLocator {
    city: Database,
    asn: Database,
}

impl GeoLocator {
    /// Opens the databases. One that can't be read is reported in the log and then absent: a
    /// damaged file must not stop a login, nor the process.
    pub fn open(city: Option<&Path>, asn: Option<&Path>) -> Self {
        let locator = Self {
            city: Database::new(city, &["City", "Country", "Enterprise"]),
            asn: Database::new(asn, &["ASN", "ISP", "Enterprise"]),
        };
        locator.reload();
        locator
    }

    /// Reads the files again. Where one can't be read, what was known before stays.
    pub fn reload(&self) {
        self.city.reload();
        self.asn.reload();
    }
}

impl Locator for GeoLocator {
    fn locate(&self, ip: IpAddr) -> Place {
        let ip = ip.to_canonical();
        let mut place = self
            .city
            .ask(|reader| {
                let record = reader.lookup(ip)?.decode::<CityRecord<'_>>()?;
                Ok(record.map(CityRecord::into_place))
            })
            .unwrap_or_default();
        let network = self.asn.ask(|reader| {
            let record = reader.lookup(ip)?.decode::<AsnRecord<'_>>()?;
            Ok(record.map(AsnRecord::into_parts))
        });
        if let Some((number, organisation)) = network {
            place.asn = number;
            place.organisation = organisation;
        }
        place
    }
}

impl fmt::Debug for GeoLocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoLocator")
            .field("city", &self.city.path)
            .field("asn", &self.asn.path)
            .finish()
    }
}

/// One database: where it is, and what was last read of it.
struct Database {
    path: Option<PathBuf>,
    /// What its type is expected to mention.
    kinds: &'static [&'static str],
    reader: ArcSwapOption<Reader<Vec<u8>>>,
    /// Whether a failed look-up was reported: once tells the operator, more would fill the disk.
    complained: AtomicBool,
}

impl Database {
    fn new(path: Option<&Path>, kinds: &'static [&'static str]) -> Self {
        Self {
            path: path.map(Path::to_owned),
            kinds,
            reader: ArcSwapOption::empty(),
            complained: AtomicBool::new(false),
        }
    }

    fn reload(&self) {
        let Some(path) = &self.path else { return };
        match read(path) {
            Ok(reader) => {
                let kind = &reader.metadata().database_type;
                tracing::info!(?path, kind, "GeoIP database read");
                if !self.kinds.iter().any(|expected| kind.contains(expected)) {
                    let expected = self.kinds;
                    tracing::warn!(?path, kind, ?expected, "GeoIP database of another kind");
                }
                self.reader.store(Some(Arc::new(reader)));
                self.complained.store(false, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(?path, %error, "GeoIP database can't be read"),
        }
    }

    /// The answer to a question, if there is a database and it knows.
    fn ask<T>(
        &self,
        question: impl FnOnce(&Reader<Vec<u8>>) -> Result<Option<T>, MaxMindDbError>,
    ) -> Option<T> {
        let reader = self.reader.load();
        question(reader.as_deref()?).unwrap_or_else(|error| {
            // An IPv6 address in a database of IPv4 ones is nobody's fault.
            let ours = !matches!(error, MaxMindDbError::InvalidInput { .. });
            if ours && !self.complained.swap(true, Ordering::Relaxed) {
                let path = &self.path;
                tracing::warn!(?path, %error, "GeoIP database is damaged");
            }
            None
        })
    }
}

/// Why a database can't be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Format(#[from] MaxMindDbError),
}

fn read(path: &Path) -> Result<Reader<Vec<u8>>, ReadError> {
    // Not mapped into memory: whoever truncates a mapped file kills the process that reads it.
    Ok(Reader::from_source(fs::read(path)?)?)
}

/// What is wanted of a City record; the rest isn't even decoded.
#[derive(Deserialize)]
struct CityRecord<'a> {
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
struct AsnRecord<'a> {
    #[serde(default)]
    autonomous_system_number: Option<u32>,
    #[serde(borrow, default)]
    autonomous_system_organization: Option<&'a str>,
}

impl CityRecord<'_> {
    fn into_place(self) -> Place {
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
    fn into_parts(self) -> (Option<u32>, Option<String>) {
        let organisation = self.autonomous_system_organization.map(str::to_owned);
        (self.autonomous_system_number, organisation)
    }
}
