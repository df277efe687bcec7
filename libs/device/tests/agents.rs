//! User agents as they are sent in 2025, and what people are shown.

use proptest::prelude::*;
use session_device::{DESKTOP_LABEL, UserAgents};
use session_domain::device::DeviceKind::{
    self, Bot, Desktop, DesktopApp, HttpClient, Mobile, Tablet, Unknown,
};
use session_domain::port::AgentReader;

/// User agent, label, browser's version, operating system, kind.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    DeviceKind,
);

const DESKTOPS: [Case; 15] = [
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "Chrome on Windows",
        "131.0.0.0",
        "Windows",
        Desktop,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "Chrome on macOS",
        "131.0.0.0",
        "macOS",
        Desktop,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.86",
        "Edge on Windows",
        "131.0.2903.86",
        "Windows",
        Desktop,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0",
        "Opera on Windows",
        "115.0.0.0",
        "Windows",
        Desktop,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Vivaldi/7.0.3495.15",
        "Vivaldi on Linux",
        "7.0.3495.15",
        "Linux",
        Desktop,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Firefox on Linux",
        "133.0",
        "Linux",
        Desktop,
    ),
    (
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Firefox on Linux",
        "128.0",
        "Linux",
        Desktop,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Firefox on macOS",
        "133.0",
        "macOS",
        Desktop,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
        "Safari on macOS",
        "18.1",
        "macOS",
        Desktop,
    ),
    (
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "Chrome on ChromeOS",
        "131.0.0.0",
        "ChromeOS",
        Desktop,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15 Epiphany/45.0",
        "GNOME Web on Linux",
        "45.0",
        "Linux",
        Desktop,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36",
        "Headless Chrome on Linux",
        "131.0.0.0",
        "Linux",
        Desktop,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 YaBrowser/24.10.0.0 Safari/537.36",
        "Yandex Browser on Windows",
        "24.10.0.0",
        "Windows",
        Desktop,
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
        "Internet Explorer on Windows",
        "11.0",
        "Windows 7",
        Desktop,
    ),
    (
        "Mozilla/5.0 (X11; FreeBSD amd64; rv:132.0) Gecko/20100101 Firefox/132.0",
        "Firefox on FreeBSD",
        "132.0",
        "FreeBSD",
        Desktop,
    ),
];

const HANDHELDS: [Case; 17] = [
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Mobile/15E148 Safari/604.1",
        "Safari on iPhone",
        "18.1.1",
        "iOS 18.1.1",
        Mobile,
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
        "Safari on iPad",
        "18.1",
        "iPadOS 18.1",
        Tablet,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
        "Chrome on iPhone",
        "131.0.6778.73",
        "iOS 18.1",
        Mobile,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131 Version/18.1 Safari/605.1.15",
        "Chrome on iPad",
        "131",
        "iPadOS",
        Tablet,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/133.0 Mobile/15E148 Safari/605.1.15",
        "Firefox on iPhone",
        "133.0",
        "iOS 18.1",
        Mobile,
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/133.0 Mobile/15E148 Safari/605.1.15",
        "Firefox on iPad",
        "133.0",
        "iPadOS 18.1",
        Tablet,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 EdgiOS/131.0.2903.68 Mobile/15E148 Safari/604.1",
        "Edge on iPhone",
        "131.0.2903.68",
        "iOS 17.7",
        Mobile,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/345.0.698853012 Mobile/15E148 Safari/604.1",
        "Google app on iPhone",
        "345.0.698853012",
        "iOS 18.1",
        Mobile,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
        "Chrome on Android",
        "131.0.0.0",
        "Android 10",
        Mobile,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "Chrome on Android",
        "131.0.0.0",
        "Android 10",
        Tablet,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
        "Samsung Internet on Android",
        "27.0",
        "Android 10",
        Mobile,
    ),
    (
        "Mozilla/5.0 (Android 15; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0",
        "Firefox on Android",
        "133.0",
        "Android 15",
        Mobile,
    ),
    (
        "Mozilla/5.0 (Android 15; Tablet; rv:133.0) Gecko/133.0 Firefox/133.0",
        "Firefox on Android",
        "133.0",
        "Android 15",
        Tablet,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 EdgA/131.0.2903.87",
        "Edge on Android",
        "131.0.2903.87",
        "Android 10",
        Mobile,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36 OPR/86.0.0.0",
        "Opera on Android",
        "86.0.0.0",
        "Android 10",
        Mobile,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; CUBOT X30 Build/QP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
        "Chrome on Android",
        "120.0.0.0",
        "Android 10",
        Mobile,
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36",
        "App on Android",
        "",
        "Android 14",
        Mobile,
    ),
];

const PROGRAMS: [Case; 22] = [
    ("curl/8.11.0", "curl", "8.11.0", "", HttpClient),
    ("Wget/1.24.5", "Wget", "1.24.5", "", HttpClient),
    (
        "python-requests/2.32.3",
        "Python Requests",
        "2.32.3",
        "",
        HttpClient,
    ),
    (
        "Python/3.12 aiohttp/3.11.7",
        "Python",
        "3.12",
        "",
        HttpClient,
    ),
    ("okhttp/4.12.0", "OkHttp", "4.12.0", "", HttpClient),
    ("Go-http-client/2.0", "Go", "2.0", "", HttpClient),
    ("axios/1.7.8", "axios", "1.7.8", "", HttpClient),
    ("node", "Node.js", "", "", HttpClient),
    (
        "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
        "node-fetch",
        "",
        "",
        HttpClient,
    ),
    ("PostmanRuntime/7.42.0", "Postman", "7.42.0", "", HttpClient),
    (
        "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.4391",
        "PowerShell",
        "5.1.22621.4391",
        "",
        HttpClient,
    ),
    (
        "Notes/12 CFNetwork/1568.200.51 Darwin/24.1.0",
        "Apple app",
        "",
        "",
        HttpClient,
    ),
    (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Googlebot",
        "2.1",
        "",
        Bot,
    ),
    (
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Googlebot",
        "2.1",
        "",
        Bot,
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.0.0 Safari/537.36",
        "bingbot",
        "2.0",
        "",
        Bot,
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ExampleBot/1.2; +https://example.com/bot)",
        "ExampleBot",
        "1.2",
        "",
        Bot,
    ),
    (
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Facebook preview",
        "1.1",
        "",
        Bot,
    ),
    ("kube-probe/1.31", "Kubernetes probe", "1.31", "", Bot),
    (
        "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "UptimeRobot",
        "2.0",
        "",
        Bot,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Electron/33.2.0 Safari/537.36",
        DESKTOP_LABEL,
        "",
        "Windows",
        DesktopApp,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15 Tauri/2.1",
        DESKTOP_LABEL,
        "",
        "Linux",
        DesktopApp,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        DESKTOP_LABEL,
        "",
        "macOS",
        DesktopApp,
    ),
];

fn check(cases: &[Case]) {
    let agents = UserAgents::default();
    for (user_agent, label, version, os, kind) in cases {
        let read = agents.read(user_agent);
        let version_read = read.browser_version.as_deref().unwrap_or("");
        let os_read = read.os.as_deref().unwrap_or("");
        assert_eq!(
            (read.label.as_str(), version_read, os_read, read.kind),
            (*label, *version, *os, *kind),
            "{user_agent}"
        );
    }
}

#[test]
fn computers() {
    check(&DESKTOPS);
}

#[test]
fn telephones_and_tablets() {
    check(&HANDHELDS);
}

#[test]
fn what_is_not_a_browser() {
    check(&PROGRAMS);
}

#[test]
fn consoles_and_televisions() {
    let agents = UserAgents::default();
    for (user_agent, label) in [
        (
            "Mozilla/5.0 (PlayStation; PlayStation 5/9.00) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15",
            "Safari on PlayStation",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edge/44.18363.8131",
            "Edge on Xbox",
        ),
        (
            "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.5359.211 Safari/537.36",
            "Chrome on LG TV",
        ),
    ] {
        let read = agents.read(user_agent);
        assert_eq!(
            (read.label.as_str(), read.kind),
            (label, Unknown),
            "{user_agent}"
        );
    }
}

#[test]
fn old_things_are_known_by_the_embedded_rules() {
    let read = UserAgents::default()
        .read("Opera/9.80 (Windows NT 6.1; U; en) Presto/2.10.229 Version/11.64");
    assert_eq!(read.label, "Opera on Windows");
    assert_eq!(read.os.as_deref(), Some("Windows 7"));
}

#[test]
fn nothing_is_an_unknown_device() {
    let agents = UserAgents::default();
    for user_agent in ["", "   ", "-", "\u{0}", "Mozilla/5.0", "ß", "())(;;", "/"] {
        let read = agents.read(user_agent);
        assert_eq!(
            (read.label.as_str(), read.kind),
            ("Unknown device", Unknown),
            "{user_agent:?}"
        );
    }
}

#[test]
fn the_platform_alone_is_better_than_nothing() {
    let read = UserAgents::default().read("Something/1.0 (Windows NT 10.0)");
    assert_eq!((read.label.as_str(), read.kind), ("Windows", Desktop));
}

#[test]
fn patterns_and_label_are_configurable() {
    let agents = UserAgents::with("Acme Studio", ["AcmeShell/", " "]);
    let read = agents.read("Mozilla/5.0 (Windows NT 10.0) acmeshell/3.1");
    assert_eq!(
        (read.label.as_str(), read.kind),
        ("Acme Studio", DesktopApp)
    );
    let electron =
        agents.read("Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Electron/33.2.0 Safari/537.36");
    assert_eq!(electron.label, "Chrome on Windows");
    assert_eq!(UserAgents::new(" ").read("Tauri/2").label, DESKTOP_LABEL);
}

#[test]
fn no_more_than_the_first_1024_characters_are_looked_at() {
    let agents = UserAgents::default();
    let far = format!("{}Firefox/133.0", "é ".repeat(600));
    assert_eq!(agents.read(&far).label, "Unknown device");
    let version = format!("curl/{}", "9".repeat(100_000));
    let read = agents.read(&version);
    assert_eq!(read.browser_version.map(|version| version.len()), Some(24));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_as_something_bounded(text in ".{0,300}") {
        check_bounds(&text)?;
    }

    #[test]
    fn any_mixture_of_known_words_is_read_as_something_bounded(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "Mozilla/5.0 ", "(", ")", ";", "/", "Chrome/", "CriOS/", "Version/", "Safari/",
                "Edg/", "iPhone OS ", "Android ", "Windows NT ", "bot", "crawler-", "spider/",
                "MSIE ", "Trident/", "rv:", "é", "\u{1F600}", "1", ".", "_", "-", "DoCoMo/",
                "KDDI-", "SoftBank/", "Opera/", "Google", "PSP ", "wv)", "CFNetwork/", "curl/",
            ]),
            0..60,
        )
    ) {
        check_bounds(&words.concat())?;
    }
}

fn check_bounds(text: &str) -> Result<(), TestCaseError> {
    let read = UserAgents::default().read(text);
    prop_assert!(!read.label.trim().is_empty());
    prop_assert!(read.label.chars().count() <= 100, "{}", read.label);
    let parts = [&read.browser, &read.browser_version, &read.os];
    for part in parts.into_iter().flatten() {
        prop_assert!((1..=60).contains(&part.chars().count()), "{part}");
    }
    Ok(())
}
