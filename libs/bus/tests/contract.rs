//! Both buses keep the port's contract.

mod support;

mod in_process {
    use std::sync::Arc;

    use session_bus::InProcessBus;
    use session_domain::port::Bus;

    async fn fresh() -> Arc<dyn Bus> {
        Arc::new(InProcessBus::new())
    }

    session_domain::bus_contract!(fresh);
}

mod event_file {
    use std::sync::Arc;

    use session_bus::{EventFile, FileLimits};
    use session_domain::contract::publisher::{Published, Read};

    use crate::support::lines;

    async fn fresh() -> Published {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let path = folder.path().join("events.jsonl");
        // Small, so that files are turned over in the middle of every case.
        let limits = FileLimits {
            bytes_max: 1_500,
            files_max: 1_000,
        };
        let file = EventFile::open(&path, limits).unwrap();
        let read: Read = Arc::new(move || {
            let _kept = &folder;
            let lines = lines(&path);
            Box::pin(async move { lines })
        });
        (Arc::new(file), read)
    }

    session_domain::event_publisher_contract!(fresh);
}

mod nats_events {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};

    use session_domain::contract::publisher::{Published, Read};
    use session_testkit::servers::Nats;

    use crate::support::{config, connect, stored, stream};

    async fn fresh() -> Published {
        static SERVER: OnceLock<Nats> = OnceLock::new();
        static CASES: AtomicUsize = AtomicUsize::new(0);
        let url = SERVER.get_or_init(Nats::start).url();
        let mut config = config(&url);
        let case = CASES.fetch_add(1, Ordering::Relaxed);
        config.prefix = format!("case-{case}").parse().unwrap();
        let stream = stream(&config.prefix);
        let events = connect(&config).await.events(stream.clone());
        let read: Read = Arc::new(move || {
            let (url, stream) = (url.clone(), stream.clone());
            Box::pin(async move {
                let stored = stored(&url, &stream).await;
                stored.into_iter().map(|stored| stored.event).collect()
            })
        });
        (Arc::new(events), read)
    }

    session_domain::event_publisher_contract!(fresh);
}

mod nats {
    use std::sync::Arc;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use session_domain::port::Bus;
    use session_testkit::servers::Nats;

    use crate::support::{config, connect};

    /// A part of a server that all cases share: none hears another.
    async fn fresh() -> Arc<dyn Bus> {
        static SERVER: OnceLock<Nats> = OnceLock::new();
        static CASES: AtomicUsize = AtomicUsize::new(0);
        let mut config = config(&SERVER.get_or_init(Nats::start).url());
        let case = CASES.fetch_add(1, Ordering::Relaxed);
        config.prefix = format!("case-{case}").parse().unwrap();
        Arc::new(connect(&config).await)
    }

    session_domain::bus_contract!(fresh);
}
