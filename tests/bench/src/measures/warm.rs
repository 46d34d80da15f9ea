//! Before anything is measured: the broker's compiler takes processors from everyone until it has seen enough.

use std::time::{Duration, Instant};

use super::grpc_stream::Streams;
use super::{OUTSTANDING, flood};
use crate::bench::Bench;
use crate::workload::Workload;

/// So long both ways of writing go on in turn.
const TIME: Duration = Duration::from_secs(30);

/// Writes through a service, and bare, and reads.
pub(crate) fn up(bench: &Bench) -> anyhow::Result<()> {
    eprintln!("warming the broker up");
    let begun = Instant::now();
    let mut catalog = bench.catalog("warm-up")?;
    let (listens, _) = catalog.service()?;
    let (streams, mut workload) = (Streams::new()?, Workload::new()?);
    let mut bare = catalog.bare()?;
    while begun.elapsed() < TIME {
        catalog.acknowledged.extend(streams.send(&listens, workload.commands(bench.commands)?)?);
        let records = catalog.sample(bench.commands)?;
        flood(&mut bare, &records, OUTSTANDING)?;
        flood(&mut bare, &records, OUTSTANDING)?;
    }
    catalog.check()
}
