//! Sessions that live and end all the time, and are asked about all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use session_testkit::sim::rng::Rng;
use std::sync::{PoisonError, RwLock};
use tokio::sync::{Mutex, mpsc};
use tokio_util::task::TaskTracker;

use crate::life::{Life, Said};
use crate::users::Users;
use crate::world::Shape;

/// How many sessions wait to be ended.
const WAITING: usize = 128;

/// How many sign in at a time.
const SIGNING_IN: usize = 12;

/// How many of the youngest sessions are asked about all the time; those about to end, those that
/// are being ended, and those that were a moment ago.
const WATCHED: usize = 512;

/// How often a validator is asked about one of them.
const WATCH_EVERY: Duration = Duration::from_millis(1);

/// How many are asked about at a time when all is over.
const SWEEPING: usize = 64;

/// How long validators may take until they know again, once all is well.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// What goes on in the background.
#[derive(Debug)]
pub struct Load {
    users: Arc<Users>,
    watched: RwLock<Vec<Arc<Life>>>,
    started: AtomicUsize,
    begun: AtomicUsize,
    /// How many sessions there are to be, where it isn't as many as can be.
    stock: Option<usize>,
    over: AtomicBool,
    tasks: TaskTracker,
}

impl Load {
    /// Begins, for so many trials.
    pub fn start(users: &Arc<Users>, shape: &Shape, wanted: usize, seed: u64) -> Arc<Self> {
        let stock = (shape.stock > 0).then_some(shape.stock * wanted);
        let load = Arc::new(Self {
            users: Arc::clone(users),
            watched: RwLock::default(),
            started: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            stock,
            over: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        });
        if shape.revokers == 0 {
            return load;
        }
        let (ready, waiting) = mpsc::channel(stock.unwrap_or(WAITING));
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..SIGNING_IN {
            load.tasks.spawn(Arc::clone(&load).sign_in(ready.clone()));
        }
        for _ in 0..shape.revokers {
            let waiting = Arc::clone(&waiting);
            load.tasks
                .spawn(Arc::clone(&load).revoke(waiting, shape.duplicate));
        }
        for validator in 0..users.validators() {
            let luck = Rng::new(seed ^ validator as u64);
            load.tasks.spawn(Arc::clone(&load).watch(validator, luck));
        }
        load
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    async fn sign_in(self: Arc<Self>, ready: mpsc::Sender<Arc<Life>>) {
        while !self.is_over() {
            let begun = self.begun.fetch_add(1, Ordering::Relaxed);
            if self.stock.is_some_and(|stock| begun >= stock) {
                return;
            }
            let life = self.users.sign_in().await;
            self.watch_also(Arc::clone(&life));
            if ready.send(life).await.is_err() {
                return;
            }
        }
    }

    /// Returns once there is the stock that there is to be.
    pub async fn stocked(&self) {
        let stock = self.stock.unwrap_or(0);
        while !self.is_over() && self.started.load(Ordering::Relaxed) < stock {
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// Puts a session in the place of the oldest.
    fn watch_also(&self, life: Arc<Life>) {
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        if watched.len() < WATCHED {
            watched.push(life);
        } else {
            watched[number % WATCHED] = life;
        }
    }

    async fn revoke(
        self: Arc<Self>,
        waiting: Arc<Mutex<mpsc::Receiver<Arc<Life>>>>,
        duplicate: bool,
    ) {
        self.stocked().await;
        while !self.is_over() {
            let Some(life) = waiting.lock().await.recv().await else {
                return;
            };
            if duplicate {
                self.users.end_at_all(&life).await;
            } else {
                self.users.end(&life).await;
            }
            // The first requests after the 204: everywhere at once, and not waited for, since
            // a validator may be standing still.
            for validator in 0..self.users.validators() {
                let (users, life) = (Arc::clone(&self.users), Arc::clone(&life));
                self.tasks
                    .spawn(async move { users.validate(&life, validator).await });
            }
        }
    }

    async fn watch(self: Arc<Self>, validator: usize, mut luck: Rng) {
        let mut tick = tokio::time::interval(WATCH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.is_over() {
            tick.tick().await;
            let life = {
                let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
                let index = luck.index(watched.len());
                watched.get(index).cloned()
            };
            if let Some(life) = life {
                self.users.validate(&life, validator).await;
            }
        }
    }

    /// Ends nothing more, and returns once everything has been answered. Those that wait to be
    /// ended live on.
    pub async fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Asks every validator about every session that ended, until each says something. Gives how
    /// many have nothing to say although all is well.
    pub async fn sweep(&self) -> usize {
        let lives = self.users.lives();
        let ended = lives.iter().filter(|life| life.took().is_some());
        let questions = ended.flat_map(|life| {
            let validators = 0..self.users.validators();
            validators.map(move |validator| (life, validator))
        });
        let asked = futures::stream::iter(questions).map(async |(life, validator)| {
            let asking = async {
                while self.users.validate(life, validator).await == Said::Nothing {
                    tokio::time::sleep(WATCH_EVERY * 20).await;
                }
            };
            tokio::time::timeout(SETTLED_WITHIN, asking).await.is_err()
        });
        let unsettled = asked.buffer_unordered(SWEEPING);
        unsettled
            .filter(|late| std::future::ready(*late))
            .count()
            .await
    }

    /// Does the same for every session, so many at a time.
    pub async fn each<T>(
        lives: impl IntoIterator<Item = Arc<Life>>,
        at_a_time: usize,
        task: impl AsyncFn(Arc<Life>) -> T,
    ) -> Vec<T> {
        let mut lives = lives.into_iter();
        let mut working = FuturesUnordered::new();
        let mut done = Vec::new();
        loop {
            while working.len() < at_a_time
                && let Some(life) = lives.next()
            {
                working.push(task(life));
            }
            match working.next().await {
                Some(one) => done.push(one),
                None => return done,
            }
        }
    }
}
