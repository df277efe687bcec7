use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::sqlx::Row;
use sea_orm::sqlx::postgres::{PgArguments, PgRow};
use sea_orm::sqlx::{Arguments as _, Error as SqlxError};
use session_domain::ids::{SessionId, TenantId, UserId};
use session_domain::port::{Change, End, Eviction, PortError, SessionLimit, Start, Targets, Why};
use session_domain::session::Seeded;

use super::decide::{Deciding, Held, Room};
use crate::change::start;
use crate::dialect::{self, failed};
use crate::postgres::transaction::Transaction;
use crate::{floors, log, sessions};

/// Locks and reads all that the rules need to know.
pub(super) async fn load(db: &Transaction, changes: &[Change]) -> Result<Deciding, PortError> {
    let starts: Vec<&Start> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Start(start) => Some(&**start),
            _ => None,
        })
        .collect();
    let mut deciding = Deciding::default();
    let names = starts.iter().flat_map(|start| start::lock_names(start));
    dialect::lock_names(db, names.collect()).await?;
    read_requests(db, &starts, &mut deciding).await?;
    deciding.rooms = read_rooms(db, &starts).await?;

    let mut ids = BTreeSet::new();
    for change in changes {
        match change {
            Change::Rotate(rotate) => {
                ids.insert(rotate.id);
            }
            Change::End(end) => {
                if let Targets::One { id, .. } = end.targets {
                    ids.insert(id);
                }
            }
            _ => {}
        }
    }
    for room in deciding.rooms.values() {
        ids.extend(
            room.oldest
                .iter()
                .chain(&room.least_recent)
                .map(|(_, id)| *id),
        );
    }
    let ids: Vec<SessionId> = ids.into_iter().collect();
    let locked = sessions::find_all(db, &ids, true).await?;
    let held = |seeded: Seeded| (seeded.session.id, Held::new(seeded));
    deciding.known.held = locked.into_iter().map(held).collect();
    if needs_head(changes, &deciding) {
        deciding.head = log::head(db).await?.seq;
    }
    Ok(deciding)
}

/// Whether an end may find nothing to do, and is then told the head read after looking.
fn needs_head(changes: &[Change], deciding: &Deciding) -> bool {
    changes.iter().any(|change| match change {
        Change::End(End {
            targets: Targets::One { tenant, id },
            why,
            ..
        }) => deciding.known.held.get(id).is_none_or(|held| {
            held.seeded.session.tenant != *tenant || matches!(why, Why::Overdue)
        }),
        _ => false,
    })
}

/// Which of the starts were asked for before.
async fn read_requests(
    db: &Transaction,
    starts: &[&Start],
    deciding: &mut Deciding,
) -> Result<(), PortError> {
    const WHAT: &str = "look up idempotency keys";
    const SQL: &str = "SELECT caller, idempotency_key, digest, session_id \
        FROM unnest($1::uuid[], $2::text[]) AS asked (caller, idempotency_key) \
        JOIN idempotency_keys USING (caller, idempotency_key)";
    let asked = starts.iter().filter_map(|start| start.idempotency.as_ref());
    let (callers, keys): (Vec<_>, Vec<_>) = asked
        .map(|asked| (asked.caller.0, asked.key.clone()))
        .unzip();
    if keys.is_empty() {
        return Ok(());
    }
    let arguments = arguments(WHAT, |arguments| {
        arguments.add(callers)?;
        arguments.add(keys)
    })?;
    let mut started = BTreeSet::new();
    for row in db.rows(SQL, arguments).await.map_err(failed(WHAT))? {
        let request = (
            get(WHAT, &row, "caller")?,
            get(WHAT, &row, "idempotency_key")?,
        );
        let id = SessionId(get(WHAT, &row, "session_id")?);
        let said = (get(WHAT, &row, "digest")?, id);
        deciding.requests.insert(request, said);
        started.insert(id);
    }
    let started: Vec<SessionId> = started.into_iter().collect();
    let found = sessions::find_all(db, &started, false).await?;
    let found = found.into_iter().map(|seeded| (seeded.session.id, seeded));
    deciding.known.replayed = found.collect();
    Ok(())
}

/// What the starts of a group ask of one user's sessions.
#[derive(Default)]
struct Asked {
    starts: u64,
    max: Option<u32>,
    oldest: bool,
    least_recent: bool,
}

/// Counts the active sessions of those whose number is limited, and chooses the ones that may have
/// to give way. Whoever decides about a user's number does so alone.
async fn read_rooms(
    db: &Transaction,
    starts: &[&Start],
) -> Result<HashMap<(TenantId, UserId), Room>, PortError> {
    const WHAT: &str = "count users' sessions";
    let mut users: BTreeMap<(TenantId, UserId), Asked> = BTreeMap::new();
    for start in starts {
        let Some(SessionLimit { max, eviction }) = start.limit else {
            continue;
        };
        let draft = start.session.draft();
        let user = (draft.tenant.clone(), draft.user.clone());
        let asked = users.entry(user).or_default();
        asked.starts += 1;
        asked.max = Some(asked.max.map_or(max, |other| other.min(max)));
        asked.oldest |= eviction == Eviction::Oldest;
        asked.least_recent |= eviction == Eviction::LeastRecent;
    }
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let users: Vec<_> = users.into_iter().collect();
    let (tenants, names): (Vec<_>, Vec<_>) = users
        .iter()
        .map(|((tenant, user), _)| (tenant.as_str().to_owned(), user.as_str().to_owned()))
        .unzip();
    let arguments = arguments(WHAT, |arguments| {
        arguments.add(tenants)?;
        arguments.add(names)
    })?;
    let none_over = floors::none_over_words();
    let sql = format!(
        "SELECT nth, (SELECT count(*) FROM sessions WHERE \
         sessions.tenant = asked.tenant AND sessions.user_id = asked.user_id \
         AND sessions.status = 'active' AND {none_over}) AS active \
         FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (tenant, user_id, nth)"
    );
    let mut rooms: Vec<Room> = users.iter().map(|_| Room::default()).collect();
    for row in db.rows(sql, arguments).await.map_err(failed(WHAT))? {
        let active: i64 = get(WHAT, &row, "active")?;
        nth(&mut rooms, &row)?.active = active.unsigned_abs();
    }
    for by_use in [false, true] {
        choose(db, &users, &mut rooms, by_use).await?;
    }
    let users = users.into_iter().map(|(user, _)| user);
    Ok(users.zip(rooms).collect())
}

/// Chooses as many as may have to give way when all the starts of the group are carried out.
async fn choose(
    db: &Transaction,
    users: &[((TenantId, UserId), Asked)],
    rooms: &mut [Room],
    by_use: bool,
) -> Result<(), PortError> {
    const WHAT: &str = "choose the sessions to evict";
    let (mut places, mut tenants, mut names, mut most) = (vec![], vec![], vec![], vec![]);
    for (place, ((tenant, user), asked)) in users.iter().enumerate() {
        let wanted = if by_use {
            asked.least_recent
        } else {
            asked.oldest
        };
        let kept = u64::from(asked.max.unwrap_or(u32::MAX).max(1));
        let excess = (rooms[place].active + asked.starts).saturating_sub(kept);
        let excess = excess.min(rooms[place].active);
        if wanted && excess > 0 {
            places.push(i64::try_from(place + 1).unwrap_or(i64::MAX));
            tenants.push(tenant.as_str().to_owned());
            names.push(user.as_str().to_owned());
            most.push(i64::try_from(excess).unwrap_or(i64::MAX));
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let none_over = floors::none_over_words();
    let by = if by_use { "last_seen_at" } else { "created_at" };
    let sql = format!(
        "SELECT asked.nth, least.id, least.at FROM \
         unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) \
         AS asked (nth, tenant, user_id, most), LATERAL \
         (SELECT id, {by} AS at FROM sessions WHERE sessions.tenant = asked.tenant \
         AND sessions.user_id = asked.user_id AND sessions.status = 'active' AND {none_over} \
         ORDER BY {by}, id LIMIT asked.most) AS least"
    );
    let arguments = arguments(WHAT, |arguments| {
        arguments.add(places)?;
        arguments.add(tenants)?;
        arguments.add(names)?;
        arguments.add(most)
    })?;
    for row in db.rows(sql, arguments).await.map_err(failed(WHAT))? {
        let chosen = (get(WHAT, &row, "at")?, SessionId(get(WHAT, &row, "id")?));
        let room = nth(rooms, &row)?;
        if by_use {
            room.least_recent.insert(chosen);
        } else {
            room.oldest.insert(chosen);
        }
    }
    Ok(())
}

/// The one a row is about, by its place counted from 1.
fn nth<'a>(rooms: &'a mut [Room], row: &PgRow) -> Result<&'a mut Room, PortError> {
    const WHAT: &str = "tell users apart";
    let nth: i64 = get(WHAT, row, "nth")?;
    let place = usize::try_from(nth - 1).ok();
    let room = place.and_then(|place| rooms.get_mut(place));
    room.ok_or_else(|| PortError::fatal(WHAT, "a place that wasn't asked for"))
}

fn get<'r, T>(what: &'static str, row: &'r PgRow, column: &str) -> Result<T, PortError>
where
    T: sea_orm::sqlx::Decode<'r, sea_orm::sqlx::Postgres>
        + sea_orm::sqlx::Type<sea_orm::sqlx::Postgres>,
{
    let read: Result<T, SqlxError> = row.try_get(column);
    read.map_err(|error| PortError::fatal(what, error))
}

/// The arguments of a statement.
pub(super) fn arguments(
    what: &'static str,
    add: impl FnOnce(&mut PgArguments) -> Result<(), sea_orm::sqlx::error::BoxDynError>,
) -> Result<PgArguments, PortError> {
    let mut arguments = PgArguments::default();
    add(&mut arguments).map_err(|error| PortError::fatal(what, error))?;
    Ok(arguments)
}
