//! A consumer group's member: batches per partition, on demand, with explicit positions.
//!
//! Promises, of every adapter (the feed suite of `testkit` checks them):
//! - a partition without a committed position is read from offset zero, said so explicitly; nothing is ever reset;
//! - each partition has at most one batch in flight: the next one comes when it is asked for ([`GroupHandle::next`]), so
//!   a partition that is not asked for pauses, costs bounded memory, and delays no other;
//! - a partition is reported as revoked, and the word is awaited that it is settled ([`RevokeAck`]), before another member
//!   can get it (unless it was already lost);
//! - a commit is durable when it returns, and is refused once the partition is claimed by nobody or anew.

use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use ledger::{LogRecord, Offset, Partition, TailError};
use tokio::sync::{mpsc, oneshot};

use super::{EndOffsets, Error, RangeReader};
use crate::LogReader;

const COMMANDS: usize = 1_024;
const EVENTS: usize = 256;

/// How a member reads.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The group's name: one for each generation of a read model.
    pub group: String,
    /// Records per batch at most.
    pub max_batch_records: usize,
    /// Bytes of keys and values per batch at most, but for its last record.
    pub max_batch_bytes: usize,
    /// How long a revoked partition may take to be settled before it is handed over all the same.
    pub revoke_timeout: Duration,
}

impl GroupOptions {
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            max_batch_records: 1_000,
            max_batch_bytes: 8 << 20,
            revoke_timeout: Duration::from_secs(30),
        }
    }
}

/// One member's hold of a partition: from its assignment (or a seek) to its revocation (or the next seek).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub partition: Partition,
    /// Never the same for two claims of one member.
    pub epoch: u64,
}

/// What a member learns.
#[derive(Debug)]
pub enum GroupEvent {
    /// The partition is this member's, to be read from `position` on. Ask for its first batch.
    Assigned { claim: Claim, position: Offset },
    /// Asked for with [`GroupHandle::next`]. After it is written, commit `position` and ask for the next. Without records
    /// if only the position moved.
    Batch { claim: Claim, records: Vec<LogRecord>, position: Offset },
    /// These partitions go to another member once `ack` is given or dropped: settle what is in flight first, forget
    /// their states. `lost`: another member may have them already.
    Revoked { claims: Vec<Claim>, lost: bool, ack: RevokeAck },
    /// The partition cannot be read on: someone must look. The others go on.
    Failed { claim: Claim, error: TailError },
    /// The member will never read again; the last event.
    Stopped { reason: String },
}

/// Says, when dropped, that revoked partitions are settled.
#[derive(Debug)]
pub struct RevokeAck {
    _settled: Sender<()>,
}

impl RevokeAck {
    /// The word to be given, and the channel that is disconnected when it is.
    pub fn channel() -> (Self, Receiver<()>) {
        let (sender, settled) = bounded(0);
        (Self { _settled: sender }, settled)
    }

    /// The partitions are settled. Dropping says the same.
    pub fn settled(self) {}
}

/// What a member is told to do, for the adapter's thread.
#[derive(Debug)]
pub enum Command {
    Next(Claim),
    Seek(Claim, Offset),
    /// Leave the group in order.
    Close,
    /// Leave the group at once: nobody listens any more.
    Abandon,
}

/// A position to commit, for the adapter's thread.
#[derive(Debug)]
pub struct Commit {
    pub claim: Claim,
    pub position: Offset,
    reply: oneshot::Sender<Result<(), Error>>,
}

impl Commit {
    pub fn reply(self, outcome: Result<(), Error>) {
        // Whoever asked may have stopped waiting.
        drop(self.reply.send(outcome));
    }
}

/// A member as its adapter's threads see it.
#[derive(Debug)]
pub struct GroupServer {
    pub commands: Receiver<Command>,
    pub commits: Receiver<Commit>,
    pub events: mpsc::Sender<GroupEvent>,
}

/// A member of a consumer group. Dropping it leaves the group at once; [`GroupHandle::close`] does so in order.
#[derive(Debug)]
pub struct Group {
    events: mpsc::Receiver<GroupEvent>,
    handle: GroupHandle,
}

/// What a member can ask for.
#[derive(Clone, Debug)]
pub struct GroupHandle {
    commands: Sender<Command>,
    commits: Sender<Commit>,
    thread: Thread,
    log: LogReader,
}

impl Group {
    /// A member that reads `log`. `serve` starts the threads that serve it, and names the one to unpark after a command.
    pub fn served<E>(
        log: LogReader,
        serve: impl FnOnce(GroupServer) -> Result<Thread, E>,
    ) -> Result<Self, E> {
        let (commands, asked) = bounded(COMMANDS);
        let (commits, requested) = bounded(COMMANDS);
        let (sender, events) = mpsc::channel(EVENTS);
        let thread = serve(GroupServer { commands: asked, commits: requested, events: sender })?;
        Ok(Self { events, handle: GroupHandle { commands, commits, thread, log } })
    }

    /// The next event; none after [`GroupEvent::Stopped`] or when the group was left.
    pub async fn recv(&mut self) -> Option<GroupEvent> {
        self.events.recv().await
    }

    pub fn handle(&self) -> GroupHandle {
        self.handle.clone()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A full queue means that the thread is alive and will find the events' receiver gone.
        drop(self.handle.command(Command::Abandon));
    }
}

impl GroupHandle {
    /// Asks for the next batch of a partition. It comes as soon as there is anything.
    pub fn next(&self, claim: Claim) -> Result<(), Error> {
        self.command(Command::Next(claim))
    }

    /// Reads the partition from `position` on instead: a new claim comes with [`GroupEvent::Assigned`], the old one is
    /// void.
    pub fn seek(&self, claim: Claim, position: Offset) -> Result<(), Error> {
        self.command(Command::Seek(claim, position))
    }

    /// Commits that everything below `position` is applied. Durable when it returns; requests that wait at the same time
    /// go together.
    pub async fn commit(&self, claim: Claim, position: Offset) -> Result<(), Error> {
        let (reply, outcome) = oneshot::channel();
        let closed = || Error::Closed(format!("commit position {position} of partition {}", claim.partition));
        self.commits.try_send(Commit { claim, position, reply }).map_err(|_| closed())?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Records of the topic at `from..to`, read beside the group: for looking back.
    pub fn ranges(&self) -> &RangeReader {
        &self.log.ranges
    }

    /// Where the topic's partitions end: for the lag.
    pub fn end_offsets(&self) -> &EndOffsets {
        &self.log.ends
    }

    /// Leaves the group in order: every partition is reported as revoked and awaited, then the events end.
    pub fn close(&self) -> Result<(), Error> {
        self.command(Command::Close)
    }

    fn command(&self, command: Command) -> Result<(), Error> {
        let tried = format!("{command:?}");
        self.commands.try_send(command).map_err(|_| Error::Closed(tried))?;
        self.thread.unpark();
        Ok(())
    }
}
