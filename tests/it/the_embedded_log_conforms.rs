//! The log of one process is a log as the sequencer needs it, and feeds readers as they need it: the suites of both ports, on a real
//! disk. Needs no server.

use std::sync::Arc;

use adapter_embedded::log::{EmbeddedLog, LogOptions, PlainRecord};
use anyhow::Context as _;
use event_reader::LogReader;
use event_reader::feed::{Group, GroupOptions};
use ledger::{AppendId, EventLog, Headers, Inbox, NewRecord, Offset, Partition};
use ledger_sim::conformance::{self, Harness};
use tempfile::TempDir;
use testkit::feed_suite::{self, FeedLog, PARTITIONS};

struct OnDisk {
    log: EmbeddedLog,
    _dir: TempDir,
}

impl OnDisk {
    fn fresh() -> Self {
        let dir = tempfile::tempdir().expect("a directory is made");
        let options = LogOptions { topic: "events".to_owned(), partitions: PARTITIONS, durable: true };
        Self { log: EmbeddedLog::open(dir.path(), &options).expect("a log opens"), _dir: dir }
    }
}

/// The suite owns the logs that it opens.
struct Owned(Arc<dyn EventLog>);

impl EventLog for Owned {
    fn partitions(&self) -> i32 {
        self.0.partitions()
    }

    fn append(&self, partition: Partition, append_id: AppendId, record: NewRecord) {
        self.0.append(partition, append_id, record);
    }

    fn ask_end_offset(&self, partition: Partition, request: u64) {
        self.0.ask_end_offset(partition, request);
    }

    fn tail_from(&self, partition: Partition, from: Offset) {
        self.0.tail_from(partition, from);
    }

    fn applied(&self, partition: Partition, next: Offset) {
        self.0.applied(partition, next);
    }
}

impl Harness for OnDisk {
    fn open(&self, inbox: Arc<dyn Inbox>) -> Box<dyn EventLog> {
        Box::new(Owned(self.log.event_log(inbox)))
    }
}

impl FeedLog for OnDisk {
    async fn append(&self, partition: Partition, key: &str) -> anyhow::Result<Offset> {
        let record = PlainRecord { key: key.to_owned().into(), value: None, headers: Headers::new() };
        self.log.append(partition, &record).await.context("an append is acknowledged")
    }

    fn join(&self, max_batch_records: usize) -> anyhow::Result<Group> {
        Ok(self.log.join(GroupOptions { max_batch_records, ..GroupOptions::new("group") })?)
    }

    fn reader(&self) -> anyhow::Result<LogReader> {
        Ok(self.log.reader())
    }
}

#[test]
fn the_embedded_log_passes_the_suite_of_its_port() {
    conformance::run_all(|case| {
        // The outcome of a case is read in order: its name is the last line before a panic.
        eprintln!("case {case}");
        OnDisk::fresh()
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_log_passes_the_suite_of_the_feed() -> anyhow::Result<()> {
    feed_suite::run(async || OnDisk::fresh()).await
}
