//! What every [`SessionStore`] does, with the [`RevocationLog`] its commits write to.
//!
//! Cases with many calls at once matter most on engines that run them in parallel.

mod adjusting;
mod counting;
mod devices;
mod ending;
mod keys;
mod purging;
mod reading;
mod refreshing;
mod revoking;
mod starting;
mod stepping_up;

use std::sync::Arc;
use std::time::Duration;

pub use adjusting::*;
pub use counting::*;
pub use devices::*;
pub use ending::*;
pub use keys::*;
pub use purging::*;
pub use reading::*;
pub use refreshing::*;
pub use revoking::*;
pub use starting::*;
pub use stepping_up::*;

use super::sample;
use crate::event::Actor;
use crate::ids::{SessionId, TenantId, UserId};
use crate::port::{
    End, EndOutcome, ListQuery, RevocationLog, SessionLimit, SessionStore, Start, StartOutcome,
    Targets, Why,
};
use crate::session::{EndReason, NewSession, Session, ShownStatus};
use crate::time::Timestamp;

/// A store, and the log it writes to.
pub type Pair = (Arc<dyn SessionStore>, Arc<dyn RevocationLog>);

suite!(($) Pair, store, session_store_contract:
    // starting
    a_started_session_is_found_as_it_was_started,
    serials_are_drawn_in_order_and_never_twice,
    parallel_starts_leave_as_many_as_allowed_the_newest,
    parallel_starts_leave_as_many_as_allowed_the_most_recent,
    parallel_starts_beyond_the_limit_are_refused,
    a_lowered_limit_evicts_all_that_is_too_much,
    the_limit_is_per_user_and_tenant,
    a_repeated_request_is_answered_again,
    parallel_repeats_start_one_session,
    a_failed_start_leaves_nothing,
    // refreshing
    one_of_many_parallel_rotations_rotates,
    a_used_token_after_the_grace_ends_the_session,
    a_token_of_another_seed_or_tenant_is_nobodys,
    a_token_not_issued_yet_changes_nothing,
    // ending
    an_ended_session_is_ended_with_its_number,
    ending_twice_gives_the_first_ending,
    another_tenant_finds_nothing,
    many_parallel_ends_are_numbered_without_gaps,
    ending_a_users_sessions_spares_the_excepted,
    ending_in_batches_says_when_more_is_left,
    a_large_batch_is_split_into_entries,
    only_the_overdue_are_ended_and_for_their_reason,
    // ending many
    a_floor_ends_a_tenants_sessions_at_once,
    what_a_floor_has_ended_is_ended_for_every_change,
    what_a_floor_has_ended_takes_nobodys_place,
    floors_above_floors_end_what_is_left,
    a_revocation_goes_on_where_it_stopped,
    ending_by_filter_equals_ending_one_by_one,
    what_a_filter_means_can_be_looked_at,
    nothing_slips_past_a_floor,
    nothing_slips_past_a_revocation_in_steps,
    // adjusting
    an_extension_is_kept_and_clamped,
    what_is_over_or_elsewhere_is_not_changed,
    an_update_is_kept_and_leaves_the_rest,
    one_of_many_updates_for_a_version_wins,
    use_moves_forward_only,
    parallel_moves_each_make_a_version,
    // stepping up
    a_step_up_ends_the_old_serial,
    earlier_refresh_tokens_die_without_a_verdict,
    a_step_up_beside_a_refresh_wins,
    what_is_over_is_not_stepped_up,
    // reading
    a_list_is_paged_without_gap_or_double,
    a_list_shows_one_status_of_one_user,
    a_list_of_every_status_is_paged_as_one,
    // counting
    counters_equal_a_recount,
    what_did_not_happen_is_not_counted,
    // devices
    a_device_is_known_by_its_sign_ins,
    a_device_is_changed_by_its_user_only,
    forgetting_a_device_ends_its_sessions,
    devices_are_paged_without_gap_or_double,
    // purging
    a_session_is_purged_after_its_end_and_its_tokens_only,
    purging_goes_on_batch_by_batch_and_uncounts_nothing,
    a_superseded_serial_is_purged_by_its_tokens_end,
    a_request_is_remembered_for_its_time,
    devices_nobody_uses_are_purged,
    // keys
    replicas_that_start_together_agree_on_one_key,
    a_signing_key_is_kept_and_announced_once,
    a_retired_key_is_announced_once_and_gone_from_snapshots,
    one_of_two_keys_retired_at_once_stays,
    a_service_key_is_found_by_its_hash_and_added_once,
    a_revoked_service_key_is_not_found_and_not_added_again,
);

fn start(session: NewSession, limit: Option<SessionLimit>) -> Start {
    Start {
        session,
        actor: Actor::System,
        limit,
        idempotency: None,
    }
}

/// Starts a session that must start, without a limit.
async fn started(store: &Arc<dyn SessionStore>, session: NewSession) -> Session {
    match store.apply(start(session, None)).await.unwrap() {
        StartOutcome::Started { session, .. } => *session,
        other => panic!("not started: {other:?}"),
    }
}

/// A session of the default tenant, changed before it starts.
fn changed(number: u128, user: &str, change: impl FnOnce(&mut Session)) -> NewSession {
    let new = sample::new_session(number, user);
    let mut draft = new.draft().clone();
    change(&mut draft);
    NewSession::new(draft, new.seed().clone())
}

fn end(targets: Targets, batch: u32) -> End {
    let why = Why::Because {
        reason: EndReason::RevokedByService,
        note: Some("wörd".into()),
    };
    End {
        targets,
        why,
        at: later(60),
        actor: Actor::System,
        batch,
    }
}

async fn end_one(store: &Arc<dyn SessionStore>, tenant: &str, id: SessionId) -> EndOutcome {
    let tenant = sample::tenant(tenant);
    store
        .apply(end(Targets::One { tenant, id }, 1))
        .await
        .unwrap()
}

/// So many seconds after the sample sessions start.
fn later(seconds: u64) -> Timestamp {
    sample::START.plus(Duration::from_secs(seconds))
}

async fn listed(store: &Arc<dyn SessionStore>, user: &str, status: ShownStatus) -> Vec<Session> {
    let user: UserId = sample::user(user);
    let query = ListQuery {
        tenant: TenantId::default(),
        user,
        status: Some(status),
        after: None,
        limit: 1_000,
    };
    store.list(&query).await.unwrap()
}
