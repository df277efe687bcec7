//! The changes, one file each. Each runs the domain's rule on what it has locked and writes the
//! outcome, all in the transaction (or savepoint) it is given; if it fails, the caller rolls back.
//! What belongs under the log's head is left to the caller, who writes it last ([`Closing`](crate::closing::Closing)).
//!
//! Locks are taken in one order everywhere, so that no two transactions wait for each other: what
//! a start decides alone (its request, its user), a revocation, session rows by id, then devices, the
//! floors, then counters in the order of their keys, the log's head, a lease last. Where an engine finds two that do wait
//! for each other all the same, it turns one back, and that one is tried again.

mod adjust;
mod device;
mod effects;
pub(crate) mod end;
mod purge;
mod revoke;
pub(crate) mod rotate;
mod service_key;
mod signing_key;
pub(crate) mod start;
mod step_up;

use sea_orm::ConnectionTrait;
use session_domain::port::{Change, Outcome, PortError};

pub(crate) use effects::{Applied, Effects};

/// Carries out a change, all of it.
pub(crate) async fn carry_out<C: ConnectionTrait>(
    db: &C,
    change: Change,
) -> Result<Outcome, PortError> {
    let Applied { closing, tell } = apply(db, change).await?;
    Ok(tell(&closing.write(db).await?))
}

/// Carries out a change but for what is written under the log's head.
pub(crate) async fn apply<C: ConnectionTrait>(
    db: &C,
    change: Change,
) -> Result<Applied, PortError> {
    Ok(Applied::done(match change {
        Change::Start(change) => return start::start(db, *change).await,
        Change::Rotate(change) => return rotate::rotate(db, change).await,
        Change::End(change) => return end::end(db, change).await,
        Change::StepUp(change) => return step_up::step_up(db, *change).await,
        Change::Touch(change) => return adjust::touch(db, change).await,
        Change::ForgetDevice(change) => return device::forget(db, change).await,
        Change::ContinueRevocation(change) => return revoke::carry_on(db, change).await,
        Change::BeginRevocation(change) => revoke::begin(db, *change).await?,
        Change::Extend(change) => Outcome::Extend(adjust::extend(db, change).await?),
        Change::Update(change) => Outcome::Update(adjust::update(db, *change).await?),
        Change::AddSigningKey(change) => Outcome::Key(signing_key::add(db, change).await?),
        Change::RetireSigningKey(change) => {
            Outcome::RetireSigningKey(signing_key::retire(db, change).await?)
        }
        Change::AddServiceKey(change) => Outcome::ServiceKey(service_key::add(db, change).await?),
        Change::RevokeServiceKey(change) => {
            Outcome::RevokeServiceKey(service_key::revoke(db, change).await?)
        }
        Change::ChangeDevice(change) => Outcome::ChangeDevice(device::change(db, change).await?),
        Change::Purge(change) => Outcome::Purge(purge::purge(db, change).await?),
    }))
}
