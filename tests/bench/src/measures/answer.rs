//! What an answer costs beyond the broker's acknowledgement: one client at a time, in turn with a bare produce of the same
//! record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow, ensure};
use bytes::Bytes;
use uuid::Uuid;

use crate::bench::Bench;
use crate::client::http::event;
use crate::client::single::Blocking;
use crate::pairs::{self, Pair};
use crate::report::Row;
use crate::workload::{Workload, request};

/// Exchanges of a pair.
const ROUNDS: usize = 2_000;
/// Exchanges before the first pair.
const WARM: usize = 4_000;

/// Commands that a client beside may send at most; it ends with the measure.
const MAX: usize = 200_000;

/// One instance, one client.
pub(crate) fn alone(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    measure(bench, "answer", 0, "answer minus bare acknowledgement, p50", 0.5)
}

/// The instance that is measured has two others beside it, each with a client that commands without a pause.
pub(crate) fn among_three(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    measure(bench, "answer-three", 2, "the same among three writing instances, p50", 2.0)
}

fn measure(bench: &Bench, name: &str, others: usize, row: &str, target: f64) -> anyhow::Result<Vec<Row>> {
    static STOP: AtomicBool = AtomicBool::new(false);
    STOP.store(false, Ordering::Relaxed);
    let mut catalog = bench.catalog(name)?;
    let mut workload = Workload::new()?;
    let address = catalog.service()?.0.http;
    let mut beside: Vec<JoinHandle<anyhow::Result<Vec<Uuid>>>> = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..others {
        addresses.push(catalog.service()?.0.http);
    }
    let mut requests = commands(&mut workload, WARM + bench.pairs * ROUNDS)?.into_iter();
    // A connection that says nothing for long is closed: each is opened when its requests are ready.
    let mut client = Blocking::open(&address)?;
    let mut command = || {
        let (took, status, body) = client.exchange(&requests.next().context("enough requests were made")?)?;
        ensure!((200..300).contains(&status), "answered {status}: {}", String::from_utf8_lossy(&body));
        anyhow::Ok((took.as_secs_f64() * 1e3, event(&body)?))
    };
    for _ in 0..WARM {
        catalog.acknowledged.extend([command()?.1]);
    }
    let records = catalog.sample(ROUNDS)?;
    let mut bare = catalog.bare()?;
    for (partition, record) in &records {
        bare.one(*partition, record)?;
    }
    let mut prepared = Vec::new();
    for address in addresses {
        prepared.push((address, commands(&mut workload, MAX)?));
    }
    for (address, requests) in prepared {
        beside.push(std::thread::spawn(move || {
            let mut client = Blocking::open(&address)?;
            let mut events = Vec::new();
            for request in requests {
                if STOP.load(Ordering::Relaxed) {
                    break;
                }
                let (_, status, body) = client.exchange(&request)?;
                ensure!((200..300).contains(&status), "answered {status}");
                events.push(event(&body)?);
            }
            Ok(events)
        }));
    }
    let (mut pairs, mut all_bare, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..bench.pairs {
        let (mut acknowledgements, mut answers) = (Vec::new(), Vec::new());
        for (partition, record) in &records {
            acknowledgements.push(bare.one(*partition, record)?.as_secs_f64() * 1e3);
            let (took, event) = command()?;
            answers.push(took);
            catalog.acknowledged.extend([event]);
        }
        all.extend_from_slice(&answers);
        all_bare.extend_from_slice(&acknowledgements);
        let pair =
            Pair { ceiling: pairs::median(&mut acknowledgements), system: pairs::median(&mut answers) };
        eprintln!(
            "  pair {}: acknowledged {:.3} ms, answered {:.3} ms",
            number + 1,
            pair.ceiling,
            pair.system
        );
        pairs.push(pair);
    }
    STOP.store(true, Ordering::Relaxed);
    for beside in beside {
        let events = beside.join().map_err(|_| anyhow!("a client beside panicked"))??;
        eprintln!("  a client beside: {} commands", events.len());
        catalog.acknowledged.extend(events);
    }
    catalog.check()?;
    let summary = pairs::summary(&pairs, |pair| pair.system - pair.ceiling);
    let note = format!(
        "answer p50 {:.2}, p99 {:.2} ms; acknowledgement p50 {:.2}, p99 {:.2} ms; p99 minus p99 {:.2} ms",
        summary.system,
        pairs::quantile(&mut all, 0.99),
        summary.ceiling,
        pairs::quantile(&mut all_bare, 0.99),
        pairs::quantile(&mut all, 0.99) - pairs::quantile(&mut all_bare, 0.99),
    );
    Ok(vec![Row::cost(row, "ms", &summary, Some(target)).noting(note)])
}

/// At least `number` requests.
fn commands(workload: &mut Workload, number: usize) -> anyhow::Result<Vec<Bytes>> {
    workload.commands(number.next_multiple_of(4))?.iter().map(request).collect()
}
