//! The engine: threads that own the sequencers of the partitions, and their inboxes.
//!
//! Promises: [`Engine::submit`] never waits; every command gets one answer within its deadline; a full engine says so at
//! once; a command crosses two threads (the engine's, and back). Partitions are dealt to the threads in turn.
//!
//! Files use each other in one direction: `worker` > `host` > `cache`, `schemas`, `served`, `instruments` > `health`, `mailbox`, `encode` > `command`.

mod cache;
mod command;
mod encode;
mod health;
mod host;
mod instruments;
mod mailbox;
mod schemas;
mod served;
mod worker;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use ledger::{Answer, EventLog, Inbox, LogId, Offset, Partition};
use tokio::sync::oneshot;
use toolkit::lifecycle::{Dependency, Lifecycle};
use toolkit::memory::Memory;

use crate::catalog::command_size;
use crate::config::EngineConfig;
use command::{Answered, Clock, Submitted};
use host::{PartitionHost, Tools};
use mailbox::Mailboxes;

pub use cache::Cache;
pub use command::{CommandRequest, Origin, Refusal, Transport};
pub use encode::Encoder;
pub use health::PartitionStatus;
pub use instruments::Instruments;
pub use schemas::{Schemas, refresh};
pub use served::ServedLog;

/// The answer to come.
#[derive(Debug)]
pub struct Pending {
    pub partition: Partition,
    answer: oneshot::Receiver<Answered>,
}

impl Future for Pending {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        // A thread that ends drops its tickets: whether their records landed is then unknown.
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or(Ok(Answer::OutcomeUnknown)))
    }
}

/// Takes commands. Cheap to clone; exists, and says that it is not ready, before there is a log.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mailboxes: Mailboxes,
    clock: Clock,
    /// The number of partitions, once the log is open.
    partitions: OnceLock<i32>,
    /// What commands take from their arrival to their answer.
    memory: Memory,
    config: EngineConfig,
    instruments: Instruments,
    board: PartitionStatus,
    served: ServedLog,
}

impl Engine {
    /// `events` is told whether the partitions have caught up.
    pub fn new(config: EngineConfig, instruments: Instruments, events: Dependency) -> Self {
        let board = PartitionStatus::new(events);
        let shared = Shared {
            mailboxes: Mailboxes::new(&config),
            clock: Clock::start(),
            partitions: OnceLock::new(),
            memory: Memory::new(config.command_bytes()),
            config,
            instruments,
            served: ServedLog::new(board.clone()),
            board,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Where the log delivers its signals.
    pub fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::new(self.shared.mailboxes.clone())
    }

    /// Which log it serves.
    pub fn served_log(&self) -> &ServedLog {
        &self.shared.served
    }

    /// The first offset not applied, by partition.
    pub(crate) fn next_offsets(&self) -> Vec<(i32, Offset)> {
        self.shared.board.next_offsets()
    }

    /// Starts the threads on an open log, whose inbox is [`Engine::inbox`], and of which this is `known`. They end when
    /// `lifecycle` is drained.
    pub fn start(
        &self,
        log: &Arc<dyn EventLog>,
        known: &BTreeMap<i32, LogId>,
        encoder: &Encoder,
        schemas: &Schemas,
        cache: Option<&Cache>,
        lifecycle: &Lifecycle,
    ) -> std::io::Result<()> {
        let Shared { mailboxes, config, instruments, board, served, clock, .. } = &*self.shared;
        let partitions = log.partitions();
        board.open(partitions);
        served.open(partitions, known);
        instruments.watch(board, mailboxes);
        let mut saver = None;
        if cache.is_some() {
            let (made, write_all) = cache::Saver::new(mailboxes.clone(), instruments.clone());
            lifecycle.thread_support("cache", write_all)?;
            saver = Some(made);
        }
        for thread in 0..mailboxes.threads() {
            let tools = Tools::new(
                Arc::clone(log),
                encoder.clone(),
                schemas.clone(),
                config,
                instruments.clone(),
                board.clone(),
                served.clone(),
            );
            let hosts = (0..partitions).map(Partition).filter(|it| mailboxes.thread_of(*it) == thread);
            let host = |partition| {
                let cold = cache.map(|cache| cache.shelf(partition, instruments));
                PartitionHost::new(partition, partitions, config, cold)
            };
            let hosts = hosts.map(host).collect();
            let worker = worker::Worker::new(thread, mailboxes.clone(), *clock, tools, hosts, saver.clone());
            lifecycle.thread_support(format!("engine-{thread}"), move || worker.run())?;
        }
        let (mailboxes, drained) = (mailboxes.clone(), lifecycle.drained());
        lifecycle.spawn_support("engine-end", async move {
            drained.cancelled().await;
            mailboxes.close();
            Ok(())
        });
        // Starting twice would be a defect of the caller; the first log stays.
        let _first = self.shared.partitions.set(partitions);
        Ok(())
    }

    /// Hands a command over. Never waits.
    pub fn submit(&self, request: CommandRequest) -> Result<Pending, Refusal> {
        let (name, transport) = (request.command.name(), request.transport);
        self.try_submit(request).map_err(|(refusal, _)| {
            self.count_refused(name, transport, &refusal);
            refusal
        })
    }

    /// Like [`Engine::submit`], but gives a refused command back and does not count it.
    pub fn try_submit(&self, request: CommandRequest) -> Result<Pending, (Refusal, Box<CommandRequest>)> {
        let Some(&partitions) = self.shared.partitions.get() else {
            return Err((Refusal::NotReady("the log is not open yet".to_owned()), Box::new(request)));
        };
        if let Some(reason) = self.shared.served.replaced() {
            return Err((Refusal::NotReady(reason.to_owned()), Box::new(request)));
        }
        let partition = ledger::partition_of(request.subject.as_str(), partitions);
        let Some(share) = self.shared.memory.take(command_size(&request.command)) else {
            return Err((Refusal::Full, Box::new(request)));
        };
        let (command, answer) = Submitted::new(request, partition, share, self.shared.clock);
        match self.shared.mailboxes.of(partition).submit(command) {
            Ok(()) => Ok(Pending { partition, answer }),
            Err(command) => Err((Refusal::Full, Box::new(command.into_request()))),
        }
    }

    pub(crate) fn count_refused(&self, command: &'static str, transport: Transport, refusal: &Refusal) {
        self.shared.instruments.answered(command, refusal.name(), transport, Duration::ZERO);
    }

    /// Tells all threads that more schema ids are known.
    pub fn schemas_changed(&self) {
        self.shared.mailboxes.schemas_changed();
    }
}

#[cfg(test)]
mod tests;
