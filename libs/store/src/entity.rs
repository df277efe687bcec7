//! The tables, as `session-migrations` makes them. Numbers are signed here because SQL has no
//! others; the mapping to the domain's unsigned ones is [`unsigned`] and [`signed`].

// The derives write `pub` items, which a private module can't show to anybody.
#![allow(unreachable_pub)]

use session_domain::port::PortError;

/// A count read from the database.
pub(crate) fn unsigned(number: i64) -> Result<u64, PortError> {
    u64::try_from(number).map_err(|error| PortError::fatal("read a number", error))
}

/// A count to write. Every one of ours starts at 0 or 1 and rises by one, so none gets near the
/// limit; one that did is refused rather than wrapped.
pub(crate) fn signed(number: u64) -> Result<i64, PortError> {
    i64::try_from(number).map_err(|error| PortError::fatal("write a number", error))
}

macro_rules! tables {
    ($($(#[$doc:meta])* $module:ident = $table:literal { $($(#[$attribute:meta])* $field:ident: $kind:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        pub(crate) mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                $($(#[$attribute])* pub $field: $kind),*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    )*};
}

tables! {
    /// Sessions.
    session = "sessions" {
        #[sea_orm(primary_key, auto_increment = false)]
        id: Uuid,
        serial: i64,
        tenant: String,
        user_id: String,
        status: String,
        ended_at: Option<i64>,
        end_reason: Option<String>,
        ended_seq: Option<i64>,
        created_at: i64,
        last_seen_at: i64,
        expires_at: i64,
        absolute_expires_at: i64,
        idle_timeout: Option<i64>,
        due_at: i64,
        authentication: String,
        authorization_json: String,
        device: String,
        device_id: Uuid,
        network: String,
        refresh_generation: i64,
        rotated_at: i64,
        metadata: String,
        seed: Vec<u8>,
        version: i64,
    }

    /// Serials that living sessions left behind.
    superseded = "superseded_serials" {
        #[sea_orm(primary_key, auto_increment = false)]
        serial: i64,
        session_id: Uuid,
        ended_seq: i64,
        purge_after: i64,
    }

    /// Entries of the revocation log.
    entry = "revocation_log" {
        #[sea_orm(primary_key, auto_increment = false)]
        seq: i64,
        entry: String,
    }

    /// The one row that orders log entries.
    head = "revocation_head" {
        #[sea_orm(primary_key, auto_increment = false)]
        id: i64,
        epoch: i64,
        seq: i64,
        next_serial: i64,
    }

    /// Leases.
    lease = "leases" {
        #[sea_orm(primary_key, auto_increment = false)]
        instance: Uuid,
        counter: i64,
        applied: i64,
        granted_head: i64,
        duration: i64,
        secret: Vec<u8>,
        activity_through: i64,
    }

    /// Floors; the tenant `''` is everybody.
    floor = "floors" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant: String,
        through: i64,
    }

    /// Signing keys.
    signing_key = "signing_keys" {
        #[sea_orm(primary_key, auto_increment = false)]
        kid: String,
        public_key: String,
        sealed: Vec<u8>,
        created_at: i64,
        retired_at: Option<i64>,
    }

    /// Service keys.
    service_key = "service_keys" {
        #[sea_orm(primary_key, auto_increment = false)]
        id: Uuid,
        hash: Vec<u8>,
        name: String,
        tenant: Option<String>,
        scopes: String,
        created_at: i64,
        revoked_at: Option<i64>,
    }

    /// Users' devices.
    device = "devices" {
        #[sea_orm(primary_key, auto_increment = false)]
        id: Uuid,
        tenant: String,
        user_id: String,
        agent: String,
        name: Option<String>,
        trusted: i64,
        first_seen_at: i64,
        last_seen_at: i64,
    }

    /// How many sessions there are and have been.
    counter = "session_counters" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant: String,
        #[sea_orm(primary_key, auto_increment = false)]
        counter: String,
        #[sea_orm(primary_key, auto_increment = false)]
        label: String,
        #[sea_orm(primary_key, auto_increment = false)]
        part: i64,
        count: i64,
    }

    /// What floors have ended and the rows don't say yet, to be added to the counters.
    floored_counter = "floored_counters" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant: String,
        #[sea_orm(primary_key, auto_increment = false)]
        counter: String,
        #[sea_orm(primary_key, auto_increment = false)]
        label: String,
        #[sea_orm(primary_key, auto_increment = false)]
        part: i64,
        count: i64,
    }

    /// Revocations of many sessions; the tenant `''` is everybody.
    revocation = "bulk_revocations" {
        #[sea_orm(primary_key, auto_increment = false)]
        id: Uuid,
        tenant: String,
        is_floor: i64,
        filter: String,
        through: i64,
        reason: String,
        note: Option<String>,
        actor: String,
        created_at: i64,
        expected: Option<i64>,
        ended: i64,
        finished_at: Option<i64>,
        seq: i64,
        seen_tenant: String,
        seen_serial: i64,
    }

    /// Requests that were carried out.
    idempotency_key = "idempotency_keys" {
        #[sea_orm(primary_key, auto_increment = false)]
        caller: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        idempotency_key: String,
        digest: Vec<u8>,
        session_id: Uuid,
        created_at: i64,
    }

    /// How far events have been told to others, and who tells them.
    relay = "event_relay" {
        #[sea_orm(primary_key, auto_increment = false)]
        id: i64,
        through: i64,
        holder: Option<Uuid>,
        expires_at: i64,
    }

    /// What happened.
    event = "session_events" {
        #[sea_orm(primary_key)]
        id: i64,
        at: i64,
        tenant: Option<String>,
        session_id: Option<Uuid>,
        user_id: Option<String>,
        actor: String,
        #[sea_orm(column_name = "type")]
        kind: String,
        severity: String,
        fact: String,
    }
}
