//! The reading thread of a member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use event_reader::feed::{Claim, Command, GroupEvent, GroupOptions, RevokeAck};
use ledger::{Offset, Partition, TailError};
use tokio::sync::mpsc;

use super::Claims;
use super::shares::{Changes, MemberId, Shares};
use crate::log::ends::Ends;
use crate::log::store::{Limit, Store};

/// How long the thread parks if nobody wakes it. Records, commands and the group's changes do.
const IDLE: Duration = Duration::from_secs(5);
/// How often it is looked whether revoked partitions are settled: nobody says so.
const LOOK: Duration = Duration::from_millis(2);

pub(super) struct Member {
    store: Arc<Store>,
    ends: Arc<Ends>,
    shares: Arc<Shares>,
    id: MemberId,
    claims: Arc<Claims>,
    options: GroupOptions,
    events: mpsc::Sender<GroupEvent>,
    owned: BTreeMap<i32, Owned>,
    revoking: Vec<Revoking>,
    closing: bool,
}

/// A partition that is read.
struct Owned {
    claim: Claim,
    /// The first offset not delivered.
    next: Offset,
    /// The next batch was asked for.
    wanted: bool,
}

/// Partitions that are being given back. Their claims stay, for the last commits.
struct Revoking {
    partitions: Vec<i32>,
    settled: Receiver<()>,
    until: Instant,
}

/// Why the thread ends.
enum End {
    Left,
    Failed(String),
}

impl Member {
    pub(super) fn new(
        store: Arc<Store>,
        ends: Arc<Ends>,
        shares: Arc<Shares>,
        claims: Arc<Claims>,
        options: GroupOptions,
        events: mpsc::Sender<GroupEvent>,
    ) -> Self {
        let (id, owned, revoking) = (shares.join(), BTreeMap::new(), Vec::new());
        Self { store, ends, shares, id, claims, options, events, owned, revoking, closing: false }
    }

    /// Runs until the group is left.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let waker = self.ends.waker();
        let end = loop {
            waker.arm();
            match self.turn(commands) {
                Ok(true) => {}
                Ok(false) => {
                    if self.owned.values().all(|owned| !owned.wanted) {
                        waker.disarm();
                    }
                    std::thread::park_timeout(if self.revoking.is_empty() { IDLE } else { LOOK });
                }
                Err(end) => break end,
            }
        };
        if let End::Failed(reason) = end {
            tracing::error!(group = self.options.group, reason, "the consumer group's member stopped");
            self.report(GroupEvent::Stopped { reason });
        }
        self.claims.release_all();
        self.shares.leave(self.id);
    }

    /// Does what there is to do; whether there was any.
    fn turn(&mut self, commands: &Receiver<Command>) -> Result<bool, End> {
        if self.events.is_closed() {
            return Err(End::Left);
        }
        let mut is_busy = self.serve_group()?;
        is_busy |= self.serve_commands(commands)?;
        is_busy |= self.finish_revoking();
        is_busy |= self.deliver();
        if self.closing && self.revoking.is_empty() {
            return Err(End::Left);
        }
        Ok(is_busy)
    }

    /// Blocks only while the receiver is far behind: every partition has at most a few events in flight.
    fn report(&self, event: GroupEvent) {
        drop(self.events.blocking_send(event));
    }

    fn serve_group(&mut self) -> Result<bool, End> {
        if self.closing {
            return Ok(false);
        }
        let Changes { take, mut give } = self.shares.changes(self.id);
        // What is being given back already is not ours any more.
        give.retain(|partition| self.owned.contains_key(partition));
        let is_busy = !(take.is_empty() && give.is_empty());
        for partition in take {
            let committed = self.store.position(&self.options.group, Partition(partition));
            self.begin(partition, committed.map_err(End::Failed)?.unwrap_or(0));
        }
        if !give.is_empty() {
            self.revoke(give);
        }
        Ok(is_busy)
    }

    fn serve_commands(&mut self, commands: &Receiver<Command>) -> Result<bool, End> {
        let mut is_busy = false;
        loop {
            match commands.try_recv() {
                Ok(Command::Next(claim)) => {
                    if let Some(owned) = self.owned_by(claim) {
                        owned.wanted = true;
                    }
                }
                Ok(Command::Seek(claim, position)) => {
                    if self.owned_by(claim).is_some() {
                        self.begin(claim.partition.0, position);
                    }
                }
                Ok(Command::Close) => self.close(),
                Ok(Command::Abandon) | Err(TryRecvError::Disconnected) => return Err(End::Left),
                Err(TryRecvError::Empty) => return Ok(is_busy),
            }
            is_busy = true;
        }
    }

    fn owned_by(&mut self, claim: Claim) -> Option<&mut Owned> {
        self.owned.get_mut(&claim.partition.0).filter(|owned| owned.claim == claim)
    }

    /// Claims the partition anew, to be read from `position` on, and tells.
    fn begin(&mut self, partition: i32, position: Offset) {
        let claim = self.claims.claim(partition);
        self.owned.insert(partition, Owned { claim, next: position, wanted: false });
        self.report(GroupEvent::Assigned { claim, position });
    }

    /// Leaves the group when everything is settled.
    fn close(&mut self) {
        self.closing = true;
        self.shares.retire(self.id);
        let partitions: Vec<_> = self.owned.keys().copied().collect();
        if !partitions.is_empty() {
            self.revoke(partitions);
        }
    }

    fn revoke(&mut self, partitions: Vec<i32>) {
        let taken = partitions.iter().filter_map(|partition| self.owned.remove(partition));
        let claims = taken.map(|owned| owned.claim).collect();
        let (ack, settled) = RevokeAck::channel();
        let until = Instant::now() + self.options.revoke_timeout;
        self.revoking.push(Revoking { partitions, settled, until });
        self.report(GroupEvent::Revoked { claims, lost: false, ack });
    }

    fn finish_revoking(&mut self) -> bool {
        let before = self.revoking.len();
        for revoking in std::mem::take(&mut self.revoking) {
            let is_settled = revoking.settled.try_recv() == Err(TryRecvError::Disconnected);
            if !is_settled && Instant::now() < revoking.until {
                self.revoking.push(revoking);
                continue;
            }
            let partitions = &revoking.partitions;
            if !is_settled {
                tracing::warn!(
                    ?partitions,
                    "revoked partitions were not settled in time: giving them back all the same"
                );
            }
            self.claims.release(partitions);
            self.shares.give_back(self.id, partitions);
        }
        self.revoking.len() < before
    }

    /// Delivers a batch of each partition that is wanted and has something.
    fn deliver(&mut self) -> bool {
        let limit = Limit {
            records: self.options.max_batch_records.max(1),
            bytes: self.options.max_batch_bytes.max(1),
        };
        let mut events = Vec::new();
        for (&partition, owned) in self.owned.iter_mut().filter(|(_, owned)| owned.wanted) {
            let (claim, partition) = (owned.claim, Partition(partition));
            let end = self.ends.of(partition).unwrap_or(0);
            let event = if owned.next > end {
                // Records that were committed as applied are not there: this is not the log that they were of.
                GroupEvent::Failed { claim, error: TailError::Truncated }
            } else if owned.next < 0 {
                GroupEvent::Failed { claim, error: TailError::OutOfRange }
            } else if owned.next == end {
                continue;
            } else {
                match self.store.read(partition, owned.next, end, limit) {
                    Ok(records) => {
                        owned.next = records.last().map_or(end, |record| record.offset + 1);
                        GroupEvent::Batch { claim, records, position: owned.next }
                    }
                    Err(problem) => GroupEvent::Failed { claim, error: TailError::Other(problem) },
                }
            };
            owned.wanted = false;
            events.push(event);
        }
        let is_busy = !events.is_empty();
        for event in events {
            self.report(event);
        }
        is_busy
    }
}
