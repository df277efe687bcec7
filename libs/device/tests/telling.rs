//! What the log says of databases that come and go. Alone in its process: what a subscriber gets
//! to hear is decided for a whole process, and other tests would have a say.

#[path = "support/fixtures.rs"]
mod fixtures;
mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use session_device::GeoLocator;

fn replace(path: &Path, bytes: &[u8]) {
    let staged = path.with_extension("new");
    fs::write(&staged, bytes).unwrap();
    fs::rename(&staged, path).unwrap();
}

/// What was logged, one entry for each warning.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = String::new();
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                text.extend([field.name(), "=", &format!("{value:?}"), " "]);
            },
        );
        self.0.lock().unwrap().push(text);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn what_is_wrong_is_told_once_and_again_when_it_is_something_else() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("city.mmdb");
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        let told = || warnings.0.lock().unwrap().len();
        let locator = GeoLocator::open(Some(&path), None);
        locator.refresh();
        locator.refresh();
        assert_eq!(told(), 1, "it is missing");
        for number in 0..2 {
            replace(&path, &fixtures::city().bytes()[..50 + number]);
            locator.refresh();
            locator.refresh();
        }
        assert_eq!(told(), 3, "two are damaged");
        replace(&path, &fixtures::city().bytes());
        locator.refresh();
        assert_eq!(told(), 3, "all is well");
        for _ in 0..2 {
            fs::remove_file(&path).unwrap();
            locator.refresh();
            locator.refresh();
            replace(&path, &fixtures::city().bytes());
            locator.refresh();
        }
        assert_eq!(told(), 5, "it went missing twice");
    });
    let told = warnings.0.lock().unwrap();
    assert!(told[1].contains("can't be read") && !told[1].contains("stays in use"));
    assert!(told[3].contains("no such file") && told[3].contains("stays in use"));
}
