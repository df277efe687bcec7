use super::text::version_after;

/// A browser, as far as the string tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Browser<'a> {
    /// The name people know it by.
    pub(super) name: &'static str,
    /// Its version, where one is written.
    pub(super) version: Option<&'a str>,
    /// Whether it is the one made for iPhone and iPad: those ask for "desktop sites" by claiming
    /// to be on a Mac, but keep their own token.
    pub(super) for_ios: bool,
}

/// Tokens of browsers that also claim to be one below them, the most particular first.
const BROWSERS: &[(&str, &str)] = &[
    // Within other applications.
    ("FBAN/", "Facebook"),
    ("FBAV/", "Facebook"),
    ("Instagram ", "Instagram"),
    ("MicroMessenger/", "WeChat"),
    ("Line/", "LINE"),
    ("GSA/", "Google app"),
    // Chromium's family, and WebKit's on iOS.
    ("EdgiOS/", "Edge"),
    ("EdgA/", "Edge"),
    ("Edg/", "Edge"),
    ("Edge/", "Edge"),
    ("OPiOS/", "Opera"),
    ("OPT/", "Opera"),
    ("OPX/", "Opera GX"),
    ("OPR/", "Opera"),
    ("Opera Mini/", "Opera Mini"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("Brave/", "Brave"),
    ("UCBrowser/", "UC Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("HeyTapBrowser/", "HeyTap Browser"),
    ("VivoBrowser/", "vivo Browser"),
    ("Whale/", "Whale"),
    ("MQQBrowser/", "QQ Browser"),
    ("QQBrowser/", "QQ Browser"),
    ("Silk/", "Silk"),
    ("Ecosia", "Ecosia"),
    // Gecko's family.
    ("FxiOS/", "Firefox"),
    ("Focus/", "Firefox Focus"),
    ("SeaMonkey/", "SeaMonkey"),
    ("PaleMoon/", "Pale Moon"),
    ("Waterfox/", "Waterfox"),
    ("Firefox/", "Firefox"),
    // The ancestors.
    ("Epiphany/", "GNOME Web"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Trident/", "Internet Explorer"),
];

/// Tokens of browsers for iPhone and iPad.
const IOS_TOKENS: [&str; 7] = [
    "CriOS/", "FxiOS/", "EdgiOS/", "OPiOS/", "OPT/", "OPX/", "GSA/",
];

impl<'a> Browser<'a> {
    /// The browser a string names, if it is on our lists.
    pub(super) fn of(agent: &'a str) -> Option<Self> {
        let found = BROWSERS.iter().find(|(token, _)| agent.contains(token));
        match found {
            // Its web view: the application doesn't say its name.
            Some(("Chrome/", _)) if agent.contains("; wv)") => Some(Self {
                name: "App",
                version: None,
                for_ios: false,
            }),
            Some((token, name)) => Some(Self {
                name,
                version: version_of(agent, token),
                for_ios: IOS_TOKENS.contains(token),
            }),
            None => Self::safari(agent),
        }
    }

    /// Safari says `Version/… Safari/…` and is never on Android.
    fn safari(agent: &'a str) -> Option<Self> {
        let claims = agent.contains("Safari/") && agent.contains("Version/");
        let name = if agent.contains("Android") {
            "Android Browser"
        } else {
            "Safari"
        };
        claims.then(|| Self {
            name,
            version: version_after(agent, "Version/"),
            for_ios: false,
        })
    }
}

fn version_of<'a>(agent: &'a str, token: &str) -> Option<&'a str> {
    match token {
        // Written elsewhere, or not at all.
        "FBAN/" => version_after(agent, "FBAV/"),
        "Trident/" => version_after(agent, "rv:").or_else(|| version_after(agent, "MSIE ")),
        "Ecosia" => version_after(agent, "Chrome/").or_else(|| version_after(agent, "Version/")),
        token => version_after(agent, token),
    }
}
