//! User agents as they are sent in 2025, and what people are shown.

mod cases;

use cases::{Case, DESKTOPS, HANDHELDS, PROGRAMS};
use proptest::prelude::*;
use session_device::{DESKTOP_LABEL, UserAgents};
use session_domain::device::DeviceKind::{Desktop, DesktopApp, Unknown};
use session_domain::port::AgentReader;

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
