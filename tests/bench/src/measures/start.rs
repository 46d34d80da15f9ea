//! A catalog of 1,000,000 products: how long an instance takes from its start until it is ready, and how much memory.

use std::time::Instant;

use cli::system::Listens;
use testkit::memory;

use super::grpc_stream::Streams;
use super::megabytes;
use crate::audit::Acknowledged;
use crate::bench::{Bench, Catalog};
use crate::pairs;
use crate::report::Row;
use crate::workload::Workload;

const PRODUCTS: usize = 1_000_000;
/// Made and sent at once: the generator's memory is bounded, too.
const AT_ONCE: usize = 50_000;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut catalog = bench.catalog("start")?;
    let (listens, pid) = catalog.service()?;
    create(&listens, &mut Workload::new()?, PRODUCTS, &mut catalog.acknowledged)?;
    let mut memory = vec![("creating them", megabytes(memory::peak(pid)?))];
    let (mut warm, mut killed, mut replayed) = (Vec::new(), Vec::new(), Vec::new());
    catalog.drain_services();
    for _ in 0..bench.pairs {
        let (took, most) = start(&mut catalog)?;
        warm.push(took);
        memory.push(("a start", most));
        catalog.stop_services();
        killed.push(start(&mut catalog)?.0);
        catalog.stop_services();
        catalog.remove_caches()?;
        let (took, most) = start(&mut catalog)?;
        replayed.push(took);
        memory.push(("a replay", most));
        eprintln!(
            "  warm {:.2} s, after kill -9 {:.2} s, by replay {took:.2} s; {most:.0} MB",
            warm[warm.len() - 1],
            killed[killed.len() - 1]
        );
        catalog.drain_services();
    }
    catalog.check()?;
    let most = memory.iter().map(|(_, most)| *most).fold(0.0, f64::max);
    let during = memory.iter().find(|(_, it)| *it >= most).map_or("", |(when, _)| when);
    let row =
        |name: &str, times: &[f64], target: f64| Row::cost(name, "s", &pairs::alone(times), Some(target));
    Ok(vec![
        row("start with 1,000,000 products, cache kept", &warm, 3.0).noting("after SIGTERM, until ready"),
        row("the same after kill -9", &killed, 3.0),
        row("the same without a cache, by replay", &replayed, 20.0),
        Row::cost(
            "resident memory with 1,000,000 products, the most",
            "MB",
            &pairs::alone(&[most]),
            Some(400.0),
        )
        .noting(format!("while {during}")),
    ])
}

/// Creates so many products by gRPC streams.
pub(super) fn create(
    listens: &Listens,
    workload: &mut Workload,
    number: usize,
    acknowledged: &mut Acknowledged,
) -> anyhow::Result<()> {
    let streams = Streams::new()?;
    let mut left = number;
    while left > 0 {
        let now = left.min(AT_ONCE);
        acknowledged.extend(streams.send(listens, workload.creations(now)?)?);
        left -= now;
        if number > AT_ONCE {
            eprintln!("  {} of {number} products", number - left);
        }
    }
    Ok(())
}

/// Seconds until it is ready, and the most megabytes it took for that.
fn start(catalog: &mut Catalog<'_>) -> anyhow::Result<(f64, f64)> {
    let begun = Instant::now();
    let (_, pid) = catalog.service()?;
    Ok((begun.elapsed().as_secs_f64(), megabytes(memory::peak(pid)?)))
}
