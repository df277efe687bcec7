//! What the moves of a living session write: each only the columns it changes.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, UpdateMany};
use serde_json::json;
use session_domain::port::PortError;
use session_domain::secret::Secret256;
use session_domain::session::{RefreshState, Session};

use crate::dialect::{self, failed};
use crate::entity::session::{Column, Entity};
use crate::entity::signed;
use crate::rows::to_json;
use crate::sessions::expect_rows;

/// Writes what a rotation changed.
pub(crate) async fn store_rotation<C: ConnectionTrait>(
    db: &C,
    rotated: &Session,
) -> Result<(), PortError> {
    let update = refreshed(Entity::update_many(), rotated.refresh);
    write(db, "rotate a refresh token", update, rotated).await
}

/// Writes what an extension or an update changed.
pub(crate) async fn store_adjustment<C: ConnectionTrait>(
    db: &C,
    adjusted: &Session,
) -> Result<(), PortError> {
    let update = Entity::update_many()
        .col_expr(Column::ExpiresAt, Expr::value(adjusted.expires_at.0))
        .col_expr(Column::DueAt, Expr::value(adjusted.due_at().0))
        .col_expr(Column::Device, Expr::value(to_json(&adjusted.device)?))
        .col_expr(Column::Metadata, Expr::value(to_json(&adjusted.metadata)?));
    write(db, "update a session", update, adjusted).await
}

/// Writes what a step-up changed.
pub(crate) async fn store_step_up<C: ConnectionTrait>(
    db: &C,
    stepped_up: &Session,
    seed: &Secret256,
) -> Result<(), PortError> {
    let authentication = to_json(&stepped_up.authentication)?;
    let update = refreshed(Entity::update_many(), stepped_up.refresh)
        .col_expr(Column::Serial, Expr::value(signed(stepped_up.serial.0)?))
        .col_expr(Column::Seed, Expr::value(seed.0.to_vec()))
        .col_expr(Column::Authentication, Expr::value(authentication));
    write(db, "step up", update, stepped_up).await
}

/// Writes that sessions were used. They are locked, so nothing about them has changed since.
pub(crate) async fn store_use<C: ConnectionTrait>(
    db: &C,
    used: &[Session],
) -> Result<(), PortError> {
    const WHAT: &str = "write that sessions were used";
    if used.is_empty() {
        return Ok(());
    }
    let row = |session: &Session| {
        let (id, seen, due) = (session.id.0, session.last_seen_at.0, session.due_at().0);
        json!({ "id": id, "seen": seen, "due": due })
    };
    let rows: serde_json::Value = used.iter().map(row).collect();
    let done = db.execute_raw(dialect::use_of_sessions(db, &rows)).await;
    let moved = done.map_err(failed(WHAT))?.rows_affected();
    expect_rows(WHAT, moved, used.len() as u64)
}

fn refreshed(update: UpdateMany<Entity>, refresh: RefreshState) -> UpdateMany<Entity> {
    let generation = i64::from(refresh.generation.0);
    update
        .col_expr(Column::RefreshGeneration, Expr::value(generation))
        .col_expr(Column::RotatedAt, Expr::value(refresh.rotated_at.0))
}

/// Writes a move of one session, which made it the next version.
async fn write<C: ConnectionTrait>(
    db: &C,
    what: &'static str,
    update: UpdateMany<Entity>,
    moved: &Session,
) -> Result<(), PortError> {
    let version = signed(moved.version.0)?;
    let update = update
        .col_expr(Column::Version, Expr::value(version))
        .filter(Column::Id.eq(moved.id.0))
        .filter(Column::Version.eq(version - 1));
    let done = update.exec(db).await.map_err(failed(what))?;
    expect_rows(what, done.rows_affected, 1)
}
