//! The log decides: which records of a partition count, and how a writer without any lock answers commands.
//!
//! A record at offset `o` of a product is **effective** if and only if `0 <= o - basis <= WINDOW` and its version is
//! the product's current version plus one; any other record is **void** and changes nothing for anyone, ever. The key
//! of a record alone decides ([`RecordKey`], [`rule`]).
//!
//! - [`PartitionDriver`]: one per partition and writer. Takes inputs (command, the log's signals, what is known of
//!   schemas, saves, time) and returns outputs (append, ask for the end offset or a schema, follow, answer). In it a
//!   [`Sequencer`] decides.
//! - [`Reader`]: judges records for those who only read, from any start and without state.
//! - [`Snapshot`], [`ColdProducts`]: saved states, a cache only; a [`Mark`] proves that they are of this log.
//! - [`LogId`]: which log a partition is of, told by its first record.
//! - [`EventLog`], [`Inbox`], [`Signal`]: the port to a real log. Kafka, embedded and simulated adapters implement it.
//!
//! Pure: no I/O, no clock, no threads, no randomness, and no product type: a product is a [`Subject`].

mod aggregate;
mod driver;
mod expected;
mod headers;
mod key;
mod laws;
mod log_id;
mod partition;
mod port;
mod reader;
mod record;
pub mod rule;
mod sequencer;
mod snapshot;
mod subject;

pub use aggregate::{Aggregate, Decision, EvolveError};
pub use driver::{Decoder, Held, PartitionDriver, SavePolicy, SchemaStanding};
pub use expected::Expected;
pub use headers::Headers;
pub use key::{KeyError, RecordKey};
pub use laws::{Kept, Laws};
pub use log_id::{LogId, NoLogId};
pub use partition::{Partition, partition_of};
pub use port::{AppendError, EventLog, Inbox, LogError, Signal, TailError};
pub use reader::{Judgement, Reader};
pub use record::{AppendId, CommandHash, CommandId, LogRecord, NewRecord, Offset};
pub use rule::{Verdict, VoidReason, WINDOW};
pub use sequencer::{
    Answer, Append, CommandKey, DecodedRecord, Limits, Output, Sequencer, Submission, Unreadable,
};
pub use snapshot::{ColdError, ColdProducts, Mark, SAVED_FORMAT, Saved, Snapshot};
pub use subject::{Subject, SubjectError};
