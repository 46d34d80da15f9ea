//! What the writers of one history know together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Attempt, Told};

/// A product remembers its last 64 commands, and an older retry is a new command. So nobody starts another command on a
/// product that came this many versions further while an earlier command is still open; with up to 30 writers, that each
/// may have started one, 64 is never reached.
const OPEN_FOR: u64 = 32;
/// How long a request that was given up may still do something: a frozen instance may read it much later, and then has
/// ten seconds.
const LINGERS: Duration = Duration::from_secs(30);

/// What writers do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Products. The first `hot` get `hot_share` of the commands; the last `unknown` are never created, and every answer
    /// about them says so.
    pub products: usize,
    pub hot: usize,
    pub hot_share: f64,
    pub unknown: usize,
    /// The share of requests whose client gives up after two seconds.
    pub impatient: f64,
    /// The share of accepted commands that are given once more.
    pub repeated: f64,
    /// Pause after each command.
    pub pause: Duration,
}

/// What all writers of one history know together.
#[derive(Debug)]
pub struct Catalog {
    start: Instant,
    pub(super) load: Load,
    pub(super) products: Vec<Product>,
    /// By instance and partition: when the latest accepted request was sent.
    accepted: Vec<Mutex<BTreeMap<i32, Duration>>>,
    answered: AtomicU64,
    stopped: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Product {
    pub(super) id: String,
    /// The highest version anyone was told.
    pub(super) version: AtomicU64,
    /// Requests that may still do something, by when they are forgotten, each with the version at its command's start.
    open: Mutex<Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    command: u64,
    version: u64,
    /// None: until the command is answered.
    until: Option<Instant>,
}

impl Catalog {
    /// For writers to `instances` instances.
    pub fn new(load: Load, instances: usize) -> Self {
        let product = |number| Product {
            id: format!("p-{number}"),
            version: AtomicU64::new(0),
            open: Mutex::default(),
        };
        Self {
            start: Instant::now(),
            load,
            products: (0..load.products).map(product).collect(),
            accepted: (0..instances).map(|_| Mutex::default()).collect(),
            answered: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// The time of the history.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// No new commands from now on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Commands that were answered for good, so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// The partitions for which `instance` accepted a command that was sent to it at `from` or later.
    pub fn accepted_since(&self, instance: usize, from: Duration) -> Vec<i32> {
        let accepted = lock(&self.accepted[instance]);
        accepted.iter().filter(|(_, sent)| **sent >= from).map(|(partition, _)| *partition).collect()
    }

    pub(super) fn told(&self, product: &Product, attempt: &Attempt) {
        if let Some(version) = attempt.told.version() {
            product.version.fetch_max(version, Ordering::SeqCst);
        }
        // A replay shows only that the instance reads.
        if let Told::Accepted { partition, replayed: false, .. } = attempt.told {
            let mut accepted = lock(&self.accepted[attempt.instance]);
            let latest = accepted.entry(partition).or_default();
            *latest = attempt.sent.max(*latest);
        }
    }

    pub(super) fn is_answered(&self) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }
}

impl Product {
    /// Whether another command may be started: see [`OPEN_FOR`].
    pub(super) fn may_go_on(&self) -> bool {
        let now = Instant::now();
        let version = self.version.load(Ordering::SeqCst);
        let mut open = lock(&self.open);
        open.retain(|it| it.until.is_none_or(|until| until > now));
        open.iter().all(|it| version.saturating_sub(it.version) < OPEN_FOR)
    }

    /// A command begins.
    pub(super) fn open(&self, command: u64) {
        let version = self.version.load(Ordering::SeqCst);
        lock(&self.open).push(Open { command, version, until: None });
    }

    /// The command was given up once: even when it is answered elsewhere, that request may still come through.
    pub(super) fn lingers(&self, command: u64) {
        let mut open = lock(&self.open);
        let version = open.iter().find(|it| it.command == command).map_or(0, |it| it.version);
        open.push(Open { command, version, until: Some(Instant::now() + LINGERS) });
    }

    /// The command is answered.
    pub(super) fn close(&self, command: u64) {
        lock(&self.open).retain(|it| it.command != command || it.until.is_some());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
