//! How far each partition is, for readiness and metrics. Promises that the service is ready only while every partition
//! has caught up with the log's end as it was asked for at the start (or after a rebuild), and that it says which has not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ledger::{Offset, Partition, Sequencer};
use toolkit::lifecycle::Dependency;

use super::command::Ticket;
use crate::catalog::Catalog;

/// What the partitions' owners write and others read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PartitionStatus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    events: Dependency,
    behind: Mutex<Behind>,
    partitions: OnceLock<Box<[Place]>>,
}

#[derive(Debug, Default)]
struct Behind {
    /// By partition, what it waits for.
    partitions: BTreeMap<i32, String>,
    /// Why none will ever be ready.
    stopped: Option<String>,
}

#[derive(Debug, Default)]
struct Place {
    next: AtomicI64,
    waiting: AtomicU64,
    hot: AtomicU64,
    hot_bytes: AtomicU64,
    withheld: AtomicU64,
}

impl PartitionStatus {
    pub(super) fn new(events: Dependency) -> Self {
        let shared = Shared { events, behind: Mutex::default(), partitions: OnceLock::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Nobody is ready before every partition has said so.
    pub(super) fn open(&self, partitions: i32) {
        self.shared.partitions.get_or_init(|| (0..partitions).map(|_| Place::default()).collect());
        self.change(|behind| {
            for partition in 0..partitions {
                behind.insert(partition, "asking where its end is".to_owned());
            }
        });
    }

    pub(super) fn behind(&self, partition: Partition, waits_for: String) {
        self.change(|behind| {
            behind.insert(partition.0, waits_for);
        });
    }

    pub(super) fn caught_up(&self, partition: Partition) {
        self.change(|behind| {
            behind.remove(&partition.0);
        });
    }

    /// No partition is ready from now on.
    pub(super) fn stop(&self, reason: &str) {
        let mut behind = self.shared.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.stopped.get_or_insert_with(|| reason.to_owned());
        self.shared.events.down(reason);
    }

    pub(super) fn at(&self, sequencer: &Sequencer<Catalog, Ticket>) {
        let partition = sequencer.partition();
        let place = self.shared.partitions.get().and_then(|places| places.get(partition.0 as usize));
        if let Some(place) = place {
            place.next.store(sequencer.next(), Ordering::Relaxed);
            let store = |to: &AtomicU64, count: usize| to.store(count as u64, Ordering::Relaxed);
            store(&place.waiting, sequencer.waiting());
            store(&place.hot, sequencer.hot());
            store(&place.hot_bytes, sequencer.hot_bytes());
            store(&place.withheld, sequencer.withheld_products());
        }
    }

    /// The first offset not applied, by partition.
    pub fn next_offsets(&self) -> Vec<(i32, Offset)> {
        let places = self.shared.partitions.get().map_or(&[][..], |places| places);
        (0..).zip(places).map(|(partition, place)| (partition, place.next.load(Ordering::Relaxed))).collect()
    }

    /// Commands waiting in the sequencers.
    pub fn waiting(&self) -> u64 {
        self.sum(|place| &place.waiting)
    }

    /// Products in memory.
    pub fn hot(&self) -> u64 {
        self.sum(|place| &place.hot)
    }

    /// About how many bytes they take; counted only where others lie in a cache.
    pub fn hot_bytes(&self) -> u64 {
        self.sum(|place| &place.hot_bytes)
    }

    /// Products that wait for a schema.
    pub fn withheld(&self) -> u64 {
        self.sum(|place| &place.withheld)
    }

    fn sum(&self, of: impl Fn(&Place) -> &AtomicU64) -> u64 {
        let places = self.shared.partitions.get().map_or(&[][..], |places| places);
        places.iter().map(|place| of(place).load(Ordering::Relaxed)).sum()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<i32, String>)) {
        let mut behind = self.shared.behind.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut behind.partitions);
        if behind.stopped.is_some() {
            return;
        }
        let behind = &behind.partitions;
        match behind.first_key_value() {
            None => self.shared.events.up(),
            Some((partition, waits_for)) => {
                let others = match behind.len() {
                    1 => String::new(),
                    n => format!(" (and {} other partitions)", n - 1),
                };
                self.shared.events.down(format!("partition {partition} is {waits_for}{others}"));
            }
        }
    }
}
