//! Reads user agent strings.
//!
//! A user agent is a list of products and comments in which every browser claims to be its
//! ancestors too. So the order of looking matters: first what says that it is something else than
//! a browser, then the browsers, the most particular first. Our lists know what people use today;
//! woothee's rules know the rest, from feature phones to consoles.

mod browser;
mod platform;
mod program;
mod text;

use session_domain::device::{Agent, DeviceKind};
use session_domain::port::AgentReader;
use woothee::parser::{Parser, WootheeResult};

use browser::Browser;
use platform::Platform;

/// What the product's own desktop application is called unless configured otherwise.
pub const DESKTOP_LABEL: &str = "DoCodeGo Desktop";

/// What web views of desktop applications have in their user agents unless configured otherwise.
pub const DESKTOP_PATTERNS: [&str; 5] = ["docodego", "tauri", "electron/", "wry/", "nwjs/"];

/// How many characters of a user agent are looked at; the longest real ones have half as many.
const CHARS_MAX: usize = 1_024;

/// The label where nothing is recognised.
const UNKNOWN: &str = "Unknown device";

/// Reads user agents by rules that are part of the program.
#[derive(Debug)]
pub struct UserAgents {
    desktop_label: String,
    desktop_patterns: Vec<String>,
}

impl UserAgents {
    /// Reads with the default patterns for desktop applications, which are called
    /// `desktop_label`; [`DESKTOP_LABEL`] where that is blank.
    pub fn new(desktop_label: &str) -> Self {
        Self::with(desktop_label, DESKTOP_PATTERNS)
    }

    /// Reads with `patterns` for desktop applications: texts that appear in the user agents of
    /// their web views, in any case of letters.
    pub fn with<P: AsRef<str>>(desktop_label: &str, patterns: impl IntoIterator<Item = P>) -> Self {
        let label = Some(desktop_label.trim()).filter(|label| !label.is_empty());
        let patterns = patterns
            .into_iter()
            .map(|pattern| pattern.as_ref().trim().to_ascii_lowercase());
        Self {
            desktop_label: label.unwrap_or(DESKTOP_LABEL).to_owned(),
            // An empty pattern would make a desktop application of everything.
            desktop_patterns: patterns.filter(|pattern| !pattern.is_empty()).collect(),
        }
    }

    fn is_desktop_app(&self, agent: &str, lower: &str) -> bool {
        self.desktop_patterns
            .iter()
            .any(|pattern| lower.contains(pattern))
            || program::is_bare_mac_web_view(agent)
    }

    fn desktop_app(&self, platform: Option<&Platform>) -> Agent {
        Agent {
            browser: Some(self.desktop_label.clone()),
            browser_version: None,
            os: platform.map(Platform::os),
            kind: DeviceKind::DesktopApp,
            label: self.desktop_label.clone(),
        }
    }
}

impl Default for UserAgents {
    fn default() -> Self {
        Self::new(DESKTOP_LABEL)
    }
}

impl AgentReader for UserAgents {
    fn read(&self, user_agent: &str) -> Agent {
        let agent = text::first_chars(user_agent, CHARS_MAX).trim();
        if agent.is_empty() || agent == "-" {
            return unknown();
        }
        let lower = agent.to_ascii_lowercase();
        let platform = Platform::of(agent);
        if self.is_desktop_app(agent, &lower) {
            return self.desktop_app(platform.as_ref());
        }
        if let Some((name, version)) = program::bot(agent, &lower) {
            return plain(name, version, DeviceKind::Bot);
        }
        if let Some((name, version)) = program::http_client(agent, &lower) {
            return plain(name, version, DeviceKind::HttpClient);
        }
        let browser = Browser::of(agent);
        match (browser, platform) {
            (Some(browser), Some(platform)) => known(&browser, &platform),
            (browser, platform) => {
                let guess = Parser::new().parse(agent);
                guessed(browser.as_ref(), platform.as_ref(), guess.as_ref())
            }
        }
    }
}

fn unknown() -> Agent {
    Agent {
        browser: None,
        browser_version: None,
        os: None,
        kind: DeviceKind::Unknown,
        label: UNKNOWN.to_owned(),
    }
}

/// A program that isn't a browser is known by its name alone.
fn plain(name: &str, version: Option<&str>, kind: DeviceKind) -> Agent {
    Agent {
        browser: Some(name.to_owned()),
        browser_version: version.map(str::to_owned),
        os: None,
        kind,
        label: name.to_owned(),
    }
}

fn known(browser: &Browser<'_>, platform: &Platform) -> Agent {
    let platform = platform.corrected(browser);
    Agent {
        browser: Some(browser.name.to_owned()),
        browser_version: browser.version.map(str::to_owned),
        os: Some(platform.os()),
        kind: platform.kind,
        label: format!("{} on {}", browser.name, platform.device),
    }
}

/// What isn't on our lists, as far as woothee knows it.
fn guessed(
    browser: Option<&Browser<'_>>,
    platform: Option<&Platform>,
    guess: Option<&WootheeResult<'_>>,
) -> Agent {
    let guess_name = guess.and_then(|guess| told(guess.name));
    let guess_os = guess.and_then(|guess| told(guess.os));
    let name = browser.map(|browser| browser.name).or(guess_name);
    let version = match browser {
        Some(browser) => browser.version,
        None => guess.and_then(|guess| told(guess.version)),
    };
    let os = platform.map(Platform::os);
    let device = platform.map(|platform| platform.device);
    let device = device.or(guess_os);
    let kind = match platform {
        Some(platform) => platform.kind,
        None => guess.map_or(DeviceKind::Unknown, |guess| kind_of(guess.category)),
    };
    let label = match (name, device) {
        (Some(name), Some(device)) if name != device => format!("{name} on {device}"),
        (Some(one), _) | (None, Some(one)) => one.to_owned(),
        (None, None) => return unknown(),
    };
    Agent {
        browser: name.map(str::to_owned),
        browser_version: version
            .map(|version| text::first_chars(version, text::VERSION_CHARS_MAX).to_owned()),
        os: os.or_else(|| guess_os.map(str::to_owned)),
        kind,
        label,
    }
}

/// What woothee says, unless that is nothing.
fn told(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && *text != woothee::woothee::VALUE_UNKNOWN)
}

/// woothee's category as ours.
fn kind_of(category: &str) -> DeviceKind {
    match category {
        "pc" => DeviceKind::Desktop,
        "smartphone" | "mobilephone" => DeviceKind::Mobile,
        "crawler" => DeviceKind::Bot,
        "misc" => DeviceKind::HttpClient,
        // "appliance" (consoles, televisions) and whatever a later version may say.
        _ => DeviceKind::Unknown,
    }
}
