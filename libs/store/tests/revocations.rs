//! What the audit trail tells of the ending of many sessions.

mod support;

use std::path::Path;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use session_domain::contract::store::{
    Pair, a_floor_ends_a_tenants_sessions_at_once, ending_by_filter_equals_ending_one_by_one,
};

/// Runs a case of the contract on a file, and gives its events: of which session, and what they
/// say.
async fn events(path: &Path, tenant: &str, case: impl AsyncFnOnce(Pair)) -> Vec<(bool, String)> {
    let store = support::open(path).await;
    case((store.clone(), store.clone())).await;
    let sql = "SELECT session_id, at || actor || type || severity || fact AS said
        FROM session_events WHERE tenant = $1 ORDER BY at, session_id";
    let db = support::raw(path).await;
    let select = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [tenant.into()]);
    let rows = db.query_all_raw(select).await.unwrap();
    let of = |row: &sea_orm::QueryResult| {
        let session: Option<uuid::Uuid> = row.try_get("", "session_id").unwrap();
        (session.is_some(), row.try_get("", "said").unwrap())
    };
    rows.iter().map(of).collect()
}

/// Sessions that end together are told of as if each had been ended by itself.
#[tokio::test]
async fn an_event_tells_of_each_end() {
    let mut told = Vec::new();
    for tenant in ["bulk", "single"] {
        let (_directory, path) = support::directory();
        told.push(events(&path, tenant, ending_by_filter_equals_ending_one_by_one).await);
    }
    assert_eq!(told[0], told[1]);
    let ends = told[0]
        .iter()
        .filter(|(_, said)| said.contains("session_ended"));
    assert!(ends.count() > 5, "too little happened");
}

/// A floor is one event when it is raised; each end is one when its row is written.
#[tokio::test]
async fn a_floor_is_one_event_and_each_of_its_ends_another() {
    let (_directory, path) = support::directory();
    let told = events(&path, "default", a_floor_ends_a_tenants_sessions_at_once).await;
    let count = |of_session, kind| {
        let of_kind = |(is, said): &&(bool, String)| *is == of_session && said.contains(kind);
        told.iter().filter(of_kind).count()
    };
    assert_eq!(count(false, "floor_raised"), 1);
    // One of them was ended before by itself.
    assert_eq!(count(true, "session_ended"), 5);
    assert_eq!(count(true, "revoked_by_admin"), 4);
    assert_eq!(told.len(), 6 + 1 + 5, "and six started");
}
