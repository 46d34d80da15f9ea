//! The measures, each a module of its own. To add one: a function from the run to its rows, and a line in [`ALL`].

mod answer;
mod authentication;
mod grpc_stream;
mod http_bulk;
mod http_single;
mod in_process;
pub(crate) mod one_process;
mod open_loop;
mod overload;
mod projector;
mod rebuild;
mod rejection;
mod replay;
mod service;
mod start;
mod tls;
pub(crate) mod warm;

use std::time::{Duration, Instant};

use adapter_kafka::bare::BareProducer;
use anyhow::ensure;
use ledger::{LogRecord, Partition};
use toolkit::lifecycle::Readiness;

use crate::bench::Bench;
use crate::report::Row;

pub(crate) use grpc_stream::Streams;

/// What measures: sets up what it needs, measures pairs, checks the log, tells rows.
pub(crate) type Measure = fn(&Bench) -> anyhow::Result<Vec<Row>>;

/// Every measure by its name, in the order they run.
pub(crate) const ALL: [(&str, Measure); 16] = [
    ("in-process", in_process::measure),
    ("grpc-stream", grpc_stream::measure),
    ("http-bulk", http_bulk::measure),
    ("http-single", http_single::measure),
    ("answer", answer::alone),
    ("answer-three", answer::among_three),
    ("rejection", rejection::measure),
    ("replay", replay::measure),
    ("overload", overload::measure),
    ("start", start::measure),
    ("tls", tls::measure),
    ("authentication", authentication::measure),
    ("projector-products", projector::products),
    ("projector-search", projector::search),
    ("rebuild-time", rebuild::time),
    ("rebuild-beside", rebuild::beside),
];

/// Names that stand for all measures that begin so.
const SEVERAL: [&str; 2] = ["rebuild", "projector"];

/// The measure that needs no servers.
pub(crate) const ONE_PROCESS: &str = "one-process";

/// The names, for the command line.
pub(crate) fn names() -> clap::builder::PossibleValuesParser {
    ALL.iter().map(|(name, _)| *name).chain(SEVERAL).chain([ONE_PROCESS]).into()
}

/// Whether a measure is meant by one of these names, of which none means all.
pub(crate) fn is_asked(only: &[String], name: &str) -> bool {
    let means = |it: &String| it == name || (SEVERAL.contains(&&**it) && name.starts_with(&**it));
    only.is_empty() || only.iter().any(means)
}

/// Records a bare producer may have in flight where throughput is measured: librdkafka's queue is never empty, and the
/// broker's answer never waited for.
pub(crate) const OUTSTANDING: usize = 20_000;

/// Bytes in megabytes of 1,000,000.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// How long an instance in this process may take until it is ready.
const READY: Duration = Duration::from_mins(2);

/// Waits for an instance in this process.
fn wait_ready(readiness: &Readiness) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !readiness.is_ready() {
        ensure!(begun.elapsed() < READY, "the instance is not ready after {READY:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Sends all records as bare produces; records a second.
fn flood(
    bare: &mut BareProducer,
    records: &[(Partition, LogRecord)],
    outstanding: usize,
) -> anyhow::Result<f64> {
    let took = bare.flood(records.iter().map(|(partition, record)| (*partition, record)), outstanding)?;
    Ok(records.len() as f64 / took.as_secs_f64())
}
