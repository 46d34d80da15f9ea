//! The engine: threads that own the sequencers of the partitions, and their inboxes.
//!
//! Promises: [`Engine::submit`] never waits; every command gets one answer within its deadline; a full engine says so at
//! once; a command crosses two threads (the engine's, and back). Partitions are dealt to the threads in turn.

mod cache;
mod driver;
mod encode;
mod health;
mod holding;
mod instruments;
mod mailbox;
mod outputs;
mod part;
mod saving;
mod schemas;
mod worker;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use domain::{Command, ProductId, Rejection};
use ledger::{Answer, CommandHash, CommandId, EventLog, Expected, Inbox, Partition, Signal, Subject};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use toolkit::lifecycle::{Dependency, Lifecycle};
use toolkit::telemetry::TraceContext;

use crate::catalog::command_size;
use crate::config::EngineConfig;
use mailbox::Mailbox;
use toolkit::memory::Memory;
use worker::Submitted;

pub use cache::Cache;
pub use encode::Encoder;
pub use health::Board;
pub use instruments::{Instruments, Transport};
pub use schemas::{SchemaSource, Schemas, SourceError, refresh};

/// A command on its way to its sequencer.
#[derive(Debug)]
pub struct Order {
    pub product: ProductId,
    pub command: Command,
    pub command_id: CommandId,
    /// Of a command with an idempotency key: no other can come twice.
    pub command_hash: Option<CommandHash>,
    /// The versions the client wants the product to have.
    pub expected: Expected,
    /// The command is answered within this time.
    pub deadline: Duration,
    pub origin: Origin,
    pub transport: Transport,
    /// Its place among the commands of uploads, given back when it is answered.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Who asked, in which trace: goes into the record's headers, where there is something to say.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: Option<String>,
    /// None: the client named no trace, and none is exported.
    pub trace: Option<TraceContext>,
    pub correlation_id: Option<String>,
}

/// Why a command did not reach a sequencer. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its inbox is full, or commands take too much memory already.
    Full,
    /// Its partition cannot be decided yet, or not now.
    NotReady(String),
}

/// What the engine says to a command.
pub type Answered = Result<Answer<Rejection>, Refusal>;

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
    mailboxes: Arc<[Mailbox]>,
    /// The number of partitions, once the log is open.
    partitions: OnceLock<i32>,
    /// What commands take from their arrival to their answer.
    memory: Memory,
    config: EngineConfig,
    instruments: Instruments,
    board: Board,
}

impl Engine {
    /// `events` is told whether the partitions have caught up.
    pub fn new(config: EngineConfig, instruments: Instruments, events: Dependency) -> Self {
        let mailbox = |_| Mailbox::new(config.inbox, config.tail_records, config.tail_bytes());
        let mailboxes = (0..config.threads).map(mailbox).collect();
        let memory = Memory::new(config.command_bytes());
        let (partitions, board) = (OnceLock::new(), Board::new(events));
        let shared = Shared { mailboxes, partitions, memory, config, instruments, board };
        Self { shared: Arc::new(shared) }
    }

    /// Where the log delivers its signals.
    pub fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::new(Switch(Arc::clone(&self.shared.mailboxes)))
    }

    /// Starts the threads on an open log, whose inbox is [`Engine::inbox`]. They end when `lifecycle` is drained.
    pub fn start(
        &self,
        log: &Arc<dyn EventLog>,
        encoder: &Encoder,
        schemas: &Schemas,
        cache: Option<&Cache>,
        lifecycle: &Lifecycle,
    ) -> std::io::Result<()> {
        let shared = &self.shared;
        let partitions = log.partitions();
        shared.board.open(partitions);
        shared.instruments.watch(&shared.board, &shared.mailboxes);
        let mut saving = None;
        if let Some(cache) = cache {
            let (saver, write_all) =
                cache::Saver::new(Arc::clone(&shared.mailboxes), shared.instruments.clone());
            lifecycle.thread_support("cache", write_all)?;
            saving = Some((cache.clone(), saver));
        }
        for thread in 0..shared.mailboxes.len() {
            let worker = worker::Worker::new(worker::Setup {
                thread,
                mailboxes: Arc::clone(&shared.mailboxes),
                log: Arc::clone(log),
                encoder: encoder.clone(),
                schemas: schemas.clone(),
                config: shared.config.clone(),
                instruments: shared.instruments.clone(),
                board: shared.board.clone(),
                saving: saving.clone(),
            });
            lifecycle.thread_support(format!("engine-{thread}"), move || worker.run())?;
        }
        let (mailboxes, drained) = (Arc::clone(&shared.mailboxes), lifecycle.drained());
        lifecycle.spawn_support("engine-end", async move {
            drained.cancelled().await;
            mailboxes.iter().for_each(Mailbox::close);
            Ok(())
        });
        // Starting twice would be a defect of the caller; the first log stays.
        let _first = shared.partitions.set(partitions);
        Ok(())
    }

    /// Hands a command over. Never waits.
    pub fn submit(&self, order: Order) -> Result<Pending, Refusal> {
        let (name, transport) = (order.command.name(), order.transport);
        self.try_submit(order).map_err(|(refusal, _)| {
            self.count_refused(name, transport, &refusal);
            refusal
        })
    }

    /// Like [`Engine::submit`], but gives a refused command back and does not count it.
    pub fn try_submit(&self, order: Order) -> Result<Pending, (Refusal, Box<Order>)> {
        let Some(&partitions) = self.shared.partitions.get() else {
            return Err((Refusal::NotReady("the log is not open yet".to_owned()), Box::new(order)));
        };
        let subject = match Subject::parse(order.product.as_str()) {
            Ok(subject) => subject,
            // Both types have the same character rule.
            Err(error) => return Err((Refusal::NotReady(error.to_string()), Box::new(order))),
        };
        let partition = ledger::partition_of(order.product.as_str(), partitions);
        let Some(share) = self.shared.memory.take(command_size(&order.command)) else {
            return Err((Refusal::Full, Box::new(order)));
        };
        let (reply, answer) = oneshot::channel();
        let command =
            Box::new(Submitted { order, subject, partition, arrived: Instant::now(), reply, share });
        match self.shared.mailboxes[thread_of(partition, self.shared.mailboxes.len())].submit(command) {
            Ok(()) => Ok(Pending { partition, answer }),
            Err(command) => Err((Refusal::Full, Box::new(command.order))),
        }
    }

    pub(crate) fn count_refused(&self, command: &'static str, transport: Transport, refusal: &Refusal) {
        self.shared.instruments.answered(command, refusal.name(), transport, Duration::ZERO);
    }

    /// Tells all threads that more schema ids are known.
    pub fn schemas_changed(&self) {
        self.shared.mailboxes.iter().for_each(Mailbox::schemas_changed);
    }
}

impl Refusal {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Full => "overloaded",
            Self::NotReady(_) => "not_ready",
        }
    }
}

/// Routes a signal to the thread of its partition.
struct Switch(Arc<[Mailbox]>);

impl Inbox for Switch {
    fn deliver(&self, signal: Signal) {
        let partition = match &signal {
            Signal::Appended { partition, .. }
            | Signal::EndOffset { partition, .. }
            | Signal::Records { partition, .. }
            | Signal::Position { partition, .. }
            | Signal::TailFailed { partition, .. } => *partition,
        };
        self.0[thread_of(partition, self.0.len())].deliver(signal);
    }
}

fn thread_of(partition: Partition, threads: usize) -> usize {
    partition.0.unsigned_abs() as usize % threads
}

#[cfg(test)]
mod tests;
