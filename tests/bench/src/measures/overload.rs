//! Twice the rate that one instance can take, single commands over HTTP, against as many as it can take.

use std::time::Duration;

use testkit::memory;

use super::http_single::Singles;
use super::megabytes;
use super::open_loop::{self, Told};
use super::service::Client as _;
use crate::bench::Bench;
use crate::pairs;
use crate::report::{Better, Row};
use crate::workload::Workload;

const TIME: Duration = Duration::from_secs(6);
/// Products in the catalog beforehand: more than stay in memory.
const WARM: usize = 60_000;
/// How much memory may grow, in MB: what the allocator keeps of the burst.
const FLAT_MB: f64 = 64.0;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut catalog = bench.catalog("overload")?;
    let (listens, pid) = catalog.service()?;
    let mut workload = Workload::new()?;
    super::start::create(&listens, &mut workload, WARM, &mut catalog.acknowledged)?;
    let singles = Singles::new()?;
    let number = bench.commands / 4;
    let requests = singles.prepare(workload.commands(number)?)?;
    let begun = std::time::Instant::now();
    catalog.acknowledged.extend(singles.drive(&listens, requests)?);
    let peak = number as f64 / begun.elapsed().as_secs_f64();

    let mut offer = |rate: f64| {
        let told = open_loop::run(&listens, &mut workload, rate, TIME)?;
        catalog.acknowledged.extend(told.events.iter().copied());
        anyhow::Ok(told)
    };
    offer(peak)?;
    let before = megabytes(memory::resident(pid)?);
    let mut told: Vec<(Told, Told)> = Vec::new();
    for pair in 0..bench.pairs {
        let both = (offer(peak)?, offer(2.0 * peak)?);
        let said = |told: &Told| {
            format!("{:.0}/s, p99 {:.0} ms, {} turned away", told.rate(), told.at(0.99), told.turned_away)
        };
        eprintln!("  pair {}: once {}; twice {}", pair + 1, said(&both.0), said(&both.1));
        told.push(both);
    }
    let grown = megabytes(memory::resident(pid)?) - before;
    catalog.check()?;
    let compared = |what: &dyn Fn(&Told) -> f64| {
        let pair = |(once, twice): &(Told, Told)| pairs::Pair { ceiling: what(once), system: what(twice) };
        pairs::summary(&told.iter().map(pair).collect::<Vec<_>>(), |pair| pair.system / pair.ceiling)
    };
    let turned_away: usize = told.iter().map(|(_, twice)| twice.turned_away).sum();
    let rate =
        Row::rate("accepted at twice the peak / at the peak", "commands/s", &compared(&Told::rate), 0.9)
            .noting(format!("the peak is {peak:.0}/s with 64 connections; {turned_away} were turned away"));
    let mut p99 = Row::rate("p99 of the accepted, the same", "ms", &compared(&|it| it.at(0.99)), 1.5);
    p99.better = Better::Lower;
    let memory = Row::cost("memory grown by overload", "MB", &pairs::alone(&[grown]), Some(FLAT_MB));
    Ok(vec![rate, p99, memory])
}
