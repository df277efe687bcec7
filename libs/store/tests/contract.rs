//! The contracts of the store and of the log, on SQLite.

mod support;

mod store {
    session_domain::session_store_contract!(super::support::pair);
}

mod outbox {
    session_domain::event_outbox_contract!(super::support::trail);
}

mod log {
    session_domain::revocation_log_contract!(super::support::pair);
}
