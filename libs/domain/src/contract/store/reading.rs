use super::{Pair, changed, end, end_one, later, listed, sample, started};
use crate::ids::TenantId;
use crate::port::{End, ListQuery, PagePosition, Targets, Why};
use crate::session::{Session, ShownStatus};

/// Page by page, every session comes once, newest first, also where many started together.
pub async fn a_list_is_paged_without_gap_or_double((store, _): Pair) {
    // Groups of four that started in the same microsecond, and not in the order of their ids.
    for number in 1..=30 {
        let new = changed(number, "alice", |session| {
            session.created_at = later(u64::try_from(number % 8).unwrap());
        });
        started(&store, new).await;
    }
    let mut expected = listed(&store, "alice", ShownStatus::Active).await;
    for limit in [1, 3, 4, 7, 30, 31] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let query = ListQuery {
                tenant: TenantId::default(),
                user: sample::user("alice"),
                status: Some(ShownStatus::Active),
                after,
                limit,
            };
            let page = store.list(&query).await.unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            after = Some(PagePosition {
                created_at: last.created_at,
                id: last.id,
            });
            seen.extend(page);
        }
        assert_eq!(seen, expected, "pages of {limit}");
    }
    assert_eq!(expected.len(), 30);
    let order = |session: &Session| std::cmp::Reverse((session.created_at, session.id));
    assert!(expected.is_sorted_by_key(order));
    expected.dedup_by_key(|session| session.id);
    assert_eq!(expected.len(), 30);
}

/// Every status is a list of its own.
pub async fn a_list_shows_one_status_of_one_user((store, _): Pair) {
    let active = started(&store, sample::new_session(1, "alice")).await;
    let revoked = started(&store, sample::new_session(2, "alice")).await;
    let overdue = changed(3, "alice", |session| session.expires_at = later(30));
    let expired = started(&store, overdue).await;
    started(&store, sample::new_session(4, "bob")).await;
    end_one(&store, "default", revoked.id).await;
    let targets = Targets::One {
        tenant: TenantId::default(),
        id: expired.id,
    };
    let overdue = End {
        why: Why::Overdue,
        ..end(targets, 1)
    };
    store.apply(overdue).await.unwrap();
    for (status, id) in [
        (ShownStatus::Active, active.id),
        (ShownStatus::Revoked, revoked.id),
        (ShownStatus::Expired, expired.id),
    ] {
        let shown = listed(&store, "alice", status).await;
        assert_eq!(
            shown.iter().map(|session| session.id).collect::<Vec<_>>(),
            [id]
        );
        assert_eq!(shown[0].status.shown(), status);
    }
}

/// Active, expired and revoked sessions in one list, newest first, page by page.
pub async fn a_list_of_every_status_is_paged_as_one((store, _): Pair) {
    for number in 1..=20 {
        let new = changed(number, "alice", |session| {
            session.created_at = later(u64::try_from(number % 6).unwrap());
            session.expires_at = later(if number % 3 == 0 { 30 } else { 3_600 });
        });
        let session = started(&store, new).await;
        if number % 3 == 1 {
            end_one(&store, "default", session.id).await;
        }
    }
    let overdue = End {
        why: Why::Overdue,
        ..end(Targets::Overdue, 100)
    };
    assert_eq!(store.apply(overdue).await.unwrap().ended.len(), 6);
    let query = |after, limit| ListQuery {
        tenant: TenantId::default(),
        user: sample::user("alice"),
        status: None,
        after,
        limit,
    };
    let all = store.list(&query(None, 100)).await.unwrap();
    assert_eq!(all.len(), 20);
    assert!(all.is_sorted_by_key(|session| std::cmp::Reverse((session.created_at, session.id))));
    let (mut seen, mut after) = (Vec::new(), None);
    while let Some(page) = Some(store.list(&query(after, 3)).await.unwrap())
        && let Some(last) = page.last()
    {
        after = Some(PagePosition {
            created_at: last.created_at,
            id: last.id,
        });
        seen.extend(page);
    }
    assert_eq!(seen, all);
}
