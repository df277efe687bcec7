use session_domain::device::DeviceKind;

use super::browser::Browser;
use super::text::{VERSION_CHARS_MAX, first_chars};

/// What the program runs on, as far as the string tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Platform {
    /// The operating system's name.
    name: &'static str,
    /// Its version where one is told and can be believed.
    version: Option<String>,
    /// What people call the thing: `iPhone`, `Windows`.
    pub(super) device: &'static str,
    /// What kind of thing that is.
    pub(super) kind: DeviceKind,
}

impl Platform {
    /// The platform a string names. Phones and consoles claim to be computers too, so they come
    /// first.
    pub(super) fn of(agent: &str) -> Option<Self> {
        appliance(agent)
            .or_else(|| apple_mobile(agent))
            .or_else(|| mobile(agent))
            .or_else(|| desktop(agent))
    }

    /// The operating system with its version, for example `Android 15`.
    pub(super) fn os(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// What the browser knows better: one made for iPhone and iPad that claims to be on a Mac is
    /// on an iPad, where asking for desktop sites is the rule.
    pub(super) fn corrected(&self, browser: &Browser<'_>) -> Self {
        if browser.for_ios && self.name == "macOS" {
            Self::new("iPadOS", "iPad", DeviceKind::Tablet)
        } else {
            self.clone()
        }
    }

    const fn new(name: &'static str, device: &'static str, kind: DeviceKind) -> Self {
        Self {
            name,
            version: None,
            device,
            kind,
        }
    }

    fn versioned(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }
}

fn appliance(agent: &str) -> Option<Platform> {
    // Kind unknown: a screen across the room is neither a desktop nor a tablet.
    const APPLIANCES: [(&str, &str); 10] = [
        ("Xbox", "Xbox"),
        ("PlayStation", "PlayStation"),
        ("PLAYSTATION", "PlayStation"),
        ("Nintendo", "Nintendo"),
        ("Web0S", "LG TV"),
        ("SMART-TV", "Samsung TV"),
        ("SmartTV", "Samsung TV"),
        ("Apple TV", "Apple TV"),
        ("Android TV", "Android TV"),
        ("CrKey/", "Chromecast"),
    ];
    let (_, name) = APPLIANCES.iter().find(|(token, _)| agent.contains(token))?;
    Some(Platform::new(name, name, DeviceKind::Unknown))
}

fn apple_mobile(agent: &str) -> Option<Platform> {
    let (name, device, kind) = if agent.contains("iPad") {
        ("iPadOS", "iPad", DeviceKind::Tablet)
    } else if agent.contains("iPhone") {
        ("iOS", "iPhone", DeviceKind::Mobile)
    } else if agent.contains("iPod") {
        ("iOS", "iPod", DeviceKind::Mobile)
    } else {
        return None;
    };
    // `CPU iPhone OS 18_1 like Mac OS X`; the version ends where the digits do.
    let version = version_after_any(agent, &["iPhone OS ", "CPU OS "]);
    Some(Platform::new(name, device, kind).versioned(version))
}

fn mobile(agent: &str) -> Option<Platform> {
    if agent.contains("Windows Phone") {
        return Some(Platform::new(
            "Windows Phone",
            "Windows Phone",
            DeviceKind::Mobile,
        ));
    }
    let kind = if agent.contains("Mobile") || agent.contains("Phone") {
        DeviceKind::Mobile
    } else {
        DeviceKind::Tablet
    };
    if agent.contains("HarmonyOS") || agent.contains("OpenHarmony") {
        return Some(Platform::new("HarmonyOS", "HarmonyOS", kind));
    }
    if agent.contains("KAIOS/") {
        return Some(Platform::new("KaiOS", "KaiOS", DeviceKind::Mobile));
    }
    if agent.contains("Android") {
        let version = version_after_any(agent, &["Android "]);
        return Some(Platform::new("Android", "Android", kind).versioned(version));
    }
    None
}

/// What computers call their systems. Macs claim to be at 10.15.7 in every browser, so there is no
/// version.
const SYSTEMS: &[(&str, &str)] = &[
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("NetBSD", "NetBSD"),
    ("Linux", "Linux"),
    ("X11", "Linux"),
];

fn desktop(agent: &str) -> Option<Platform> {
    let new = |name| Platform::new(name, name, DeviceKind::Desktop);
    if agent.contains("Windows") {
        return Some(new("Windows").versioned(windows_version(agent)));
    }
    let (_, name) = SYSTEMS.iter().find(|(token, _)| agent.contains(token))?;
    Some(new(name))
}

/// Windows 11 says that it is Windows 10, so for both there is no version.
fn windows_version(agent: &str) -> Option<String> {
    const VERSIONS: [(&str, &str); 5] = [
        ("Windows NT 6.3", "8.1"),
        ("Windows NT 6.2", "8"),
        ("Windows NT 6.1", "7"),
        ("Windows NT 6.0", "Vista"),
        ("Windows NT 5", "XP"),
    ];
    let found = VERSIONS.iter().find(|(token, _)| agent.contains(token));
    found.map(|(_, version)| (*version).to_owned())
}

/// The version after the first of `tokens` that has one; `_` separates on Apple's systems.
fn version_after_any(agent: &str, tokens: &[&str]) -> Option<String> {
    tokens.iter().find_map(|token| {
        let (_, rest) = agent.split_once(token)?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
            .unwrap_or(rest.len());
        let version = first_chars(&rest[..end], VERSION_CHARS_MAX).replace('_', ".");
        (!version.is_empty()).then_some(version)
    })
}
