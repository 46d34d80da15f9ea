//! Watches over what no batch tells: the lag, partitions that stopped, whether the store is there while nothing comes, and
//! whether it still knows what it acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use event_reader::feed::GroupHandle;
use read_models::model::Positions;
use read_models::{Error, Generation, LogId};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::Dependency;

use crate::durability::Durability;
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
    /// Those whose last request to a server failed, and to which, whether they have come anywhere yet or not.
    retrying: Arc<Mutex<BTreeSet<(i32, Server)>>>,
}

/// What a partition may have to try again at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    Store,
    Registry,
    Letters,
}

#[derive(Clone, Debug)]
struct Reached {
    position: i64,
    /// The log that it is a position in.
    log: Option<LogId>,
    /// Why it stopped, if it did.
    stopped: Option<String>,
    /// Products and records of it that are parked.
    parked: (usize, usize),
}

/// How far a partition is in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InLog {
    pub(crate) partition: i32,
    pub(crate) log: LogId,
    pub(crate) at: i64,
}

impl Progress {
    /// Everything of the partition below `position` is applied and written.
    pub(crate) fn reached(&self, partition: i32, position: i64, log: Option<LogId>) {
        self.change(|all| {
            let parked = all.get(&partition).map(|reached| reached.parked).unwrap_or_default();
            all.insert(partition, Reached { position, log, stopped: None, parked });
        });
    }

    /// A request to a server, for the partition, has failed and is tried again; or it has not.
    pub(crate) fn retries(&self, partition: i32, at: Server, is: bool) {
        self.change_retrying(
            |all| if is { all.insert((partition, at)) } else { all.remove(&(partition, at)) },
        );
    }

    /// How many partitions try something again.
    fn retrying(&self) -> usize {
        self.change_retrying(|all| all.iter().map(|(partition, _)| *partition).collect::<BTreeSet<_>>().len())
    }

    /// Whether one tries again at this server.
    fn is_retrying_at(&self, server: Server) -> bool {
        self.change_retrying(|all| all.iter().any(|(_, at)| *at == server))
    }

    /// Nobody works on the partition any more, or nobody can.
    pub(crate) fn retries_nothing(&self, partition: i32) {
        self.change_retrying(|all| all.retain(|(of, _)| *of != partition));
    }

    fn change_retrying<T>(&self, change: impl FnOnce(&mut BTreeSet<(i32, Server)>) -> T) -> T {
        change(&mut self.retrying.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Of each partition whose log is known, how far it is in it.
    pub(crate) fn logs(&self) -> Vec<InLog> {
        let in_log = |(partition, it): (&i32, &Reached)| {
            Some(InLog { partition: *partition, log: it.log?, at: it.position })
        };
        self.change(|all| all.iter().filter_map(in_log).collect())
    }

    pub(crate) fn stopped(&self, partition: i32, reason: String) {
        self.retries_nothing(partition);
        self.change(|all| {
            let unknown = Reached { position: 0, log: None, stopped: None, parked: (0, 0) };
            all.entry(partition).or_insert(unknown).stopped = Some(reason);
        });
    }

    /// So many products and records of the partition are parked.
    pub(crate) fn parked(&self, partition: i32, products: usize, records: usize) {
        self.change(|all| {
            if let Some(reached) = all.get_mut(&partition) {
                reached.parked = (products, records);
            }
        });
    }

    /// The store says less.
    fn lost(&self, partition: i32, position: i64) {
        self.change(|all| {
            if let Some(reached) = all.get_mut(&partition) {
                reached.position = reached.position.min(position);
            }
        });
    }

    /// Whether this member has the partition.
    pub(crate) fn holds(&self, partition: i32) -> bool {
        self.change(|all| all.contains_key(&partition))
    }

    pub(crate) fn given_back(&self, partition: i32) {
        self.retries_nothing(partition);
        self.change(|all| {
            all.remove(&partition);
        });
    }

    /// Why it has stopped, if it has.
    #[cfg(test)]
    pub(crate) fn stopped_because(&self, partition: i32) -> Option<String> {
        self.change(|all| all.get(&partition)?.stopped.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<i32, Reached>) -> T) -> T {
        change(&mut self.partitions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn snapshot(&self) -> BTreeMap<i32, Reached> {
        self.change(|all| all.clone())
    }
}

/// What is watched, and who is told.
#[derive(Debug)]
pub(crate) struct Watch<P> {
    pub(crate) positions: P,
    pub(crate) group: String,
    pub(crate) generation: Generation,
    /// Whether the build is the one that is read: the others' lag is told apart.
    pub(crate) is_read: Arc<AtomicBool>,
    pub(crate) handle: GroupHandle,
    pub(crate) progress: Progress,
    pub(crate) durability: Arc<Durability>,
    pub(crate) metrics: Metrics,
    pub(crate) store_health: Dependency,
    /// Told again when the build comes to be read: nobody else asks often.
    pub(crate) registry_health: Dependency,
    pub(crate) letters_health: Dependency,
    /// Down while a partition is stopped.
    pub(crate) partitions: Dependency,
}

impl<P: Positions> Watch<P> {
    /// Runs until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut told, mut was_read) = (BTreeSet::new(), self.is_read.load(Ordering::Acquire));
        let mut still = Still::default();
        for tick in 0_u64.. {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => break,
            }
            // Before the look: what is stored later is no less.
            let held = self.progress.snapshot();
            match self.look(&held).await {
                // It may answer, and take nothing: whoever tries to write says when it does.
                Ok(()) if self.progress.is_retrying_at(Server::Store) => {}
                Ok(()) => self.store_health.up(),
                Err(error) => self.store_health.down(error.to_string()),
            }
            self.report_stopped(&held);
            if tick % REMINDER_TICKS == REMINDER_TICKS - 1 {
                remind(&self.group, &held);
            }
            let is_read = self.is_read.load(Ordering::Acquire);
            if is_read != std::mem::replace(&mut was_read, is_read) {
                if is_read {
                    self.registry_health.again();
                    self.letters_health.again();
                }
                self.metrics.build_stopped(self.generation, 0);
                // It is told as another's from now on.
                for partition in std::mem::take(&mut told) {
                    self.lag(!is_read, partition, 0);
                }
            }
            if tick % LAG_TICKS == 0 {
                self.report_lag(&held, &mut told, &mut still, is_read).await;
            }
            if is_read {
                self.metrics.retrying(self.progress.retrying());
                self.metrics.stalled(still.longest(Instant::now()));
            }
        }
        for partition in told {
            self.lag(was_read, partition, 0);
        }
        self.metrics.build_stopped(self.generation, 0);
        Ok(())
    }

    fn lag(&self, is_read: bool, partition: i32, records: u64) {
        if is_read {
            self.metrics.lag(partition, records);
        } else {
            self.metrics.build_lag(self.generation, partition, records);
        }
    }

    async fn report_lag(
        &self,
        held: &BTreeMap<i32, Reached>,
        told: &mut BTreeSet<i32>,
        still: &mut Still,
        is_read: bool,
    ) {
        for partition in no_longer_held(held, told) {
            self.lag(is_read, partition, 0);
        }
        still.keep(told);
        for (partition, reached) in held {
            match self.handle.end_offsets().of(ledger::Partition(*partition)).await {
                Ok(end) => {
                    still.at(*partition, reached.position, end, Instant::now());
                    self.lag(is_read, *partition, (end - reached.position).max(0) as u64);
                }
                // Readiness names Kafka already.
                Err(error) => return tracing::debug!(%error, "cannot tell the lag"),
            }
        }
    }

    /// Asks the store whether it was started anew, and for the positions: one that is lower than what it acknowledged was lost,
    /// as when a table is dropped and made again.
    async fn look(&self, held: &BTreeMap<i32, Reached>) -> Result<(), Error> {
        self.durability.look(&self.positions).await?;
        for (partition, reached) in held.iter().filter(|(_, reached)| reached.stopped.is_none()) {
            let stored = self.positions.read(&self.group, *partition).await?.unwrap_or_default();
            if stored.applied < reached.position {
                let (there, position) = (stored.applied, reached.position);
                let reason = format!("partition {partition} was at {position}, and the store says {there}");
                self.durability.take_over(&reason);
                // Once is enough: a task that is busy takes over when it is done.
                self.progress.lost(*partition, there);
            }
        }
        Ok(())
    }

    fn report_stopped(&self, held: &BTreeMap<i32, Reached>) {
        let stopped: Vec<(&i32, &String)> =
            held.iter().filter_map(|(partition, it)| Some((partition, it.stopped.as_ref()?))).collect();
        if self.is_read.load(Ordering::Acquire) {
            self.metrics.stopped(stopped.len());
        } else {
            self.metrics.build_stopped(self.generation, stopped.len());
        }
        let (products, records) =
            held.values().fold((0, 0), |sum, it| (sum.0 + it.parked.0, sum.1 + it.parked.1));
        if self.is_read.load(Ordering::Acquire) {
            self.metrics.are_parked(products, records);
        }
        match stopped.first() {
            None if products > 0 => self.partitions.up_though(format!(
                "{products} products are parked, with {records} records: `folio dlq list` shows them"
            )),
            None => self.partitions.up(),
            Some((partition, reason)) => self.partitions.down(format!(
                "{} of {} partitions stopped; partition {partition}: {reason}",
                stopped.len(),
                held.len()
            )),
        }
    }
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

/// The partitions whose lag was told and that another member has now: a gauge would keep their last lag for ever, and whoever
/// adds up the members' would count it. From now on those that are `held` count as told.
fn no_longer_held(held: &BTreeMap<i32, Reached>, told: &mut BTreeSet<i32>) -> Vec<i32> {
    let held: BTreeSet<i32> = held.keys().copied().collect();
    let gone = told.difference(&held).copied().collect();
    *told = held;
    gone
}

/// Where partitions stand that have records to apply, and since when.
#[derive(Debug, Default)]
struct Still(BTreeMap<i32, (i64, Instant)>);

impl Still {
    fn at(&mut self, partition: i32, position: i64, end: i64, now: Instant) {
        if position >= end {
            self.0.remove(&partition);
        } else if self.0.get(&partition).is_none_or(|(before, _)| *before != position) {
            self.0.insert(partition, (position, now));
        }
    }

    /// Those that are held: of others nothing is known.
    fn keep(&mut self, held: &BTreeSet<i32>) {
        self.0.retain(|partition, _| held.contains(partition));
    }

    fn longest(&self, now: Instant) -> Duration {
        let since = self.0.values().map(|(_, since)| *since).min();
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_stands_still_while_it_does_not_move_and_has_something_to_apply() {
        let (mut still, start) = (Still::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        still.at(0, 5, 5, start);
        assert_eq!(still.longest(after(9)), Duration::ZERO, "there is nothing to apply");
        still.at(0, 5, 7, start);
        still.at(1, 3, 4, after(2));
        still.at(0, 5, 8, after(3));
        assert_eq!(still.longest(after(9)), Duration::from_secs(9));
        still.at(0, 6, 8, after(4));
        assert_eq!(still.longest(after(9)), Duration::from_secs(7), "the other one, from now on");
        still.keep(&BTreeSet::from([0]));
        assert_eq!(still.longest(after(9)), Duration::from_secs(5));
        still.at(0, 8, 8, after(5));
        assert_eq!(still.longest(after(9)), Duration::ZERO);
    }

    #[test]
    fn partitions_that_try_again_are_counted_until_they_succeed_stop_or_go() {
        let progress = Progress::default();
        for partition in 0..4 {
            progress.retries(partition, Server::Store, true);
            progress.retries(partition, Server::Registry, true);
        }
        progress.retries(0, Server::Store, false);
        progress.retries(0, Server::Registry, false);
        progress.retries(3, Server::Store, false);
        progress.stopped(1, "a reason".to_owned());
        progress.given_back(2);
        assert_eq!(progress.retrying(), 1);
        assert!(progress.is_retrying_at(Server::Registry) && !progress.is_retrying_at(Server::Store));
    }

    #[test]
    fn the_lag_of_a_partition_that_went_to_another_member_is_told_as_none_once() {
        let progress = Progress::default();
        let mut told = BTreeSet::new();
        progress.reached(1, 10, None);
        progress.reached(2, 10, None);
        assert!(no_longer_held(&progress.snapshot(), &mut told).is_empty());
        progress.given_back(1);
        assert_eq!(no_longer_held(&progress.snapshot(), &mut told), [1]);
        assert!(no_longer_held(&progress.snapshot(), &mut told).is_empty());
        progress.reached(1, 12, None);
        assert!(no_longer_held(&progress.snapshot(), &mut told).is_empty());
    }
}
