//! Twice the rate that one instance can sustain, single commands over HTTP, against that rate itself.
//!
//! Sustained is a rate in an open loop whose commands are taken and answered in time. It is less than the peak of 64
//! connections that wait for their answers: arrivals do not wait.

use std::time::Duration;

use anyhow::Context as _;
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
/// The shares of the peak that are tried, and what a sustained one keeps: of a hundred commands at most one is turned away,
/// and the 99th percentile stays within what the service calls slow (`overload.target_ms`).
const SHARES: [f64; 5] = [0.4, 0.5, 0.6, 0.7, 0.8];
const MAX_TURNED_AWAY: f64 = 0.01;
const MAX_MS: f64 = 100.0;
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
    // The first warms up.
    offer(SHARES[0] * peak)?;
    let mut sustained = None;
    for share in SHARES {
        let told = offer(share * peak)?;
        let of_all = told.turned_away as f64 / (told.turned_away + told.events.len()) as f64;
        eprintln!("  {:.0}/s: p99 {:.0} ms, {} turned away", share * peak, told.at(0.99), told.turned_away);
        if of_all > MAX_TURNED_AWAY || told.at(0.99) > MAX_MS {
            break;
        }
        sustained = Some(share * peak);
    }
    let sustained = sustained.context("no rate is sustained: the machine is busy with something else")?;
    let before = megabytes(memory::resident(pid)?);
    let mut told: Vec<(Told, Told)> = Vec::new();
    for pair in 0..bench.pairs {
        let both = (offer(sustained)?, offer(2.0 * sustained)?);
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
    let rate = Row::rate(
        "accepted at twice the sustained rate / at it",
        "commands/s",
        &compared(&Told::rate),
        0.9,
    )
    .noting(format!(
        "sustained are {sustained:.0}/s, with 64 connections {peak:.0}/s; {turned_away} were turned away"
    ));
    let mut p99 = Row::rate("p99 of the accepted, the same", "ms", &compared(&|it| it.at(0.99)), 1.5);
    p99.better = Better::Lower;
    let memory = Row::cost("memory grown by overload", "MB", &pairs::alone(&[grown]), Some(FLAT_MB));
    Ok(vec![rate, p99, memory])
}
