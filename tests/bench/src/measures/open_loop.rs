//! An open loop of single commands over HTTP: commands come at a given rate, and times count from when each was due: a
//! service that stalls is charged for every command that had to wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use cli::system::Listens;
use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bench::Bench;
use crate::client::http::event;
use crate::client::single::Connection;
use crate::pairs;
use crate::report::Row;
use crate::workload::{Workload, request};

/// Enough that one is free when a command is due, unless the service has very many in flight: those of two seconds, between these.
const CONNECTIONS: (usize, usize) = (64, 1_500);
/// The status of a command that was turned away.
const TURNED_AWAY: u16 = 429;

type Due = (Instant, Bytes);

/// What came of an open loop.
pub(super) struct Told {
    /// Nanoseconds from the time due to the answer, of those accepted.
    pub times: Histogram<u64>,
    pub events: Vec<Uuid>,
    pub turned_away: usize,
    /// From the first one due to the last answer.
    pub took: Duration,
}

impl Told {
    /// Accepted commands a second.
    pub(super) fn rate(&self) -> f64 {
        self.events.len() as f64 / self.took.as_secs_f64()
    }

    /// In milliseconds.
    pub(super) fn at(&self, quantile: f64) -> f64 {
        self.times.value_at_quantile(quantile) as f64 / 1e6
    }
}

/// The row of an open loop at `rate` commands a second for `time`.
pub(super) fn measure(bench: &Bench, rate: f64, time: Duration) -> anyhow::Result<Row> {
    let mut catalog = bench.catalog("open-loop")?;
    let (listens, _) = catalog.service()?;
    let told = run(&listens, &mut Workload::new()?, rate, time)?;
    ensure!(told.turned_away == 0, "{} commands were turned away at half the peak", told.turned_away);
    let note = format!(
        "at {rate:.0} commands/s, from the time due: p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
        told.at(0.99),
        told.at(0.999),
        told.times.max() as f64 / 1e6
    );
    let p50 = told.at(0.5);
    catalog.acknowledged.extend(told.events);
    catalog.check()?;
    Ok(Row::cost("open loop at 50 % of the peak, p50", "ms", &pairs::alone(&[p50]), None).noting(note))
}

/// Sends `rate` creations a second for `time`, due at even intervals: one command for each product, so that none waits for
/// another of its own product.
pub(super) fn run(
    listens: &Listens,
    workload: &mut Workload,
    rate: f64,
    time: Duration,
) -> anyhow::Result<Told> {
    let number = (rate * time.as_secs_f64()) as usize;
    let creations = workload.creations(number)?;
    let requests = creations.iter().map(request).collect::<anyhow::Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Room for all: a service that does not keep up must not slow the arrivals down.
    let (due, waiting) = mpsc::channel(number.max(1));
    let begin = Instant::now() + Duration::from_millis(300);
    let pacing = std::thread::Builder::new()
        .name("pace".to_owned())
        .spawn(move || pace(requests, begin, rate, &due))?;
    let connections = ((2.0 * rate) as usize).clamp(CONNECTIONS.0, CONNECTIONS.1);
    let told = runtime.block_on(serve(&listens.http, connections, waiting, begin))?;
    pacing.join().map_err(|_| anyhow::anyhow!("pacing panicked"))?;
    Ok(told)
}

/// Hands requests over when they are due. The channel holds what the service has not kept up with.
fn pace(requests: Vec<Bytes>, begin: Instant, rate: f64, due: &mpsc::Sender<Due>) {
    for (number, request) in requests.into_iter().enumerate() {
        let at = begin + Duration::from_secs_f64(number as f64 / rate);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if due.blocking_send((at, request)).is_err() {
            // The other end has failed, and says why.
            return;
        }
    }
}

async fn serve(
    address: &str,
    number: usize,
    waiting: mpsc::Receiver<Due>,
    begin: Instant,
) -> anyhow::Result<Told> {
    let waiting = Arc::new(Mutex::new(waiting));
    let mut connections = JoinSet::new();
    for _ in 0..number {
        let (waiting, address) = (Arc::clone(&waiting), address.to_owned());
        connections.spawn(async move {
            let mut connection = Connection::open(&address).await?;
            let (mut answered, mut turned_away) = (Vec::new(), 0);
            loop {
                let Some((at, request)) = waiting.lock().await.recv().await else { break };
                let (status, body) = connection.exchange(&request).await?;
                match status {
                    200 | 201 => answered.push((at.elapsed(), event(body)?)),
                    TURNED_AWAY => turned_away += 1,
                    _ => bail!("a command was answered {status}: {}", String::from_utf8_lossy(body)),
                }
            }
            Ok((answered, turned_away))
        });
    }
    let mut times = Histogram::new(3).context("making a histogram")?;
    let (mut events, mut turned_away) = (Vec::new(), 0);
    for told in connections.join_all().await {
        let (answered, refused) = told?;
        turned_away += refused;
        for (time, event) in answered {
            times.record(u64::try_from(time.as_nanos())?)?;
            events.push(event);
        }
    }
    Ok(Told { times, events, turned_away, took: begin.elapsed() })
}
