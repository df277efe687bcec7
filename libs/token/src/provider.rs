use std::sync::Once;

/// Chooses the cryptography behind `jsonwebtoken`, once per process.
///
/// The library guesses from its own cargo features and panics at first use when another crate of
/// the build has enabled its second backend too. Whoever chose before us keeps their choice: both
/// backends implement the same algorithms, and every check that isn't the bare signature is ours.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _chosen_before = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    });
}
