//! Whether the log that is read is the one that the rows were made of.
//!
//! Promises: no partition is begun before it was looked at, and no batch is applied longer than [`FRESH`] after the last look that
//! found the log to be the one it was; what one partition shows of another log stops all partitions of the build.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use event_reader::feed;
use event_reader::{LogLooks, LogNow, OtherLog};
use ledger::{Offset, Partition};
use read_models::LogId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toolkit::retry::Transient;

use crate::watch::Progress;

/// How often a partition is looked at, one after another: a topic is made anew as a whole.
const EVERY: Duration = Duration::from_secs(1);
/// How old the last look may be when a batch is applied.
pub(crate) const FRESH: Duration = Duration::from_millis(1_500);

/// What to do about it.
pub(crate) const REMEDY: &str = "if this is not the topic or the cluster that is meant, configure the right one and restart; if \
    it is, build the read models of it from nothing: give another cql.keyspace, search.index_prefix and group_prefix, run \
    `folio stores apply`, restart (docs/operating.md, \"A log that was replaced\")";

/// What the partitions of a build know of their log together.
#[derive(Debug)]
pub(crate) struct SameLog {
    looks: LogLooks,
    topic: String,
    /// How old the last look may be when a batch is applied.
    fresh: Duration,
    /// When the last look began that found nothing else.
    looked: Mutex<Option<Instant>>,
    found: watch::Sender<Option<Arc<str>>>,
}

/// A look without the result that is hoped for.
#[derive(Debug)]
pub(crate) enum LookError {
    /// The log could not be looked at.
    Away(feed::Error),
    /// It is another one: how, and where.
    Other(Arc<str>),
}

impl From<feed::Error> for LookError {
    fn from(error: feed::Error) -> Self {
        Self::Away(error)
    }
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(error) => error.fmt(f),
            Self::Other(found) => found.fmt(f),
        }
    }
}

impl Transient for LookError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Away(error) => error.is_transient(),
            Self::Other(_) => false,
        }
    }
}

impl SameLog {
    pub(crate) fn new(looks: LogLooks, topic: &str, fresh: Duration) -> Self {
        let (topic, looked) = (topic.to_owned(), Mutex::default());
        Self { looks, topic, fresh, looked, found: watch::Sender::new(None) }
    }

    /// What was found to be wrong, as soon as it is.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.found.subscribe()
    }

    /// Whether another look is not needed yet.
    pub(crate) fn is_fresh(&self) -> bool {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_some_and(|at| at.elapsed() < self.fresh)
    }

    /// Looks at a partition whose rows are of `log`, and are applied below `at`. What is there, if they go on in it.
    pub(crate) async fn look(
        &self,
        partition: i32,
        log: Option<LogId>,
        at: Offset,
    ) -> Result<LogNow, LookError> {
        let begun = Instant::now();
        let now = self.looks.look(Partition(partition), log, at).await?;
        let now = now.map_err(|other| self.found(partition, other))?;
        if now.log.is_some() {
            // An empty partition tells nothing.
            self.looked_at(begun);
        }
        Ok(now)
    }

    /// Looks at it again, while it is read: records that come need no end that anybody confirms.
    pub(crate) async fn look_again(&self, partition: i32, was: LogId, at: Offset) -> Result<(), LookError> {
        let begun = Instant::now();
        match self.looks.beginning(Partition(partition)).await? {
            Some(is) if is == was => self.looked_at(begun),
            Some(is) => return Err(self.found(partition, OtherLog::Another { was, is, at })),
            None => drop(self.look(partition, Some(was), at).await?),
        }
        Ok(())
    }

    fn looked_at(&self, begun: Instant) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        *looked = (*looked).max(Some(begun));
    }

    fn found(&self, partition: i32, other: OtherLog) -> LookError {
        let topic = &self.topic;
        let found: Arc<str> =
            format!("the rows are of another log than topic {topic}: partition {partition}: {other}").into();
        self.found.send_replace(Some(Arc::clone(&found)));
        LookError::Other(found)
    }

    /// Looks again and again, until `shutdown`: nothing may come, and questions be answered of rows of another log.
    pub(crate) async fn watch(&self, progress: &Progress, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut last = -1;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            let held = progress.logs();
            let next = held.iter().find(|it| it.partition > last).or(held.first());
            let Some(next) = next else { continue };
            last = next.partition;
            // Another log is told by the partitions, which stop; readiness names the log if it is away.
            if let Err(LookError::Away(error)) = self.look(next.partition, Some(next.log), next.at).await {
                tracing::debug!(%error, "cannot look whether the log is the one it was");
            }
        }
    }
}
