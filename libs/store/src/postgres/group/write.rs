use sea_orm::sqlx::Arguments as _;
use session_domain::port::PortError;

use super::decide::Deciding;
use super::load::arguments;
use crate::dialect::{self, failed};
use crate::entity::signed;
use crate::postgres::bulk;
use crate::postgres::transaction::Transaction;
use crate::sessions::expect_rows;
use crate::{counters, devices, events, rows};

/// Writes all that was decided but for what belongs under the log's head. Counters that others may
/// move too come last but the log.
pub(super) async fn write(
    db: &Transaction,
    deciding: &mut Deciding,
    part: u8,
) -> Result<(), PortError> {
    start_sessions(db, deciding).await?;
    rotate_tokens(db, deciding).await?;
    let noted = deciding.devices.values().map(devices::row);
    let noted = noted.collect::<Result<Vec<_>, _>>()?;
    bulk::insert(db, "note devices", &noted, devices::SEEN_AGAIN).await?;
    let remembered = &deciding.remembered;
    bulk::insert(db, "remember idempotency keys", remembered, "").await?;
    let told = deciding.effects.events.iter().map(events::row);
    let told = told.collect::<Result<Vec<_>, _>>()?;
    bulk::insert(db, "append events", &told, "").await?;
    let moved = std::mem::take(&mut deciding.effects.tally).rows_of_group(part);
    bulk::insert(db, "move counters", &moved, counters::MOVED).await?;
    Ok(())
}

/// Draws the serials of the sessions that start, and writes their rows: as they start, even where
/// this group ends them. That is written with all other ends.
async fn start_sessions(db: &Transaction, deciding: &mut Deciding) -> Result<(), PortError> {
    const WHAT: &str = "start sessions";
    let serials = dialect::next_serials(db, deciding.started.len()).await?;
    let mut new = Vec::with_capacity(serials.len());
    for (id, serial) in deciding.started.iter().zip(serials) {
        let held = deciding.known.held.get_mut(id);
        let held = held.ok_or_else(|| PortError::fatal(WHAT, "decided, but not kept"))?;
        held.seeded.session.serial = serial;
        if let Some(place) = held.ended {
            deciding.effects.closing.draw(place, serial);
        }
        if let Some(started) = &mut held.started {
            started.serial = serial;
            new.push(rows::row(started, &held.seeded.seed)?);
        }
    }
    bulk::insert(db, WHAT, &new, "").await?;
    Ok(())
}

async fn rotate_tokens(db: &Transaction, deciding: &Deciding) -> Result<(), PortError> {
    const WHAT: &str = "rotate refresh tokens";
    const SQL: &str = "UPDATE sessions SET refresh_generation = new.generation, \
        rotated_at = new.at, version = new.version \
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) \
        AS new (id, generation, at, version) WHERE sessions.id = new.id";
    let (mut ids, mut generations, mut ats, mut versions) = (vec![], vec![], vec![], vec![]);
    for held in deciding.known.held.values().filter(|held| held.rotated) {
        let session = &held.seeded.session;
        ids.push(session.id.0);
        generations.push(i64::from(session.refresh.generation.0));
        ats.push(session.refresh.rotated_at.0);
        // Where it was ended, too, that makes the next version.
        let version = session.version.0 - u64::from(held.ended.is_some());
        versions.push(signed(version)?);
    }
    if ids.is_empty() {
        return Ok(());
    }
    let count = ids.len() as u64;
    let arguments = arguments(WHAT, |arguments| {
        arguments.add(ids)?;
        arguments.add(generations)?;
        arguments.add(ats)?;
        arguments.add(versions)
    })?;
    let done = db.write(SQL, arguments).await.map_err(failed(WHAT))?;
    expect_rows(WHAT, done, count)
}
