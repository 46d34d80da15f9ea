//! The client in the cluster: it writes, reads and imports through the Services as anyone would, and counts; at the end it
//! compares what it was told with the log and the stores.

mod import;
mod judge;
mod known;
mod reads;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures::FutureExt as _;
use local_servers::Addresses;
use testkit::Client;
use testkit::history::{Catalog, Load, Recorded, Writer};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use crate::control::{self, Counts, News, Order};
use import::Imported;
pub(crate) use import::LINES;
use known::Known;
use reads::Reader;

const WRITERS: usize = 6;
const READERS: usize = 4;
/// Modest: pods, servers and this share few processors, and the check at the end reads all of it.
const LOAD: Load = Load {
    products: 240,
    hot: 12,
    hot_share: 0.3,
    unknown: 4,
    impatient: 0.05,
    repeated: 0.05,
    pause: Duration::from_millis(60),
};
/// How long clients may take for their last answers.
const LAST_ANSWERS: Duration = Duration::from_mins(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The Service of the command service.
    #[arg(long)]
    commands: String,
    /// The Service of the query gateway.
    #[arg(long)]
    queries: String,
    /// Where the run listens.
    #[arg(long)]
    control: String,
    /// Where the servers are, as JSON.
    #[arg(long)]
    servers: String,
    #[arg(long)]
    seed: u64,
}

/// What is counted, by everyone together.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

impl Tally {
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything that is going on.
struct Doing {
    commands: String,
    catalog: Arc<Catalog>,
    tally: Arc<Tally>,
    /// Held by each read and each few commands, and by nobody else unless they are to pause.
    gate: Arc<RwLock<()>>,
    stopped: Arc<AtomicBool>,
    writing: Vec<JoinHandle<Vec<Recorded>>>,
    reading: Vec<JoinHandle<()>>,
    importing: Option<JoinHandle<anyhow::Result<Imported>>>,
}

/// Does what the run says, until it says that it is over.
///
/// # Errors
/// If the run is gone, or it cannot go on.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let servers: Addresses = serde_json::from_str(&options.servers).context("reading --servers")?;
    let (mut orders, mut output) = control::connect(&options.control).await?;
    let mut doing = Doing::begin(&options);
    let mut pausing = None;
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    loop {
        let order = tokio::select! {
            order = control::order(&mut orders) => order?.context("the run is gone")?,
            _ = tick.tick() => {
                doing.tell(&mut output).await?;
                continue;
            }
        };
        match order {
            Order::Import => doing.import(options.seed),
            Order::Pause => {
                pausing = Some(Arc::clone(&doing.gate).write_owned().await);
                control::tell(&mut output, &News::Paused).await?;
            }
            Order::Resume => drop(pausing.take()),
            Order::Finish => break,
        }
    }
    let news = match doing.finish(&options, servers).await {
        Ok(verdict) => News::Verdict(Box::new(verdict)),
        Err(error) => News::Failed(format!("{error:#}")),
    };
    control::tell(&mut output, &news).await
}

impl Doing {
    fn begin(options: &Options) -> Self {
        let catalog = Arc::new(Catalog::new(LOAD, 1));
        let (tally, known) = (Arc::new(Tally::default()), Arc::new(Known::default()));
        let (gate, stopped) = (Arc::new(RwLock::new(())), Arc::new(AtomicBool::new(false)));
        let at_the_gate = Arc::clone(&gate);
        let writing = (0..WRITERS).map(|number| {
            // A client of its own each, so that together they meet every pod behind the Service.
            let client = Client::new(&options.commands);
            let mut writer = Writer::new(number, options.seed, &catalog, &[client]);
            let (known, gate) = (Arc::clone(&known), Arc::clone(&at_the_gate));
            tokio::spawn(async move {
                let mut recorded = writer.create(WRITERS).await;
                known.note(&recorded);
                loop {
                    let open = gate.read().await;
                    let some = writer.run(5).await;
                    drop(open);
                    if some.is_empty() {
                        return recorded;
                    }
                    known.note(&some);
                    recorded.extend(some);
                }
            })
        });
        let writing = writing.collect();
        let reading = (0..READERS).map(|number| {
            let reader = Reader::new(number, options.seed, Client::new(&options.queries), &known, &tally);
            tokio::spawn(reader.run(Arc::clone(&gate), Arc::clone(&stopped)))
        });
        let reading = reading.collect();
        let commands = options.commands.clone();
        Self { commands, catalog, tally, gate, stopped, writing, reading, importing: None }
    }

    fn import(&mut self, seed: u64) {
        let importing = import::import(self.commands.clone(), seed, Arc::clone(&self.tally));
        self.importing = Some(tokio::spawn(importing));
    }

    async fn tell(&self, output: &mut OwnedWriteHalf) -> anyhow::Result<()> {
        let mut counts = self.tally.counts();
        counts.commands = self.catalog.answered();
        control::tell(output, &News::Counts(counts)).await?;
        if self.importing.as_ref().is_some_and(JoinHandle::is_finished) {
            control::tell(output, &News::Imported).await?;
        }
        Ok(())
    }

    async fn finish(mut self, options: &Options, servers: Addresses) -> anyhow::Result<control::Verdict> {
        self.catalog.stop();
        self.stopped.store(true, Ordering::SeqCst);
        let last = async {
            let mut recorded = Vec::new();
            for writer in self.writing.drain(..) {
                recorded.extend(writer.await?);
            }
            for reader in self.reading.drain(..) {
                reader.await?;
            }
            let imported = match self.importing.take() {
                Some(importing) => importing.await?.context("the import")?,
                None => Imported::default(),
            };
            let forgotten = import::again(self.commands.clone(), options.seed, &imported).await?;
            anyhow::Ok((recorded, imported, forgotten))
        };
        let last = tokio::time::timeout(LAST_ANSWERS, last).await;
        let (recorded, imported, forgotten) =
            last.context("the last answers do not come although all is well")??;
        // What waits in vain panics.
        let queries = Client::new(&options.queries);
        let judging = AssertUnwindSafe(judge::judge(&servers, &queries, &recorded, &imported)).catch_unwind();
        let judged = judging.await;
        let mut verdict =
            judged.unwrap_or_else(|_| Err(anyhow!("it panicked: see the log of the client's pod")))?;
        verdict.faults.extend(forgotten);
        Ok(verdict)
    }
}
