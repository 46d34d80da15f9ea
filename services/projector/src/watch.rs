//! Watches over what no batch tells: the lag, partitions that stopped, and whether the store is there while nothing comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use read_models::model::{ReadModel, Store};
use tokio_util::sync::CancellationToken;
use toolkit::kafka::GroupHandle;
use toolkit::lifecycle::Dependency;

use crate::metrics::Metrics;

const TICK: Duration = Duration::from_secs(1);
/// The ends are asked for every so many ticks,
const LAG_TICKS: u64 = 3;
/// and stopped partitions are reminded of every so many.
const REMINDER_TICKS: u64 = 60;

/// How far this member has come with the partitions it holds. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    partitions: Arc<Mutex<BTreeMap<i32, Reached>>>,
}

#[derive(Clone, Debug)]
struct Reached {
    position: i64,
    /// Why it stopped, if it did.
    stopped: Option<String>,
}

impl Progress {
    /// Everything of the partition below `position` is applied and written.
    pub(crate) fn reached(&self, partition: i32, position: i64) {
        self.change(|all| {
            all.insert(partition, Reached { position, stopped: None });
        });
    }

    pub(crate) fn stopped(&self, partition: i32, reason: String) {
        self.change(|all| {
            let position = all.get(&partition).map_or(0, |reached| reached.position);
            all.insert(partition, Reached { position, stopped: Some(reason) });
        });
    }

    pub(crate) fn given_back(&self, partition: i32) {
        self.change(|all| {
            all.remove(&partition);
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<i32, Reached>) -> T) -> T {
        change(&mut self.partitions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn snapshot(&self) -> BTreeMap<i32, Reached> {
        self.change(|all| all.clone())
    }
}

/// Runs until `shutdown`.
pub(crate) async fn watch<M: ReadModel, S: Store<M>>(
    store: S,
    group: String,
    handle: GroupHandle,
    progress: Progress,
    metrics: Metrics,
    health: Dependency,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => break,
        }
        match store.position(&group, 0).await {
            Ok(_) => health.up(),
            Err(error) => health.down(error.to_string()),
        }
        let held = progress.snapshot();
        metrics.stopped(held.values().filter(|reached| reached.stopped.is_some()).count());
        if tick % REMINDER_TICKS == REMINDER_TICKS - 1 {
            remind(&group, &held);
        }
        if tick % LAG_TICKS == 0 {
            tell_lag(&handle, &held, &metrics).await;
        }
    }
    Ok(())
}

fn remind(group: &str, held: &BTreeMap<i32, Reached>) {
    for (partition, reached) in held {
        if let Some(reason) = &reached.stopped {
            tracing::error!(
                group,
                "kafka.partition" = partition,
                "partition {partition} is still stopped: {reason}"
            );
        }
    }
}

async fn tell_lag(handle: &GroupHandle, held: &BTreeMap<i32, Reached>, metrics: &Metrics) {
    for (partition, reached) in held {
        match handle.end_offsets().of(ledger::Partition(*partition)).await {
            Ok(end) => metrics.lag(*partition, (end - reached.position).max(0) as u64),
            // Readiness names Kafka already.
            Err(error) => return tracing::debug!(%error, "cannot tell the lag"),
        }
    }
}
