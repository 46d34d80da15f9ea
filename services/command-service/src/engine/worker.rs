//! One thread of the engine: takes its mail, feeds it to the sequencers of its partitions, and carries out what they say.
//!
//! Promises: it never blocks but for mail and for products that are not in memory; it takes all mail at once, so that work
//! comes in batches exactly when there is much of it; time passes for the sequencers every [`TICK_MS`] while anything waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::{EventLog, Partition, Signal, Subject};
use tokio::sync::oneshot;

use super::cache::{Cache, Saver};
use super::driver::{Driver, Ticket};
use super::encode::Encoder;
use super::health::Board;
use super::instruments::Instruments;
use super::mailbox::{Mail, Mailbox};
use super::part::Part;
use super::schemas::Schemas;
use super::{Answered, Order};
use crate::config::EngineConfig;
use toolkit::memory::Share;

/// How often deadlines and back-offs are looked at while something waits.
const TICK_MS: u64 = 5;
/// How long the thread sleeps when nothing waits.
const IDLE: Duration = Duration::from_millis(250);

/// A command in the inbox.
#[derive(Debug)]
pub(super) struct Submitted {
    pub(super) order: Order,
    pub(super) subject: Subject,
    pub(super) partition: Partition,
    pub(super) arrived: Instant,
    pub(super) reply: oneshot::Sender<Answered>,
    /// The memory it takes.
    pub(super) share: Share,
}

pub(super) struct Setup {
    pub(super) thread: usize,
    pub(super) mailboxes: Arc<[Mailbox]>,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) encoder: Encoder,
    pub(super) schemas: Schemas,
    pub(super) config: EngineConfig,
    pub(super) instruments: Instruments,
    pub(super) board: Board,
    pub(super) saving: Option<(Cache, Saver)>,
}

pub(super) struct Worker {
    thread: usize,
    mailboxes: Arc<[Mailbox]>,
    driver: Driver,
    /// Partition `p` is at `p / threads`.
    parts: Vec<Part>,
    saver: Option<Saver>,
    next_tick_ms: u64,
}

impl Worker {
    pub(super) fn new(setup: Setup) -> Self {
        let Setup { thread, mailboxes, log, encoder, schemas, config, instruments, board, saving } = setup;
        let partitions = log.partitions();
        let parts = (0..partitions)
            .filter(|partition| *partition as usize % mailboxes.len() == thread)
            .map(|partition| {
                let shelf = saving.as_ref().map(|(cache, _)| cache.shelf(Partition(partition), &instruments));
                Part::new(Partition(partition), partitions, &config, shelf)
            })
            .collect();
        let saver = saving.map(|(_, saver)| saver);
        let driver = Driver::new(log, encoder, schemas, config, instruments, board);
        Self { thread, mailboxes, driver, parts, saver, next_tick_ms: 0 }
    }

    /// Works until the inbox is closed and empty; fails if the cache cannot be read again and again.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        for part in &mut self.parts {
            part.start(&mut self.driver);
        }
        let mut mail = Vec::new();
        while self.mailboxes[self.thread].take(&mut mail, self.patience()) {
            let now_ms = self.driver.now_ms();
            for item in mail.drain(..) {
                self.receive(now_ms, item);
            }
            let ticks = now_ms >= self.next_tick_ms;
            if ticks {
                self.next_tick_ms = now_ms + TICK_MS;
            }
            for part in &mut self.parts {
                if ticks {
                    part.tick(&mut self.driver, now_ms);
                }
                part.carry_out(&mut self.driver, now_ms);
                part.tell(&self.driver);
                if let Some(saver) = &self.saver {
                    part.save(saver, now_ms)?;
                }
            }
            self.driver.tally.tell();
        }
        if let Some(saver) = &self.saver {
            self.parts.iter_mut().for_each(|part| part.save_now(saver));
        }
        Ok(())
    }

    fn receive(&mut self, now_ms: u64, mail: Mail) {
        match mail {
            Mail::Command(submitted) => self.command(now_ms, *submitted),
            Mail::Signal(signal) => self.signal(now_ms, signal),
            Mail::Saved { partition, generation, number } => {
                let index = self.index(partition);
                self.parts[index].saved(generation, number);
            }
            Mail::SchemasChanged => {
                for part in &mut self.parts {
                    part.schemas_changed(&mut self.driver, now_ms);
                }
            }
        }
    }

    fn command(&mut self, now_ms: u64, submitted: Submitted) {
        let Submitted { order, subject, partition, arrived, reply, share } = submitted;
        let ticket = Ticket {
            command: order.command.name(),
            transport: order.transport,
            origin: order.origin,
            arrived,
            reply,
            _room: order.room,
            _share: share,
            appends: 0,
            unknown: false,
        };
        let index = self.index(partition);
        let part = &mut self.parts[index];
        if let Some(refusal) = part.refuses() {
            return self.driver.refuse(ticket, refusal);
        }
        let deadline_ms = self.driver.ms_at(arrived + order.deadline);
        let submission = ledger::Submission {
            ticket: self.driver.open_ticket(ticket),
            subject,
            command_id: order.command_id,
            command_hash: order.command_hash,
            expected: order.expected,
            command: order.command,
            deadline_ms,
        };
        part.command(now_ms, submission);
        part.carry_out(&mut self.driver, now_ms);
    }

    fn signal(&mut self, now_ms: u64, signal: Signal) {
        let index = match &signal {
            Signal::Appended { partition, .. }
            | Signal::EndOffset { partition, .. }
            | Signal::Records { partition, .. }
            | Signal::Position { partition, .. }
            | Signal::TailFailed { partition, .. } => self.index(*partition),
        };
        // A log does not speak of partitions it does not have; if it did, nobody would be concerned.
        if let Some(part) = self.parts.get_mut(index) {
            part.signal(&mut self.driver, now_ms, signal);
        }
    }

    fn index(&self, partition: Partition) -> usize {
        partition.0.unsigned_abs() as usize / self.mailboxes.len()
    }

    fn patience(&self) -> Duration {
        if self.parts.iter().any(Part::is_restless) { Duration::from_millis(TICK_MS) } else { IDLE }
    }
}

#[cfg(test)]
impl Submitted {
    /// A command whose answer nobody awaits.
    pub(super) fn for_test() -> Self {
        let order = Order {
            product: domain::ProductId::parse("p").unwrap(),
            command: domain::Command::ListProduct,
            command_id: ledger::CommandId(uuid::Uuid::nil()),
            command_hash: None,
            expected: ledger::Expected::default(),
            deadline: Duration::from_secs(1),
            origin: super::Origin { actor: None, trace: None, correlation_id: None },
            transport: super::Transport::Local,
            room: None,
        };
        Self {
            order,
            subject: Subject::parse("p").unwrap(),
            partition: Partition(0),
            arrived: Instant::now(),
            reply: oneshot::channel().0,
            share: toolkit::memory::Memory::new(0).empty(),
        }
    }
}
