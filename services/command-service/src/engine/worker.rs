//! One thread of the engine: takes its mail, gives it to its partitions, and lets time pass for them.
//!
//! Promises: it never blocks but for mail and for products that are not in memory; it takes all mail at once, so that work
//! comes in batches exactly when there is much of it; time passes for the sequencers every [`TICK_MS`] while anything waits.

use std::time::Duration;

use super::cache::Saver;
use super::command::{Clock, Refusal};
use super::host::{PartitionHost, Tools};
use super::mailbox::{Mail, Mailboxes};

/// How often deadlines and back-offs are looked at while something waits.
const TICK_MS: u64 = 5;
/// How long the thread sleeps when nothing waits.
const IDLE: Duration = Duration::from_millis(250);

pub(super) struct Worker {
    thread: usize,
    mailboxes: Mailboxes,
    clock: Clock,
    tools: Tools,
    /// Partition `p` is at `p / threads`.
    hosts: Vec<PartitionHost>,
    saver: Option<Saver>,
    next_tick_ms: u64,
}

impl Worker {
    /// `hosts` are all partitions of this thread, in order.
    pub(super) fn new(
        thread: usize,
        mailboxes: Mailboxes,
        clock: Clock,
        tools: Tools,
        hosts: Vec<PartitionHost>,
        saver: Option<Saver>,
    ) -> Self {
        Self { thread, mailboxes, clock, tools, hosts, saver, next_tick_ms: 0 }
    }

    /// Works until the inbox is closed and empty; fails if the cache cannot be used any more. Then nobody takes its mail:
    /// whoever left some is told so.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let outcome = self.work();
        if outcome.is_err() {
            self.mailboxes.of_thread(self.thread).abandon();
        }
        outcome
    }

    fn work(&mut self) -> anyhow::Result<()> {
        let now_ms = self.clock.now_ms();
        for host in &mut self.hosts {
            host.start(&mut self.tools, now_ms);
        }
        let mut mail = Vec::new();
        while self.mailboxes.of_thread(self.thread).take(&mut mail, self.patience()) {
            if self.tools.served.replaced().is_some() {
                // What is in flight has no known outcome; and nothing of this state may be saved.
                self.hosts.clear();
            }
            let now_ms = self.clock.now_ms();
            for item in mail.drain(..) {
                self.receive(now_ms, item);
            }
            let ticks = now_ms >= self.next_tick_ms;
            if ticks {
                self.next_tick_ms = now_ms + TICK_MS;
            }
            for host in &mut self.hosts {
                if ticks {
                    host.tick(&mut self.tools, now_ms);
                }
                host.carry_out(&mut self.tools);
                host.report(&self.tools);
                if let Some(saver) = &self.saver {
                    host.save(saver, now_ms)?;
                }
            }
            self.tools.tally.report();
        }
        if let Some(saver) = &self.saver {
            self.hosts.iter_mut().for_each(|host| host.save_now(saver));
        }
        Ok(())
    }

    fn receive(&mut self, now_ms: u64, mail: Mail) {
        let partition = match &mail {
            Mail::Command(submitted) => submitted.partition,
            Mail::Signal(signal) => signal.partition(),
            Mail::Saved { partition, .. } => *partition,
            Mail::SchemasChanged => {
                self.tools.schemas_changed();
                return self.hosts.iter_mut().for_each(|host| host.schemas_changed(&mut self.tools, now_ms));
            }
        };
        let place = partition.0.unsigned_abs() as usize / self.mailboxes.threads();
        // A log does not speak of partitions it does not have; if it did, nobody would be concerned.
        let (tools, Some(host)) = (&mut self.tools, self.hosts.get_mut(place)) else {
            return self.refuse(mail);
        };
        match mail {
            Mail::Command(submitted) => host.command(tools, now_ms, submitted),
            Mail::Signal(signal) => host.signal(tools, now_ms, signal),
            Mail::Saved { outcome: Ok(number), .. } => host.saved(number),
            Mail::Saved { outcome: Err(problem), .. } => host.save_failed(problem),
            Mail::SchemasChanged => {}
        }
    }

    /// The log is another one than its hosts had served, if that is why they are gone.
    fn refuse(&mut self, mail: Mail) {
        if let (Mail::Command(submitted), Some(reason)) = (mail, self.tools.served.replaced()) {
            let refusal = Refusal::NotReady(reason.to_owned());
            self.tools.refuse(submitted.submission.context, refusal);
        }
    }

    fn patience(&self) -> Duration {
        let is_restless = self.hosts.iter().any(PartitionHost::is_restless);
        if is_restless { Duration::from_millis(TICK_MS) } else { IDLE }
    }
}
