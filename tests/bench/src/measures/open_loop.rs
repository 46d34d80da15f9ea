//! The latency of single commands over HTTP at a given rate, from the time each was due: a service that stalls is
//! charged for every command that had to wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::http_single::accepted;
use crate::bench::Bench;
use crate::client::single::Connection;
use crate::pairs;
use crate::report::Row;
use crate::workload::{Workload, request};

/// Enough that one is free when a command is due.
const CONNECTIONS: usize = 256;

type Due = (Instant, Bytes);

/// Sends `rate` commands a second for `time`, due at even intervals.
pub(crate) fn measure(bench: &Bench, rate: f64, time: Duration) -> anyhow::Result<Row> {
    let mut catalog = bench.catalog("open-loop")?;
    let (listens, _) = catalog.service()?;
    // One command for each product, so that none waits for another of its own product.
    let number = (rate * time.as_secs_f64()) as usize;
    let mut requests = Vec::new();
    let mut workload = Workload::new()?;
    while requests.len() < number {
        let creations = workload.commands(40_000)?;
        let creations = creations.iter().filter(|it| it.command.name() == "create_product");
        requests.extend(creations.map(request).collect::<anyhow::Result<Vec<_>>>()?);
    }
    requests.truncate(number);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Room for all: a service that does not keep up must not slow the arrivals down.
    let (due, waiting) = mpsc::channel(number.max(1));
    let pacing =
        std::thread::Builder::new().name("pace".to_owned()).spawn(move || pace(requests, rate, &due))?;
    let (times, events) = runtime.block_on(serve(&listens.http, waiting))?;
    pacing.join().map_err(|_| anyhow::anyhow!("pacing panicked"))?;
    catalog.acknowledged.extend(events);
    catalog.check()?;
    let at = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1e6;
    let note = format!(
        "at {rate:.0} commands/s, from the time due: p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
        at(0.99),
        at(0.999),
        times.max() as f64 / 1e6
    );
    Ok(Row::cost("open loop at 50 % of the peak, p50", "ms", &pairs::alone(&[at(0.5)]), None).noting(note))
}

/// Hands requests over when they are due. The channel holds what the service has not kept up with.
fn pace(requests: Vec<Bytes>, rate: f64, due: &mpsc::Sender<Due>) {
    let begun = Instant::now() + Duration::from_millis(100);
    for (number, request) in requests.into_iter().enumerate() {
        let at = begun + Duration::from_secs_f64(number as f64 / rate);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if due.blocking_send((at, request)).is_err() {
            // The other end has failed, and says why.
            return;
        }
    }
}

async fn serve(address: &str, waiting: mpsc::Receiver<Due>) -> anyhow::Result<(Histogram<u64>, Vec<Uuid>)> {
    let waiting = Arc::new(Mutex::new(waiting));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (waiting, address) = (Arc::clone(&waiting), address.to_owned());
        connections.spawn(async move {
            let mut connection = Connection::open(&address).await?;
            let mut answered = Vec::new();
            loop {
                let Some((at, request)) = waiting.lock().await.recv().await else { break };
                let event = accepted(&mut connection, &request).await?;
                answered.push((at.elapsed(), event));
            }
            anyhow::Ok(answered)
        });
    }
    let mut times = Histogram::new(3).context("making a histogram")?;
    let mut events = Vec::new();
    for answered in connections.join_all().await {
        for (time, event) in answered? {
            times.record(u64::try_from(time.as_nanos())?)?;
            events.push(event);
        }
    }
    Ok((times, events))
}
