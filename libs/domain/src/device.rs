//! What is remembered of the device and the place a session belongs to. Descriptive only: nothing
//! here decides whether a session lives.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The kind of thing the user signed in from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A browser on a laptop or desktop computer.
    Desktop,
    /// A telephone.
    Mobile,
    /// A tablet.
    Tablet,
    /// A desktop program that shows web pages (Tauri, Electron and the like).
    DesktopApp,
    /// A crawler or monitor that says so.
    Bot,
    /// A program that speaks HTTP by itself: `curl`, an SDK.
    HttpClient,
    /// Not recognised, or no user agent was given.
    Unknown,
}

impl DeviceKind {
    /// Every kind, for storage and for tests.
    pub const ALL: [Self; 7] = [
        Self::Desktop,
        Self::Mobile,
        Self::Tablet,
        Self::DesktopApp,
        Self::Bot,
        Self::HttpClient,
        Self::Unknown,
    ];

    /// The name used in JSON and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::DesktopApp => "desktop_app",
            Self::Bot => "bot",
            Self::HttpClient => "http_client",
            Self::Unknown => "unknown",
        }
    }

    /// The kind of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a user agent string was read as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The browser's or program's name, for example `Firefox`.
    pub browser: Option<String>,
    /// The browser's or program's version, as written in the user agent.
    pub browser_version: Option<String>,
    /// The operating system's name, for example `Windows 11`.
    pub os: Option<String>,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// The name a person recognises: `Chrome on Windows`. Never empty.
    pub label: String,
}

/// The device a session was started on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What its user agent was read as.
    #[serde(flatten)]
    pub agent: Agent,
    /// The user agent as sent; empty where none was. At most 1 024 characters are kept.
    pub user_agent: String,
    /// A keyed hash of the fingerprint the login system sent; the fingerprint itself isn't kept.
    pub fingerprint_hash: Option<String>,
    /// The name the user gave it; shown in place of the label.
    pub name: Option<String>,
}

/// Where an address was seen to be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// ISO 3166-1 alpha-2, for example `SE`.
    pub country: Option<String>,
    /// The city's English name.
    pub city: Option<String>,
    /// Latitude in degrees north (WGS 84).
    pub latitude: Option<f64>,
    /// Longitude in degrees east (WGS 84).
    pub longitude: Option<f64>,
    /// The radius in kilometres within which the address is believed to be.
    pub accuracy_radius_km: Option<u16>,
    /// The autonomous system's number.
    pub asn: Option<u32>,
    /// The autonomous system's organisation.
    pub organisation: Option<String>,
}

/// The network a session was started from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The address, IPv4-mapped IPv6 addresses as IPv4. `None` once its retention has passed.
    pub ip: Option<IpAddr>,
    /// Where that address was seen to be, at the time.
    #[serde(flatten)]
    pub place: Place,
}

impl Network {
    /// A network known by address and place. An IPv4-mapped address is stored as IPv4, so that
    /// one machine has one address.
    pub fn new(ip: IpAddr, place: Place) -> Self {
        Self {
            ip: Some(ip.to_canonical()),
            place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in DeviceKind::ALL {
            assert_eq!(DeviceKind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(DeviceKind::from_name("toaster"), None);
    }

    #[test]
    fn one_machine_has_one_address() {
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        let plain: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(
            Network::new(mapped, Place::default()),
            Network::new(plain, Place::default())
        );
    }
}
