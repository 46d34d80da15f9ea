//! A thread's inbox: signals from the log and commands from the doors, each in the order they came.
//!
//! Promises: no signal is lost, and none waits for more than [`COMMANDS_AT_ONCE`] commands; a full inbox refuses commands and holds back the log's
//! reader, and nothing else; whoever takes the mail never waits while there is some. It cannot deadlock with its owner:
//! the owner takes everything at once and delivers nothing that blocks.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ledger::{Inbox, Partition, Signal};

use super::command::Submitted;
use crate::config::EngineConfig;

/// Commands taken at once: enough to make it cheap, few enough that signals, which answer earlier commands, wait a few
/// milliseconds at most.
const COMMANDS_AT_ONCE: usize = 256;

/// What a thread gets.
#[derive(Debug)]
pub(super) enum Mail {
    Command(Submitted),
    Signal(Signal),
    /// More schema ids are known than before.
    SchemasChanged,
    /// The snapshot of this number is written, or none will be any more.
    Saved {
        partition: Partition,
        outcome: Result<u64, String>,
    },
}

/// The inboxes of all threads: partitions are dealt to them in turn. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Mailboxes(Arc<[Mailbox]>);

impl Mailboxes {
    pub(super) fn new(config: &EngineConfig) -> Self {
        let mailbox = |_| Mailbox::new(config.inbox, config.tail_records, config.tail_bytes());
        Self((0..config.threads).map(mailbox).collect())
    }

    pub(super) fn threads(&self) -> usize {
        self.0.len()
    }

    pub(super) fn thread_of(&self, partition: Partition) -> usize {
        partition.0.unsigned_abs() as usize % self.threads()
    }

    pub(super) fn of(&self, partition: Partition) -> &Mailbox {
        self.of_thread(self.thread_of(partition))
    }

    pub(super) fn of_thread(&self, thread: usize) -> &Mailbox {
        &self.0[thread]
    }

    pub(super) fn schemas_changed(&self) {
        self.0.iter().for_each(|mailbox| mailbox.push(mailbox.lock(), Mail::SchemasChanged));
    }

    pub(super) fn close(&self) {
        self.0.iter().for_each(Mailbox::close);
    }

    /// Commands that no thread has taken yet.
    pub(super) fn depth(&self) -> usize {
        self.0.iter().map(Mailbox::depth).sum()
    }
}

impl Inbox for Mailboxes {
    fn deliver(&self, signal: Signal) {
        self.of(signal.partition()).deliver(signal);
    }
}

#[derive(Debug)]
pub(super) struct Mailbox {
    max_commands: usize,
    max_tail_records: usize,
    max_tail_bytes: usize,
    state: Mutex<State>,
    arrived: Condvar,
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    // Commands and records of the tail are bounded below. The other signals are bounded by what they answer: one per
    // append and per request, and a position per batch of the tail.
    signals: Vec<Mail>,
    commands: VecDeque<Submitted>,
    tail_records: usize,
    tail_bytes: usize,
    /// The owner sleeps: only then is it worth a system call to wake it.
    asleep: bool,
    blocked: usize,
    closed: bool,
}

impl Mailbox {
    fn new(max_commands: usize, max_tail_records: usize, max_tail_bytes: usize) -> Self {
        Self {
            max_commands,
            max_tail_records,
            max_tail_bytes,
            state: Mutex::default(),
            arrived: Condvar::new(),
            room: Condvar::new(),
        }
    }

    /// Leaves a command; gives it back if there are too many, or if the owner has ended.
    pub(super) fn submit(&self, command: Submitted) -> Result<(), Submitted> {
        let mut state = self.lock();
        if state.commands.len() >= self.max_commands || state.closed {
            return Err(command);
        }
        state.commands.push_back(command);
        self.wake(state);
        Ok(())
    }

    /// Leaves a signal. Waits for room only with records of the tail.
    fn deliver(&self, signal: Signal) {
        let bytes = signal.size();
        let mut state = self.lock();
        if let Signal::Records { records, .. } = &signal {
            let is_full = |state: &State| {
                state.tail_records >= self.max_tail_records || state.tail_bytes >= self.max_tail_bytes
            };
            while is_full(&state) && !state.closed {
                state.blocked += 1;
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.blocked -= 1;
            }
            state.tail_records += records.len();
            state.tail_bytes += bytes;
        }
        self.push(state, Mail::Signal(signal));
    }

    /// Leaves word of a snapshot. There are as many as snapshots on their way, which are few.
    pub(super) fn saved(&self, saved: Mail) {
        self.push(self.lock(), saved);
    }

    /// Moves all signals into `into` (empty), and then some commands, after waiting for some up to `timeout`. False once
    /// closed and empty.
    pub(super) fn take(&self, into: &mut Vec<Mail>, timeout: Duration) -> bool {
        let mut state = self.lock();
        if state.signals.is_empty() && state.commands.is_empty() && !state.closed {
            state.asleep = true;
            state = self.arrived.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0;
            state.asleep = false;
        }
        std::mem::swap(&mut state.signals, into);
        let commands = state.commands.len().min(COMMANDS_AT_ONCE);
        into.extend(state.commands.drain(..commands).map(Mail::Command));
        (state.tail_records, state.tail_bytes) = (0, 0);
        let wake = state.blocked > 0;
        let open = !state.closed;
        drop(state);
        if wake {
            self.room.notify_all();
        }
        open || !into.is_empty()
    }

    /// No commands from now on; the owner ends when it has taken what is there.
    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
        self.room.notify_all();
    }

    /// Nothing is taken any more: what is there is dropped, so that whoever waits for an answer learns that there is none.
    pub(super) fn abandon(&self) {
        self.close();
        let mut state = self.lock();
        let dropped = (std::mem::take(&mut state.commands), std::mem::take(&mut state.signals));
        drop(state);
        drop(dropped);
    }

    /// Commands not yet taken.
    fn depth(&self) -> usize {
        self.lock().commands.len()
    }

    fn push(&self, mut state: MutexGuard<'_, State>, mail: Mail) {
        // After the end nobody takes it: late signals of a log that still runs must not pile up.
        if state.closed && matches!(mail, Mail::Signal(Signal::Records { .. } | Signal::Position { .. })) {
            return;
        }
        state.signals.push(mail);
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(partition: i32, n: usize) -> Signal {
        let record = ledger::LogRecord {
            offset: 0,
            timestamp_ms: 0,
            key: bytes::Bytes::new(),
            value: None,
            headers: ledger::Headers::new(),
        };
        Signal::Records { partition: Partition(partition), records: vec![record; n] }
    }

    fn position(position: i64) -> Signal {
        Signal::Position { partition: Partition(0), position }
    }

    #[test]
    fn a_full_inbox_refuses_commands_but_takes_signals() {
        let mailbox = Mailbox::new(2, 10, 10_000);
        for _ in 0..2 {
            mailbox.submit(Submitted::for_test()).unwrap();
        }
        assert!(mailbox.submit(Submitted::for_test()).is_err());
        assert_eq!(mailbox.depth(), 2);
        mailbox.deliver(position(1));
        let mut mail = Vec::new();
        assert!(mailbox.take(&mut mail, Duration::ZERO));
        assert!(matches!(mail[..], [Mail::Signal(_), Mail::Command(_), Mail::Command(_)]));
        mailbox.submit(Submitted::for_test()).unwrap();
    }

    #[test]
    fn the_logs_reader_waits_for_room_and_nobody_else_does() {
        for mailbox in [Mailbox::new(1, 3, usize::MAX), Mailbox::new(1, usize::MAX, records(0, 3).size())] {
            only_the_reader_waits(&Arc::new(mailbox));
        }
    }

    fn only_the_reader_waits(mailbox: &Arc<Mailbox>) {
        mailbox.deliver(records(0, 3));
        let reader = {
            let mailbox = Arc::clone(mailbox);
            std::thread::spawn(move || mailbox.deliver(records(1, 1)))
        };
        while mailbox.lock().blocked == 0 {
            std::thread::yield_now();
        }
        mailbox.deliver(position(3));
        let mut mail = Vec::new();
        assert!(mailbox.take(&mut mail, Duration::ZERO));
        assert_eq!(mail.len(), 2);
        reader.join().unwrap();
        mail.clear();
        assert!(mailbox.take(&mut mail, Duration::ZERO));
        assert_eq!(mail.len(), 1);
    }

    #[test]
    fn after_the_end_the_mail_is_taken_and_readers_are_let_go() {
        let mailbox = Arc::new(Mailbox::new(1, 1, usize::MAX));
        mailbox.deliver(records(0, 1));
        let reader = {
            let mailbox = Arc::clone(&mailbox);
            std::thread::spawn(move || mailbox.deliver(records(0, 1)))
        };
        mailbox.close();
        reader.join().unwrap();
        let mut mail = Vec::new();
        assert!(mailbox.take(&mut mail, Duration::from_mins(1)));
        mail.clear();
        assert!(!mailbox.take(&mut mail, Duration::from_mins(1)));
    }
}
