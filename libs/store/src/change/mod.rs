//! The changes, one file each. Each runs the domain's rule on what it has locked and writes the
//! outcome, all in the transaction (or savepoint) it is given; if it fails, the caller rolls back.
//!
//! Locks are taken in one order everywhere, so that no two transactions wait for each other: what
//! a start decides alone (its request, its user), session rows by id, then devices, then counters
//! in the order of their keys, the log's head, a lease last. Where an engine finds two that do wait
//! for each other all the same, it turns one back, and that one is tried again.

mod adjust;
mod device;
mod end;
mod rotate;
mod service_key;
mod signing_key;
mod start;
mod step_up;

use sea_orm::ConnectionTrait;
use session_domain::port::{Change, Outcome, PortError};

/// Carries out a change.
pub(crate) async fn apply<C: ConnectionTrait>(
    db: &C,
    change: Change,
) -> Result<Outcome, PortError> {
    Ok(match change {
        Change::Start(change) => Outcome::Start(start::start(db, *change).await?),
        Change::Rotate(change) => Outcome::Rotate(rotate::rotate(db, change).await?),
        Change::End(change) => Outcome::End(end::end(db, change).await?),
        Change::Extend(change) => Outcome::Extend(adjust::extend(db, change).await?),
        Change::Update(change) => Outcome::Update(adjust::update(db, *change).await?),
        Change::StepUp(change) => Outcome::StepUp(step_up::step_up(db, *change).await?),
        Change::Touch(change) => Outcome::Touch(adjust::touch(db, change).await?),
        Change::AddSigningKey(change) => Outcome::Key(signing_key::add(db, change).await?),
        Change::RetireSigningKey(change) => {
            Outcome::RetireSigningKey(signing_key::retire(db, change).await?)
        }
        Change::AddServiceKey(change) => Outcome::ServiceKey(service_key::add(db, change).await?),
        Change::RevokeServiceKey(change) => {
            Outcome::RevokeServiceKey(service_key::revoke(db, change).await?)
        }
        Change::ChangeDevice(change) => Outcome::ChangeDevice(device::change(db, change).await?),
        Change::ForgetDevice(change) => Outcome::ForgetDevice(device::forget(db, change).await?),
    })
}
