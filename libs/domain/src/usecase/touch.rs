//! Remember that sessions are used: gathered in memory, written together.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::{SessionId, TenantId};
use crate::port::{PortError, Seen, SessionStore, Touch};
use crate::time::Timestamp;

/// At most this many uses are written in one transaction, so that nobody waits for long behind.
const BATCH: usize = 1_000;

type Uses = HashMap<(TenantId, SessionId), Timestamp>;

/// The uses that wait to be written. A session used a thousand times waits once, with its latest.
/// What a process that dies hadn't written yet is lost, which can only make a session seem idle
/// for as much longer as [`touch`] is called apart.
#[derive(Debug, Default)]
pub struct Activity {
    waiting: Mutex<Uses>,
}

impl Activity {
    /// Notes that a session was used.
    pub fn note(&self, seen: Seen) {
        let mut waiting = self.lock();
        let latest = waiting.entry((seen.tenant, seen.id)).or_insert(seen.at);
        *latest = seen.at.max(*latest);
    }

    /// Takes all that waits, a batch at a time.
    fn take(&self) -> Vec<Seen> {
        let uses = std::mem::take(&mut *self.lock());
        uses.into_iter()
            .map(|((tenant, id), at)| Seen { tenant, id, at })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Uses> {
        // Nothing that panics holds it half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all that waits. Returns for how many sessions it was news.
///
/// # Errors
/// Where the store doesn't answer; what wasn't written waits for the next call.
pub async fn touch(store: &dyn SessionStore, activity: &Activity) -> Result<u64, PortError> {
    let seen = activity.take();
    let mut moved = 0;
    for (place, batch) in seen.chunks(BATCH).enumerate() {
        let change = Touch {
            seen: batch.to_vec(),
        };
        match store.apply(change).await {
            Ok(outcome) => moved += outcome.moved,
            Err(error) => {
                seen[place * BATCH..]
                    .iter()
                    .for_each(|seen| activity.note(seen.clone()));
                return Err(error);
            }
        }
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;

    #[test]
    fn a_session_waits_once_with_its_latest_use() {
        let activity = Activity::default();
        for seconds in [5, 9, 7] {
            activity.note(Seen {
                tenant: TenantId::default(),
                id: sample::session_id(1),
                at: Timestamp::from_unix_seconds(seconds),
            });
        }
        let seen = activity.take();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].at, Timestamp::from_unix_seconds(9));
        assert_eq!(activity.take(), []);
    }
}
