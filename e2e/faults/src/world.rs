//! The product as it is broken: two APIs, three validators, two reapers over servers of their own,
//! each link through a proxy.

use std::net::SocketAddr;

use session_testkit::deployment::{Deployment, Program, Role};
use session_testkit::proxy::Proxy;
use session_testkit::servers::{Nats, Postgres, Redis};

use crate::clock::Skew;

/// How many APIs there are.
pub const APIS: usize = 2;

/// How many validators there are.
pub const VALIDATORS: usize = 3;

/// How many reapers there are.
const REAPERS: usize = 2;

/// What a fault wants the world to be like.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what there is in a world, each there or not"
)]
pub struct Shape {
    /// How long leases are (L), in seconds. Most faults take a short one, so that outliving it
    /// doesn't take long; nothing else depends on it.
    pub lease_seconds: u64,
    /// Whether links go through proxies.
    pub links: bool,
    /// Whether there is Redis.
    pub redis: bool,
    /// Whether commits wait for the disk.
    pub durable: bool,
    /// Whether the processes' wall clocks can be set.
    pub clocks: bool,
    /// Whether every end is asked for at all APIs at once.
    pub duplicate: bool,
    /// How many sessions are being ended at a time; none where the fault does it itself.
    pub revokers: usize,
    /// How many sessions per trial are started before anything ends, and none afterwards: where ends
    /// are to have the machine to themselves. None where sessions start all the time.
    pub stock: usize,
    /// What processes are told besides.
    pub settings: &'static [(&'static str, &'static str)],
}

impl Shape {
    /// What most faults want.
    pub const USUAL: Self = Self {
        lease_seconds: 1,
        links: true,
        redis: false,
        durable: false,
        clocks: false,
        duplicate: false,
        revokers: 48,
        stock: 0,
        settings: &[],
    };
}

/// A process and its links.
#[derive(Debug)]
pub struct Node {
    /// The process.
    pub program: Program,
    /// Its link to NATS, where links go through proxies.
    pub nats: Option<Proxy>,
    /// Its link to PostgreSQL, where it has one and links go through proxies.
    pub database: Option<Proxy>,
    /// How far its wall clock is off, where it can be set.
    pub skew: Option<Skew>,
}

impl Node {
    /// Its link to NATS.
    ///
    /// # Panics
    /// Where links don't go through proxies.
    pub fn nats(&self) -> &Proxy {
        self.nats.as_ref().expect("a world with links")
    }

    /// Its link to PostgreSQL.
    ///
    /// # Panics
    /// Where links don't go through proxies, and of validators.
    pub fn database(&self) -> &Proxy {
        self.database.as_ref().expect("a world with links")
    }
}

/// All of it. Processes go before their links, and those before the servers.
#[derive(Debug)]
pub struct World {
    /// Those that end sessions.
    pub apis: Vec<Node>,
    /// Those that are asked.
    pub validators: Vec<Node>,
    /// Those that end what is overdue.
    pub reapers: Vec<Node>,
    /// The servers.
    pub deployment: Deployment,
    shape: Shape,
    seed: u64,
}

impl World {
    /// Starts it, and returns once all of it is ready.
    pub fn start(shape: Shape, seed: u64) -> Self {
        let postgres = if shape.durable {
            Postgres::durable()
        } else {
            Postgres::start()
        };
        let redis = shape.redis.then(Redis::start);
        let mut world = Self {
            apis: Vec::new(),
            validators: Vec::new(),
            reapers: Vec::new(),
            deployment: Deployment::over(postgres, Nats::start(), redis),
            shape,
            seed,
        };
        // The first makes the keys that the others find.
        let first = world.node(Role::Api, 0);
        first.program.eventually_ready();
        let roles = [
            (Role::Api, 1..APIS),
            (Role::Validator, 0..VALIDATORS),
            (Role::Reaper, 0..REAPERS),
        ];
        let started = std::thread::scope(|scope| {
            let world = &world;
            roles.map(|(role, numbers)| {
                let starting: Vec<_> = numbers
                    .map(|number| scope.spawn(move || world.node(role, number)))
                    .collect();
                starting
                    .into_iter()
                    .map(|thread| thread.join().expect("it starts"))
                    .collect::<Vec<_>>()
            })
        });
        let [apis, validators, reapers] = started;
        world.apis = std::iter::once(first).chain(apis).collect();
        (world.validators, world.reapers) = (validators, reapers);
        world.eventually_ready();
        world
    }

    /// One process, told where its end of each link is.
    fn node(&self, role: Role, number: usize) -> Node {
        let luck = self.seed ^ (role as u64) << 8 ^ number as u64;
        let deployment = &self.deployment;
        let nats = self
            .shape
            .links
            .then(|| Proxy::of_nats(deployment.nats.address(), luck));
        let has_database = self.shape.links && role != Role::Validator;
        let database = has_database.then(|| Proxy::of(deployment.postgres.address()));
        let skew = self
            .shape
            .clocks
            .then(|| Skew::new(deployment.folder(), role, number));
        let lease = format!("{}s", self.shape.lease_seconds);
        let mut settings = vec![
            ("SESSION_LEASE", lease),
            ("SESSION_LOG__LEVEL", "warn,session_runtime=info,session_api=info,session_validator=info,session_reaper=info".to_owned()),
        ];
        let of = |proxy: &Proxy, scheme: &str, path: &str| -> String {
            let address: SocketAddr = proxy.address();
            format!("{scheme}{address}{path}")
        };
        if let Some(nats) = &nats {
            settings.push(("SESSION_NATS__URL", of(nats, "nats://", "")));
        }
        if let Some(database) = &database {
            let url = of(database, "postgres://postgres@", "/postgres");
            settings.push(("SESSION_DATABASE__URL", url));
        }
        for (name, value) in skew.iter().flat_map(Skew::settings) {
            settings.push((name, value));
        }
        let fixed = self.shape.settings.iter().copied();
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain(fixed)
            .collect();
        Node {
            program: deployment.start_with(role, &settings),
            nats,
            database,
            skew,
        }
    }

    /// Returns once everybody is ready.
    pub fn eventually_ready(&self) {
        for node in self.nodes() {
            node.program.eventually_ready();
        }
    }

    /// Everybody.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.apis
            .iter()
            .chain(&self.validators)
            .chain(&self.reapers)
    }

    /// Everybody, to be hurt.
    pub fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        let others = self.validators.iter_mut().chain(&mut self.reapers);
        self.apis.iter_mut().chain(others)
    }

    /// What it is like.
    pub const fn shape(&self) -> Shape {
        self.shape
    }
}
