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
