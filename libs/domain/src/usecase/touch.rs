//! Remember that sessions are used: gathered in memory, told together.
//!
//! Whoever answers from memory notes each use with its [`Activity`]; now and then [`report`] tells
//! the authority, or [`touch`] writes directly where this process is the authority. Both also say
//! up to when everything has been told: until every holder of a lease has, no session ends for
//! having been idle, so an outage of ours logs nobody out.

mod activity;

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};

use crate::ids::InstanceId;
use crate::port::{Bus, BusReply, BusRequest, Heard, PortError, SessionStore, Touch};
use crate::time::Timestamp;

pub use activity::{Activity, Use};

/// At most this many uses are told at once, so that nobody waits for long behind, and no message
/// is too long.
const BATCH: usize = 500;

/// How long telling the authority may take.
const WITHIN: Duration = Duration::from_secs(2);

/// Writes all that waits on behalf of `from`.
///
/// # Errors
/// Where the store doesn't answer; what wasn't written waits for the next call.
pub async fn touch(
    store: &dyn SessionStore,
    activity: &Activity,
    from: InstanceId,
    now: impl FnOnce() -> Timestamp,
) -> Result<(), PortError> {
    let write = |touch| async move { store.apply(touch).await.map(|_| ()) }.boxed();
    tell(activity, from, now, &write).await
}

/// Tells the authority all that waits on behalf of `from`.
///
/// # Errors
/// Where nobody acknowledges it; it waits for the next call.
pub async fn report(
    bus: &dyn Bus,
    activity: &Activity,
    from: InstanceId,
    now: impl FnOnce() -> Timestamp,
) -> Result<(), PortError> {
    let send = |touch| {
        async move {
            match bus.request(BusRequest::Activity(touch), WITHIN).await? {
                BusReply::ActivityKept => Ok(()),
                _ => Err(PortError::retry("activity", "nobody acknowledged it")),
            }
        }
        .boxed()
    };
    tell(activity, from, now, &send).await
}

/// Tells all that waits, a batch at a time; the last says up to when that was all.
async fn tell<'a>(
    activity: &Activity,
    from: InstanceId,
    now: impl FnOnce() -> Timestamp,
    send: &(dyn Fn(Touch) -> BoxFuture<'a, Result<(), PortError>> + Sync),
) -> Result<(), PortError> {
    let (seen, through) = activity.take(now);
    let mut told = 0;
    loop {
        let end = seen.len().min(told + BATCH);
        let heard = (end == seen.len()).then_some(Heard { from, through });
        let touch = Touch {
            seen: seen[told..end].to_vec(),
            heard,
        };
        if let Err(error) = send(touch).await {
            activity.put_back(&seen[told..]);
            return Err(error);
        }
        told = end;
        if heard.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;
    use crate::ids::TenantId;
    use futures::executor::block_on;
    use std::sync::Mutex;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn used(activity: &Activity, session: u128, seconds: i64) {
        activity.note(&TenantId::default(), sample::session_id(session), || {
            at(seconds)
        });
    }

    fn told(activity: &Activity, works: bool) -> (Result<(), PortError>, Vec<Touch>) {
        let touches = Mutex::new(Vec::new());
        let from = InstanceId(uuid::Uuid::from_u128(1));
        let send = |touch: Touch| {
            touches.lock().unwrap().push(touch);
            let result = works
                .then_some(())
                .ok_or_else(|| PortError::retry("test", "on purpose"));
            async { result }.boxed()
        };
        let result = block_on(tell(activity, from, || at(100), &send));
        (result, touches.into_inner().unwrap())
    }

    #[test]
    fn a_session_waits_once_with_its_first_and_last_use() {
        let activity = Activity::default();
        for seconds in [5, 9, 7] {
            used(&activity, 1, seconds);
        }
        let (result, touches) = told(&activity, true);
        result.unwrap();
        let [
            Touch {
                seen,
                heard: Some(heard),
            },
        ] = &touches[..]
        else {
            panic!("{touches:?}")
        };
        assert_eq!((seen.len(), seen[0].first, seen[0].last), (1, at(5), at(9)));
        assert_eq!(heard.through, at(100));
        let (_, again) = told(&activity, true);
        assert_eq!(again[0].seen, [], "nothing new, and that is told too");
    }

    #[test]
    fn what_could_not_be_told_waits_and_takes_in_what_came_since() {
        let activity = Activity::default();
        used(&activity, 1, 5);
        assert!(told(&activity, false).0.is_err());
        used(&activity, 1, 50);
        let (_, touches) = told(&activity, true);
        let [seen] = &touches[0].seen[..] else {
            panic!("{touches:?}")
        };
        assert_eq!((seen.first, seen.last), (at(5), at(50)));
        assert_eq!(seen.gap, Duration::from_secs(45));
    }

    #[test]
    fn only_the_last_of_many_batches_says_that_this_was_all() {
        let activity = Activity::default();
        for session in 0..=2 * BATCH as u128 {
            used(&activity, session, 5);
        }
        let (_, touches) = told(&activity, true);
        let said: Vec<bool> = touches.iter().map(|touch| touch.heard.is_some()).collect();
        assert_eq!(said, [false, false, true]);
        assert_eq!(
            touches.iter().map(|touch| touch.seen.len()).sum::<usize>(),
            2 * BATCH + 1
        );
    }
}
