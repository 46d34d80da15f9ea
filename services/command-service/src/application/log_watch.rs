//! Looks at the log's first records: when it is opened, and again and again, for a topic that is made anew while nothing is
//! appended tells nobody.
//!
//! Promise: within about [`EVERY`] of a topic that was replaced nothing is decided any more; what is known of the log is
//! remembered beside the cache.

use std::collections::BTreeMap;
use std::time::Duration;

use event_reader::{LogLooks, LogNow, OtherLog};
use futures::future::join_all;
use ledger::{LogId, Partition};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toolkit::retry::{GaveUp, Retry};

use super::log_file::LogFile;
use crate::engine::Engine;

/// How often a partition is looked at, one after another: a topic is made anew as a whole.
const EVERY: Duration = Duration::from_secs(1);

/// A partition that cannot be looked at for so long keeps no other from being served: it has no leader, or its beginning was removed.
const MAX_LOOK: Duration = Duration::from_secs(15);

/// What every partition is that can be looked at; `None`: told to stop.
pub(super) async fn look_at_all(
    looks: &LogLooks,
    partitions: i32,
    retry: &Retry,
) -> Option<BTreeMap<i32, LogNow>> {
    let look = |partition| async move {
        let look = retry.run("read the first record of a partition", || looks.at(Partition(partition)));
        (partition, timeout(MAX_LOOK, look).await)
    };
    let mut all = BTreeMap::new();
    for (partition, looked) in join_all((0..partitions).map(look)).await {
        match looked {
            Ok(Ok(now)) => drop(all.insert(partition, now)),
            Ok(Err(GaveUp::Cancelled { .. })) => return None,
            Ok(Err(GaveUp::Final(error))) => warn(partition, &error.to_string()),
            Err(_) => warn(partition, "it took too long"),
        }
    }
    Some(all)
}

fn warn(partition: i32, problem: &str) {
    tracing::warn!(
        "kafka.partition" = partition,
        problem,
        "the first record of a partition cannot be read: it is looked at again while the others are served"
    );
}

/// The logs that are known, by partition: what was seen, and else what is remembered.
pub(super) fn known(now: &BTreeMap<i32, LogNow>, file: Option<&LogFile>) -> BTreeMap<i32, LogId> {
    let mut known = file.map(LogFile::remembers).unwrap_or_default();
    known.retain(|partition, _| !now.contains_key(partition));
    known.extend(now.iter().filter_map(|(partition, it)| Some((*partition, it.log?))));
    known
}

/// Looks until `stop`.
pub(super) async fn watch(
    looks: LogLooks,
    engine: Engine,
    mut file: Option<LogFile>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut last = -1;
    loop {
        if let Some(remembers) = file.take().filter(|_| engine.served_log().replaced().is_none()) {
            file = Some(remember(remembers, engine.served_log().all()).await?);
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return Ok(()),
        }
        let begun: Vec<_> = engine.next_offsets().into_iter().filter(|(_, next)| *next > 0).collect();
        let next = begun.iter().find(|(partition, _)| *partition > last).or(begun.first());
        let Some(&(partition, at)) = next else { continue };
        last = partition;
        let partition = Partition(partition);
        let served = engine.served_log();
        match looks.look(partition, served.of(partition), at).await {
            Ok(Ok(LogNow { log: Some(log), .. })) => served.shows(partition, log, at),
            // A log that lost its end is the same one: its tail is told, and the state is built again.
            Ok(Ok(LogNow { log: None, .. }) | Err(OtherLog::Short { .. })) => {}
            Ok(Err(other)) => served.replaced_by(partition, other),
            // Readiness names the log.
            Err(error) => tracing::debug!(%error, "cannot look whether the log is the one it was"),
        }
    }
}

async fn remember(mut file: LogFile, logs: BTreeMap<i32, LogId>) -> anyhow::Result<LogFile> {
    let written = tokio::task::spawn_blocking(move || {
        let outcome = file.remember(logs);
        (file, outcome)
    });
    let (file, outcome) = written.await?;
    if let Err(error) = outcome {
        tracing::warn!(%error, "it cannot be remembered which log is served");
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use ledger_sim::Faults;

    use super::*;
    use crate::door::Caller;
    use crate::engine::Transport;
    use crate::testing::{LiveTopic, World, create, eventually};

    async fn world() -> World {
        let world = World::start().await;
        let created = world.door.submit(create("p1"), &Caller::default(), Transport::Local).unwrap();
        created.outcome().await.unwrap();
        world
    }

    #[tokio::test]
    async fn a_log_that_is_replaced_is_noticed_though_nothing_happens_in_it() {
        let world = world().await;
        let (stop, other) = (CancellationToken::new(), LiveTopic::new(4, Faults::NONE));
        tokio::spawn(watch(other.looks(), world.engine.clone(), None, stop.clone()));
        eventually("it is noticed", || world.engine.served_log().replaced().is_some()).await;
        assert!(!world.lifecycle.readiness().is_ready());
        stop.cancel();
    }

    #[tokio::test]
    async fn the_log_that_is_served_is_remembered_and_stays_served() {
        let world = world().await;
        let dir = tempfile::TempDir::new().unwrap();
        let stop = CancellationToken::new();
        let file = LogFile::read(dir.path(), "simulated");
        tokio::spawn(watch(world.live.looks(), world.engine.clone(), Some(file), stop.clone()));
        let looks = world.live.looks();
        let now = look_at_all(&looks, 4, &Retry::until(stop.clone())).await.unwrap();
        assert_eq!(known(&now, None), world.engine.served_log().all());
        let other = LiveTopic::new(4, Faults::NONE).looks();
        let other = look_at_all(&other, 4, &Retry::until(stop.clone())).await.unwrap();
        let refuses = || LogFile::read(dir.path(), "simulated").check(&other, 4).is_err();
        eventually("it is remembered", refuses).await;
        LogFile::read(dir.path(), "simulated").check(&now, 4).unwrap();
        assert_eq!(world.engine.served_log().replaced(), None);
        stop.cancel();
    }
}
