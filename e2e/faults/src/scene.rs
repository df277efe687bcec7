//! What a fault has in hand while it happens.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_testkit::sim::rng::Rng;

use crate::life::Life;
use crate::moment::Moment;
use crate::users::Users;

/// A span in which something is broken.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Moment,
    to: Option<Moment>,
}

/// What a fault has in hand.
#[derive(Debug)]
pub struct Scene {
    /// Those who use the product.
    pub users: Arc<Users>,
    /// How many trials there are to be.
    pub wanted: usize,
    luck: Mutex<Rng>,
    windows: Mutex<Vec<Window>>,
    tried: AtomicUsize,
    complaints: Mutex<Vec<String>>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    /// Nothing has happened yet.
    pub fn new(users: Arc<Users>, wanted: usize, seed: u64) -> Self {
        Self {
            users,
            wanted,
            luck: Mutex::new(Rng::new(seed)),
            windows: Mutex::default(),
            tried: AtomicUsize::new(0),
            complaints: Mutex::default(),
        }
    }

    /// From now on something is broken: ends that are under way meanwhile are trials.
    pub fn open(&self) {
        locked(&self.windows).push(Window {
            from: Moment::now(),
            to: None,
        });
    }

    /// It is no more.
    pub fn close(&self) {
        if let Some(window) = locked(&self.windows).last_mut() {
            window.to = Some(Moment::now());
        }
    }

    /// What is under way in this moment is a trial: for what happens at once.
    pub fn strike(&self) {
        self.open();
        self.close();
    }

    /// This many trials more, of a fault that makes its own.
    pub fn tried(&self, more: usize) {
        self.tried.fetch_add(more, Ordering::Relaxed);
    }

    /// Something is wrong that isn't to be seen in a session's history.
    pub fn complain(&self, what: String) {
        locked(&self.complaints).push(what);
    }

    /// What is wrong, so far.
    pub fn complaints(&self) -> Vec<String> {
        locked(&self.complaints).clone()
    }

    /// How many trials there were: ends that were under way while something was broken.
    pub fn trials(&self) -> usize {
        let windows = locked(&self.windows).clone();
        let caught = self.users.count(|life| is_caught(life, &windows));
        caught + self.tried.load(Ordering::Relaxed)
    }

    /// Lets it be as it is for so long.
    pub async fn leave(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// As [`Self::leave`], for a while between these, in milliseconds.
    pub async fn leave_between(&self, least: u64, most: u64) {
        let millis = locked(&self.luck).between(least, most);
        self.leave(Duration::from_millis(millis)).await;
    }

    /// Lets everything take its course again after the round before, for long enough that what
    /// happens next isn't in step with anything.
    pub async fn settle(&self) {
        self.leave_between(500, 1_500).await;
    }

    /// One of so many.
    pub fn one_of(&self, many: usize) -> usize {
        locked(&self.luck).index(many)
    }
}

fn is_caught(life: &Life, windows: &[Window]) -> bool {
    let Some((begun, over)) = life.ending() else {
        return false;
    };
    windows.iter().any(|window| {
        window.to.is_none_or(|to| begun <= to) && over.is_none_or(|over| over >= window.from)
    })
}

/// Does what blocks, while others go on.
pub fn blocking<T>(what: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(what)
}
