//! Many starts, refreshes and ends in one transaction, each with its own outcome. The rules decide
//! on rows that were locked together; what they decide is written together, a statement a table.
//!
//! | file | what |
//! |---|---|
//! | `load.rs` | what the rules need to know, locked in the order of everybody |
//! | `decide.rs` | the rules, one change after the other, each seeing what those before it did |
//! | `write.rs` | what they decided |

mod decide;
mod load;
mod write;

use session_domain::port::{Change, Outcome, PortError, Targets};

use super::Engine;
use super::transaction::{Failure, Transaction};
use decide::Deciding;

/// Whether a change may be part of a group.
pub(super) const fn takes(change: &Change) -> bool {
    match change {
        Change::Start(_) | Change::Rotate(_) => true,
        Change::End(end) => matches!(end.targets, Targets::One { .. }),
        _ => false,
    }
}

/// What came of each change of a group.
pub(super) type Outcomes = Vec<Result<Outcome, PortError>>;

/// Carries out `changes`, all of which a group [`takes`], as if one after the other: all of them
/// or none.
pub(super) async fn carry_out(
    engine: &Engine,
    lane: u8,
    changes: &[Change],
) -> Result<Outcomes, Failure> {
    let db = engine.begin().await.map_err(Failure::Undone)?;
    match decide_and_write(&db, engine.part(lane), changes).await {
        Ok(deciding) => {
            let closed = db.close(&deciding.effects.closing).await?;
            let (known, answers) = (deciding.known, deciding.answers.into_iter());
            Ok(answers.map(|answer| answer.tell(&known, &closed)).collect())
        }
        Err(error) => {
            db.undo().await;
            Err(Failure::Undone(error))
        }
    }
}

async fn decide_and_write(
    db: &Transaction,
    part: u8,
    changes: &[Change],
) -> Result<Deciding, PortError> {
    let mut deciding = load::load(db, changes).await?;
    deciding.all(changes)?;
    write::write(db, &mut deciding, part).await?;
    Ok(deciding)
}
