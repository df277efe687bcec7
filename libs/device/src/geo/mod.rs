mod database;
mod record;
mod sealed;

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use session_domain::device::Place;
use session_domain::port::{Clock, Locator, Timer};
use session_domain::time::Timestamp;

use database::Database;
use record::{AsnRecord, CityRecord};

/// Looks addresses up in the operator's City and ASN databases, in MaxMind's format. Each is
/// optional: without it, or where it is damaged, its part of a [`Place`] stays empty.
///
/// The files may be replaced, overwritten, truncated or removed while the process runs. Look-ups
/// read a private copy that nothing can change; [`GeoLocator::refresh`] looks whether there is
/// something new, and takes it only if it is whole.
pub struct GeoLocator {
    city: Option<Database>,
    asn: Option<Database>,
}

impl GeoLocator {
    /// Opens the databases. One that can't be read is reported in the log and then absent: a
    /// damaged file must not stop a login, nor the process.
    pub fn open(city: Option<&Path>, asn: Option<&Path>) -> Self {
        let locator = Self {
            city: city.map(|path| Database::new(path, &["City", "Country", "Enterprise"])),
            asn: asn.map(|path| Database::new(path, &["ASN", "ISP", "Enterprise"])),
        };
        locator.refresh();
        locator
    }

    /// Reads the files that changed since they were last looked at. One that can't be read, is
    /// damaged or is gone changes nothing: what was known before stays, and the log says so once.
    ///
    /// Takes a while and blocks: a large database is copied and checked from end to end.
    pub fn refresh(&self) {
        for database in [&self.city, &self.asn].into_iter().flatten() {
            database.refresh();
        }
    }

    /// Refreshes every so often, for as long as it is polled. Look-ups go on meanwhile. Must be
    /// called within a tokio runtime.
    pub async fn keep_fresh(
        self: Arc<Self>,
        every: Duration,
        clock: Arc<dyn Clock>,
        timer: Arc<dyn Timer>,
    ) -> Infallible {
        loop {
            timer.sleep_until(clock.boot().plus(every)).await;
            let locator = Arc::clone(&self);
            let refreshed = tokio::task::spawn_blocking(move || locator.refresh()).await;
            if let Err(error) = refreshed {
                // What was known stays, and the next round tries again.
                tracing::error!(%error, "GeoIP databases could not be refreshed");
            }
        }
    }

    /// When the City database in use was built, if there is one: what was known about places when
    /// somebody asks later why a place was taken for another.
    pub fn city_built_at(&self) -> Option<Timestamp> {
        self.city.as_ref()?.built_at()
    }
}

impl Locator for GeoLocator {
    fn locate(&self, ip: IpAddr) -> Place {
        let ip = ip.to_canonical();
        let city = self.city.as_ref().and_then(|database| {
            database.ask(|reader| {
                let record = reader.lookup(ip)?.decode::<CityRecord<'_>>()?;
                Ok(record.map(CityRecord::into_place))
            })
        });
        let network = self.asn.as_ref().and_then(|database| {
            database.ask(|reader| {
                let record = reader.lookup(ip)?.decode::<AsnRecord<'_>>()?;
                Ok(record.map(AsnRecord::into_parts))
            })
        });
        let (asn, organisation) = network.unwrap_or_default();
        Place {
            asn,
            organisation,
            ..city.unwrap_or_default()
        }
    }
}

impl fmt::Debug for GeoLocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoLocator")
            .field("city", &self.city.as_ref().map(Database::path))
            .field("asn", &self.asn.as_ref().map(Database::path))
            .finish()
    }
}
