//! `/docs`: the interactive documentation, all of it from this process.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::endpoint::make_sync;
use poem::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use poem::{Endpoint, Response};
use sha2::{Digest, Sha256};

/// The page, under a policy that runs its own scripts and nobody else's.
pub(super) fn page(html: String) -> impl Endpoint<Output = Response> {
    let policy = policy(&html);
    make_sync(move |_| {
        Response::builder()
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .header(CONTENT_SECURITY_POLICY, &policy)
            .body(html.clone())
    })
}

/// Scripts are named by their hashes (Content Security Policy Level 3); what is tried out from the
/// page goes to this origin only.
fn policy(html: &str) -> String {
    let hashes: Vec<String> = inline_scripts(html)
        .map(|script| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script))))
        .collect();
    format!(
        "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hashes.join(" ")
    )
}

/// What stands between `<script …>` and `</script>`: where a browser's parser takes a script to
/// end, whatever the text in it means.
fn inline_scripts(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let (_, tag) = rest.split_once("<script")?;
        let (script, after) = tag.split_once('>')?.1.split_once("</script>")?;
        rest = after;
        Some(script)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_inline_script_is_named_by_its_hash() {
        let html = "<p><script charset=\"UTF-8\">alert(1)</script><script>'<script>'</script>";
        assert_eq!(
            inline_scripts(html).collect::<Vec<_>>(),
            ["alert(1)", "'<script>'"]
        );
        // printf 'alert(1)' | openssl dgst -sha256 -binary | base64
        assert!(policy(html).contains("'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"));
    }
}
