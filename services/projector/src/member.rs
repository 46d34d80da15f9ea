//! The group's member: starts a task for each partition it is given, hands it its batches, and waits for it when the
//! partition goes to another member.
//!
//! Promises: what happens in one partition delays no other; a partition is given back only when its task has ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use event_reader::feed::{Claim, Group, GroupEvent, RevokeAck};
use ledger::{Offset, TailError};
use read_models::model::{Fold, Store};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toolkit::retry::Retry;

use crate::partition::{Batch, Context, Task};
use crate::same_log::REMEDY;

/// The member gives a partition its next batch only when it is asked for it; a second place is never used.
const BATCHES: usize = 2;
/// How often it is looked whether the registry is back while products wait for that, at first and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A member of the read model's group.
#[derive(Debug)]
pub(crate) struct Member<M: Fold, S: Store<M>> {
    group: Group,
    context: Arc<Context<M, S>>,
    running: BTreeMap<i32, Running>,
    tasks: JoinSet<()>,
}

/// The task of a partition.
#[derive(Debug)]
struct Running {
    claim: Claim,
    batches: mpsc::Sender<Batch>,
    /// Tells the task to finish its batch and end.
    stop: CancellationToken,
    /// Cancelled when the task has ended, however.
    ended: CancellationToken,
}

impl<M: Fold, S: Store<M>> Member<M, S> {
    pub(crate) fn new(group: Group, context: Context<M, S>) -> Self {
        Self { group, context: Arc::new(context), running: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Runs until `shutdown`, and then until every batch is finished and the group is left.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut leaving = false;
        // Without the store: this task is dropped some time after the member, when that has long to be closed.
        let (decoder, retry) = (Arc::clone(&self.context.decoder), self.registry_retry(&shutdown));
        self.tasks.spawn(async move { decoder.look_for_source(&retry).await });
        loop {
            tokio::select! {
                () = shutdown.cancelled(), if !leaving => {
                    leaving = true;
                    self.context.handle.close()?;
                }
                event = self.group.recv() => match event {
                    Some(event) => self.happened(event)?,
                    None if leaving => return Ok(()),
                    None => bail!("the group's member ended by itself"),
                },
                Some(ended) = self.tasks.join_next() => ended?,
            }
        }
    }

    /// For whoever looks whether the registry is back.
    fn registry_retry(&self, shutdown: &CancellationToken) -> Retry {
        let (health, metrics) = (self.context.registry_health.clone(), self.context.metrics.clone());
        let retry = Retry::until(shutdown.clone()).waiting(LOOK.0, LOOK.1);
        retry.watched(move |outcome| match outcome {
            Ok(()) => health.up(),
            Err(problem) => {
                metrics.retry();
                health.down(problem);
            }
        })
    }

    fn happened(&mut self, event: GroupEvent) -> anyhow::Result<()> {
        match event {
            GroupEvent::Assigned { claim, position } => self.start(claim, position),
            GroupEvent::Batch { claim, records, position } => {
                if let Some(running) = self.running.get(&claim.partition.0).filter(|r| r.claim == claim) {
                    // A task that has stopped takes no more.
                    drop(running.batches.try_send(Batch { records, position }));
                }
            }
            GroupEvent::Revoked { claims, lost, ack } => self.revoked(&claims, lost, ack),
            GroupEvent::Failed { claim, error } => self.failed(claim, &error),
            GroupEvent::Stopped { reason } => bail!("the group's member stopped: {reason}"),
        }
        Ok(())
    }

    fn start(&mut self, claim: Claim, position: Offset) {
        let (sender, batches) = mpsc::channel(BATCHES);
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let task = Task::new(Arc::clone(&self.context), claim, stop.clone());
        let guard = ended.clone().drop_guard();
        self.tasks.spawn(async move {
            task.run(position, batches).await;
            drop(guard);
        });
        self.running.insert(claim.partition.0, Running { claim, batches: sender, stop, ended });
    }

    fn revoked(&mut self, claims: &[Claim], lost: bool, ack: RevokeAck) {
        let partitions: Vec<i32> = claims.iter().map(|claim| claim.partition.0).collect();
        tracing::info!(
            group = self.context.group,
            ?partitions,
            lost,
            "partitions go to another member, or the group is left"
        );
        let mut endings = Vec::new();
        for partition in partitions {
            if let Some(running) = self.running.remove(&partition) {
                running.stop.cancel();
                endings.push(running.ended);
            }
            self.context.progress.given_back(partition);
            self.context.refusals.forget(partition);
        }
        self.tasks.spawn(async move {
            for ended in endings {
                ended.cancelled().await;
            }
            ack.settled();
        });
    }

    /// The partition cannot be read on: what it holds is not what its position says.
    fn failed(&mut self, claim: Claim, error: &TailError) {
        let partition = claim.partition.0;
        if let Some(running) = self.running.get(&partition).filter(|r| r.claim == claim) {
            running.stop.cancel();
        }
        let reason = format!(
            "its records cannot be read on: {error:?}: the topic was made anew or lost records, or its brokers are broken; {REMEDY}"
        );
        tracing::error!(
            group = self.context.group,
            "kafka.partition" = partition,
            "partition {partition} stopped: {reason}"
        );
        self.context.progress.stopped(partition, reason);
    }
}

#[cfg(test)]
mod tests;
