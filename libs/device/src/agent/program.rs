//! What says that it isn't a browser: programs that speak HTTP, crawlers, web views.

use super::text::version;

/// Beginnings of programs' user agents, in lower case, and what people call them.
const CLIENTS: &[(&str, &str)] = &[
    ("curl/", "curl"),
    ("libcurl", "libcurl"),
    ("wget/", "Wget"),
    ("wget2/", "Wget"),
    ("httpie/", "HTTPie"),
    ("xh/", "xh"),
    ("python-requests/", "Python Requests"),
    ("python-urllib/", "Python urllib"),
    ("python-httpx/", "Python HTTPX"),
    ("python/", "Python"),
    ("aiohttp/", "Python aiohttp"),
    ("go-http-client/", "Go"),
    ("go-resty/", "Go Resty"),
    ("axios/", "axios"),
    ("node-fetch", "node-fetch"),
    ("undici", "undici"),
    ("node.js", "Node.js"),
    ("node/", "Node.js"),
    ("got (", "got"),
    ("got/", "got"),
    ("deno/", "Deno"),
    ("bun/", "Bun"),
    ("okhttp/", "OkHttp"),
    ("java/", "Java"),
    ("java-http-client/", "Java"),
    ("apache-httpclient/", "Apache HttpClient"),
    ("apache-httpasyncclient/", "Apache HttpClient"),
    ("jakarta commons-httpclient/", "Apache HttpClient"),
    ("ktor-client", "Ktor"),
    ("dart/", "Dart"),
    ("reqwest/", "reqwest"),
    ("ureq/", "ureq"),
    ("hyper/", "hyper"),
    ("guzzlehttp/", "Guzzle"),
    ("php", "PHP"),
    ("ruby", "Ruby"),
    ("faraday v", "Faraday"),
    ("restsharp/", "RestSharp"),
    ("postmanruntime/", "Postman"),
    ("insomnia/", "Insomnia"),
    ("k6/", "k6"),
];

/// Texts inside user agents of programs that begin otherwise, in lower case.
const CLIENTS_WITHIN: &[(&str, &str)] = &[
    ("windowspowershell/", "PowerShell"),
    ("powershell/", "PowerShell"),
    ("apache-httpclient", "Apache HttpClient"),
    ("cfnetwork/", "Apple app"),
    ("okhttp/", "OkHttp"),
    ("libwww-perl/", "Perl"),
];

/// Crawlers, monitors and link previews without `bot`, `crawler` or `spider` in their names, in
/// lower case.
const BOTS: &[(&str, &str)] = &[
    ("kube-probe/", "Kubernetes probe"),
    ("googlehc/", "Google health check"),
    ("elb-healthchecker/", "AWS health check"),
    ("envoy/hc", "Envoy health check"),
    ("prometheus/", "Prometheus"),
    ("blackbox exporter", "Prometheus"),
    ("pingdom", "Pingdom"),
    ("statuscake", "StatusCake"),
    ("site24x7", "Site24x7"),
    ("facebookexternalhit/", "Facebook preview"),
    ("meta-externalagent/", "Meta crawler"),
    ("whatsapp/", "WhatsApp preview"),
    ("google-inspectiontool", "Google Inspection Tool"),
    ("google web preview", "Google Web Preview"),
    ("mediapartners-google", "Google Media Partners"),
    ("feedfetcher-google", "Google Feedfetcher"),
    ("chrome-lighthouse", "Lighthouse"),
    ("yahoo! slurp", "Yahoo Slurp"),
    ("chatgpt-user/", "ChatGPT"),
    ("ia_archiver", "Internet Archive"),
];

/// Parts of names that only crawlers have, in lower case.
const BOT_PARTS: [&str; 3] = ["bot", "crawler", "spider"];

/// A maker of telephones whose name ends like a crawler's.
const NO_BOT: &str = "cubot";

/// How many characters of a crawler's own name are shown.
const NAME_CHARS_MAX: usize = 40;

/// The program that speaks HTTP by itself, and its version.
pub(super) fn http_client<'a>(
    agent: &'a str,
    lower: &str,
) -> Option<(&'static str, Option<&'a str>)> {
    // What Node.js 18 and later send from `fetch`.
    if lower == "node" {
        return Some(("Node.js", None));
    }
    let first = CLIENTS
        .iter()
        .find(|(token, _)| lower.starts_with(token))
        .map(|(token, name)| (0, *token, *name));
    let within = || {
        CLIENTS_WITHIN.iter().find_map(|(token, name)| {
            let at = lower.find(token)?;
            Some((at, *token, *name))
        })
    };
    let (at, token, name) = first.or_else(within)?;
    // Apple's library tells its own version, not the application's.
    let version = (token != "cfnetwork/").then(|| version_at(agent, at + token.len()));
    Some((name, version.flatten()))
}

/// The crawler, monitor or preview that says so, and its version.
pub(super) fn bot<'a>(agent: &'a str, lower: &str) -> Option<(&'a str, Option<&'a str>)> {
    let listed = BOTS.iter().find_map(|(token, name)| {
        let at = lower.find(token)?;
        Some((*name, version_at(agent, at + token.len())))
    });
    listed.or_else(|| named_bot(agent, lower))
}

/// The word a crawler calls itself: one that ends in `bot` or the like, such as `bingbot/2.0`.
fn named_bot<'a>(agent: &'a str, lower: &str) -> Option<(&'a str, Option<&'a str>)> {
    // Lower-casing ASCII moves nothing, so places in one are places in the other.
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut start = 0;
    for word in lower.split(|c: char| !in_word(c)) {
        let end = start + word.len();
        let is_bot = BOT_PARTS
            .iter()
            .any(|part| word.ends_with(part) || word.contains(&format!("{part}-")));
        if is_bot && !word.starts_with(NO_BOT) && word.len() <= NAME_CHARS_MAX {
            let name = agent.get(start..end)?;
            let version = agent.get(end..).and_then(|rest| rest.strip_prefix('/'));
            return Some((name, version.and_then(self::version)));
        }
        // The separator is one character, of one to four bytes.
        start = end + lower[end..].chars().next().map_or(0, char::len_utf8);
    }
    None
}

/// Whether it is a web view of an application on a Mac: `WebKit` on its own, without the words any
/// browser adds after it.
pub(super) fn is_bare_mac_web_view(agent: &str) -> bool {
    agent.contains("(Macintosh;")
        && agent.contains("AppleWebKit/")
        && agent.ends_with("(KHTML, like Gecko)")
}

fn version_at(agent: &str, at: usize) -> Option<&str> {
    agent.get(at..).and_then(version)
}
