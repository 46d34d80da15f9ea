//! An event log on local disk, in this process: what a topic on brokers is to Folio elsewhere, but for replication.
//!
//! Promises:
//! - a record that was acknowledged, and one that anybody has read, is on the disk, and there after `kill -9` or a loss of
//!   power at any moment (of a log that is not durable: after `kill -9`);
//! - offsets of a partition have no gaps, and none is given to a second record that anybody could have seen; timestamps of
//!   a partition never run backwards;
//! - a log that is not as it was written is refused with what is damaged, and never discarded or repaired.
//!
//! Checked when it is opened: that it is the log asked for; what fjall keeps of its tables; that the journal (what was written last, 64 MiB and more) is whole but for
//! a last write that was cut off; the beginning and the last 64 records of each partition. Everything else is checked when it
//! is read: blocks of files and every record have checksums, and a stretch has no gaps. What does not fit stops that
//! reader of that partition with an error that names the place. Not noticed: a journal that is missing as a whole, and a change in the last
//! four bytes of the very last write.
//!
//! Start at [`EmbeddedLog::open`].

mod ends;
mod error;
mod event_log;
mod form;
mod group;
mod journal;
mod queue;
mod ranges;
mod store;
mod tail;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use event_reader::LogReader;
use event_reader::feed::{EndOffsets, Group, GroupOptions};
use ledger::{AppendError, EventLog, Headers, Inbox, Offset, Partition};
use tokio::sync::{oneshot, watch};

pub use error::LogError;

use ends::{Ends, open_ends};
use event_log::Local;
use form::Draft;
use group::Shares;
use queue::{Appender, Queue, Reply};
use ranges::open_ranges;
use store::Store;
use writer::Writer;

/// Bytes of a group's name at most.
const MAX_GROUP_NAME: usize = 1_000;

/// Which log it is, and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The name of the topic, as brokers would have it.
    pub topic: String,
    /// At least one. A log keeps the number it was made with.
    pub partitions: i32,
    /// Whether a record is on the disk before it is acknowledged. Otherwise the machine's end may lose some, and damage the log.
    pub durable: bool,
}

/// A record of any kind: for what is not an event, and for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainRecord {
    pub key: Bytes,
    /// None: a tombstone.
    pub value: Option<Bytes>,
    pub headers: Headers,
}

/// An open log. Cheap to clone. It is closed, on threads of its own, when this and everything it gave out is dropped.
#[derive(Clone, Debug)]
pub struct EmbeddedLog(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    options: LogOptions,
    store: Arc<Store>,
    ends: Arc<Ends>,
    asked: EndOffsets,
    appender: Arc<Appender>,
    reader: LogReader,
    /// Why the writer writes nothing any more, if so.
    failed: watch::Receiver<Option<String>>,
    groups: Mutex<BTreeMap<String, Arc<Shares>>>,
}

impl EmbeddedLog {
    /// Opens the log in `dir`, which is made if it is missing. Reads what the module's documentation says; waits 2 s for
    /// whoever is still closing it.
    pub fn open(dir: &Path, options: &LogOptions) -> Result<Self, LogError> {
        if options.partitions < 1 {
            return Err(LogError::Invalid(format!(
                "a log has at least one partition, not {}",
                options.partitions
            )));
        }
        let (store, last) = Store::open(dir, options)?;
        let store = Arc::new(store);
        let ends = Arc::new(Ends::new(last.iter().map(|end| end.offset)));
        let queue = Arc::new(Queue::default());
        let appender = Arc::new(Appender::new(Arc::clone(&queue)));
        let (writer, failed) = Writer::new(Arc::clone(&store), Arc::clone(&ends), last);
        let start = || {
            std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || writer.run(&queue))?;
            let asked = open_ends(&options.topic, Arc::clone(&ends))?;
            Ok((open_ranges(&options.topic, Arc::clone(&store), Arc::clone(&ends))?, asked))
        };
        let (ranges, asked) = start().map_err(|error| threads(dir, &error))?;
        let reader = LogReader { partitions: options.partitions, ranges, ends: asked.clone() };
        let (options, groups) = (options.clone(), Mutex::default());
        Ok(Self(Arc::new(Parts { options, store, ends, asked, appender, reader, failed, groups })))
    }

    /// A writer and reader of the log, whose outcomes go to `inbox`.
    pub fn event_log(&self, inbox: Arc<dyn Inbox>) -> Arc<dyn EventLog> {
        let Parts { store, ends, asked, appender, .. } = &*self.0;
        let (store, ends, appender) = (Arc::clone(store), Arc::clone(ends), Arc::clone(appender));
        Arc::new(Local::open(store, ends, asked.clone(), appender, inbox))
    }

    /// Joins `options.group`. All members of a group are of this process, and share its partitions.
    pub fn join(&self, options: GroupOptions) -> Result<Group, LogError> {
        if options.group.len() > MAX_GROUP_NAME {
            let length = options.group.len();
            return Err(LogError::Invalid(format!(
                "a group's name has at most {MAX_GROUP_NAME} bytes, not {length}: choose a shorter one"
            )));
        }
        let Parts { store, ends, asked, appender, groups, .. } = &*self.0;
        let shares = {
            let mut groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
            let shares = groups.entry(options.group.clone());
            Arc::clone(shares.or_insert_with(|| Arc::new(Shares::new(self.partitions()))))
        };
        let (store, ends, appender) = (Arc::clone(store), Arc::clone(ends), Arc::clone(appender));
        // A reader of its own: looking back must not wait for somebody else's stretch.
        let ranges = open_ranges(&self.0.options.topic, Arc::clone(&store), Arc::clone(&ends));
        let joined = ranges.and_then(|ranges| {
            let log = LogReader { partitions: self.partitions(), ranges, ends: asked.clone() };
            group::join(log, store, ends, appender, shares, options)
        });
        joined.map_err(|error| threads(self.0.store.dir(), &error))
    }

    /// Reads the log beside those who follow it.
    pub fn reader(&self) -> LogReader {
        self.0.reader.clone()
    }

    /// How many partitions there are: `0..partitions`.
    pub fn partitions(&self) -> i32 {
        self.0.options.partitions
    }

    /// Which log it is: what is built from another one is worth nothing with this one.
    pub fn identity(&self) -> String {
        self.0.store.identity().to_owned()
    }

    /// Ends when the log takes no records any more, with the reason: what is appended then is refused until it is opened again. It keeps
    /// no log open.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let mut failed = self.0.failed.clone();
        async move {
            let why = failed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
            match why {
                Some(why) => why,
                // It was closed, and never failed.
                None => std::future::pending().await,
            }
        }
    }

    /// Appends a record of any kind, at once and not when it is awaited; its offset when it is acknowledged.
    pub fn append(
        &self,
        partition: Partition,
        record: &PlainRecord,
    ) -> impl Future<Output = Result<Offset, AppendError>> + Send + use<> {
        let (reply, outcome) = oneshot::channel();
        let draft = Draft::new(&record.key, record.value.as_deref(), &record.headers);
        self.0.appender.append(partition, draft, Reply::Once(reply));
        async move {
            let closed = || Err(AppendError::Unknown("the log's writer has ended".to_owned()));
            outcome.await.unwrap_or_else(|_| closed())
        }
    }
}

fn threads(dir: &Path, error: &io::Error) -> LogError {
    let problem = error.to_string();
    LogError::Unusable { tried: "start the threads of the log in", dir: dir.to_owned(), problem }
}
