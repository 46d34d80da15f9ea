//! One watcher for many: who waits for a partition of a read model to come to a position subscribes to the one loop that
//! looks.
//!
//! Promises: while anybody waits for a partition exactly one loop looks at it, and none when nobody does; an error of a look
//! is the answer of all who wait, and the next who waits starts a new loop; however many partitions are waited for, looks
//! stay rare enough for the store. A position in one log never goes back, so what was seen once need not be looked at again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::LogId;
use read_models::model::Position;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The partition is applied up to this position (exclusive), which is far enough.
    Reached(i64),
    /// The budget is used up; at the last look it had come only this far.
    StillAt(i64),
}

/// The first pause between two looks; each next one is twice as long, up to [`MAX_PAUSE`], until there is progress.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_millis(50);
/// With many partitions watched no loop pauses for less than this times their number: a token can name any partition.
const SHARE: Duration = Duration::from_micros(500);

/// One look at the position of a partition.
type Look<E> = dyn Fn(i32) -> BoxFuture<'static, Result<At, E>> + Send + Sync;
/// What the last look saw; none before the first.
type Seen<E> = Option<Result<i64, E>>;

/// What one look at a partition saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    position: i64,
    log: Option<LogId>,
}

impl From<Position> for At {
    fn from(it: Position) -> Self {
        Self { position: it.applied, log: it.log }
    }
}

/// Watches the partitions of one read model. Cheap to clone.
pub(super) struct Watcher<E> {
    look: Arc<Look<E>>,
    shared: Arc<Mutex<Shared<E>>>,
    /// Loops belong to no caller, so they run on the runtime of the process.
    runtime: Handle,
}

struct Shared<E> {
    loops: HashMap<i32, watch::Sender<Seen<E>>>,
    /// The highest positions ever seen, and the logs that they are of.
    known: HashMap<i32, At>,
}

impl<E> Clone for Watcher<E> {
    fn clone(&self) -> Self {
        Self { look: self.look.clone(), shared: self.shared.clone(), runtime: self.runtime.clone() }
    }
}

impl<E> fmt::Debug for Watcher<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl<E: Clone + Send + Sync + 'static> Watcher<E> {
    /// Must be called on the runtime that the loops shall run on.
    pub(super) fn new<P: Into<At> + Send + 'static>(
        look: impl Fn(i32) -> BoxFuture<'static, Result<P, E>> + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared { loops: HashMap::new(), known: HashMap::new() };
        let look = move |partition: i32| {
            let looked = look(partition);
            async move { looked.await.map(|it| -> At { it.into() }) }.boxed()
        };
        Self { look: Arc::new(look), shared: Arc::new(Mutex::new(shared)), runtime: Handle::current() }
    }

    /// The position that is known without a look, if it is above `offset`.
    pub(super) fn known_past(&self, partition: i32, offset: i64) -> Option<i64> {
        let known = locked(&self.shared).known.get(&partition).map(|it| it.position);
        known.filter(|position| *position > offset)
    }

    /// The log that the partition was seen to be of last, if that is known.
    pub(super) fn known_log(&self, partition: i32) -> Option<LogId> {
        locked(&self.shared).known.get(&partition).and_then(|it| it.log)
    }

    /// One look, for those who do not wait.
    pub(super) async fn look_once(&self, partition: i32, offset: i64) -> Result<Waited, E> {
        let at = (self.look)(partition).await?;
        locked(&self.shared).saw(partition, at);
        let position = at.position;
        Ok(if position > offset { Waited::Reached(position) } else { Waited::StillAt(position) })
    }

    /// Waits until the position is above `offset`, or `end`. There is always one look, if need be beyond `end`.
    pub(super) async fn wait_past(&self, partition: i32, offset: i64, end: Instant) -> Result<Waited, E> {
        loop {
            let mut seen = self.subscribe(partition);
            let is_answer = |seen: &Seen<E>| match seen {
                Some(Ok(position)) => *position > offset,
                Some(Err(_)) => true,
                None => false,
            };
            let in_time = timeout_at(end, async { seen.wait_for(is_answer).await.map(|seen| seen.clone()) });
            let answer = match in_time.await {
                Ok(answer) => answer,
                Err(_) => seen.wait_for(Option::is_some).await.map(|seen| seen.clone()),
            };
            match answer {
                Ok(Some(Ok(position))) if position > offset => return Ok(Waited::Reached(position)),
                Ok(Some(Ok(position))) => return Ok(Waited::StillAt(position)),
                Ok(Some(Err(error))) => return Err(error),
                // The loop ended in between: a defect, or the runtime ends. Whoever still waits starts another.
                Ok(None) | Err(_) => sleep(FIRST_PAUSE).await,
            }
        }
    }

    fn subscribe(&self, partition: i32) -> watch::Receiver<Seen<E>> {
        let mut shared = locked(&self.shared);
        if let Some(seen) = shared.loops.get(&partition) {
            return seen.subscribe();
        }
        let (sender, seen) = watch::channel(None);
        shared.loops.insert(partition, sender.clone());
        drop(shared);
        let (look, shared) = (self.look.clone(), self.shared.clone());
        self.runtime.spawn(Loop { look, shared, partition, seen: sender }.run());
        seen
    }
}

/// The loop of one partition.
struct Loop<E> {
    look: Arc<Look<E>>,
    shared: Arc<Mutex<Shared<E>>>,
    partition: i32,
    seen: watch::Sender<Seen<E>>,
}

impl<E: Clone + Send + Sync + 'static> Loop<E> {
    /// Looks as long as anybody waits.
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut last = i64::MAX;
        loop {
            let looked = tokio::select! {
                looked = (self.look)(self.partition) => looked,
                () = self.seen.closed() => {
                    if self.is_left_alone() { return }
                    continue;
                }
            };
            let Some((position, loops)) = self.publish(looked) else { return };
            if position > last {
                pause = FIRST_PAUSE;
            }
            last = position;
            tokio::select! {
                () = sleep(pause.max(SHARE * loops)) => pause = (pause * 2).min(MAX_PAUSE),
                () = self.seen.closed() => if self.is_left_alone() { return },
            }
        }
    }

    /// Tells all who wait. Gives the position and how many loops there are; none after an error, which ends the loop.
    fn publish(&self, looked: Result<At, E>) -> Option<(i64, u32)> {
        let mut shared = locked(&self.shared);
        let going_on = if let Ok(at) = looked {
            shared.saw(self.partition, at);
            Some((at.position, shared.loops.len() as u32))
        } else {
            // Under the lock, so that nobody subscribes to an error that is over.
            shared.loops.remove(&self.partition);
            None
        };
        self.seen.send_replace(Some(looked.map(|at| at.position)));
        going_on
    }

    /// Whether nobody waits; if so, nobody can subscribe any more.
    fn is_left_alone(&self) -> bool {
        let mut shared = locked(&self.shared);
        let is_alone = self.seen.receiver_count() == 0;
        if is_alone {
            shared.loops.remove(&self.partition);
        }
        is_alone
    }
}

impl<E> Drop for Loop<E> {
    /// Also when a look panics: those who wait must learn that nobody looks any more.
    fn drop(&mut self) {
        let mut shared = locked(&self.shared);
        if shared.loops.get(&self.partition).is_some_and(|seen| seen.same_channel(&self.seen)) {
            shared.loops.remove(&self.partition);
        }
    }
}

impl<E> Shared<E> {
    fn saw(&mut self, partition: i32, at: At) {
        // Of what does not exist, 0 is said: a token can name any partition, and only real ones may take memory.
        if at.position > 0 {
            let known = self.known.entry(partition).or_insert(at);
            if at.log != known.log && at.log.is_some() && known.log.is_some() {
                // It was built from nothing, of another log: what was seen before says nothing of this one.
                *known = at;
            }
            known.position = at.position.max(known.position);
            known.log = at.log.or(known.log);
        }
    }
}

fn locked<E>(shared: &Mutex<Shared<E>>) -> MutexGuard<'_, Shared<E>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
