//! Some products that are changed all the while, and who reads them: with the token of each change, and without any.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use bytes::Bytes;
use cli::system::Listens;
use contract::{AddressedCommand, json};
use read_models::ReadModel;
use serde_json::{Value, json};
use testkit::{Client, product};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::client::http::event;
use crate::client::single::Blocking;
use crate::workload::request;

/// So many products move.
pub(crate) const MOVING: usize = 40;
/// How long a read waits for the write whose token it has, in seconds: less than a client's patience.
const WAIT: u32 = 20;
/// How long what was turned away is left alone, and how long it is tried at most.
const AGAIN: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two reads without a token.
const PAUSE: Duration = Duration::from_millis(5);

fn id(n: usize) -> String {
    format!("moving-{}", n % MOVING)
}

fn command(name: &str, n: usize, payload: &Value) -> anyhow::Result<AddressedCommand> {
    let line = json!({ "command": name, "product_id": id(n), "payload": payload });
    json::parse_bulk_line(line.to_string().as_bytes()).map_err(|faults| anyhow!("{faults:?}"))
}

/// The commands that make them.
pub(crate) fn creations() -> anyhow::Result<Vec<AddressedCommand>> {
    (0..MOVING).map(|n| command("create_product", n, &product(&id(n)))).collect()
}

/// The next change of one of them, in turn: none repeats another.
fn change() -> anyhow::Result<AddressedCommand> {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let price = json!({ "price": { "minor_units": 1_000 + n, "currency": "USD" } });
    command("change_price", n, &price)
}

/// What came of changes that were each read back.
#[derive(Debug, Default)]
pub(crate) struct ReadBack {
    pub events: Vec<Uuid>,
    /// From the command's answer to the read's, in milliseconds.
    pub times: Vec<f64>,
    /// Reads that were not answered with 200, and that showed less than was written.
    pub failed: u64,
    pub older: u64,
}

/// Changes a product and reads it back, one after another.
pub(crate) struct Probe {
    commands: Blocking,
    queries: Blocking,
    pub told: ReadBack,
}

impl Probe {
    pub(crate) fn open(commands: &Listens, queries: &Listens) -> anyhow::Result<Self> {
        let (commands, queries) = (Blocking::open(&commands.http)?, Blocking::open(&queries.http)?);
        Ok(Self { commands, queries, told: ReadBack::default() })
    }

    /// One change, read back from this read model.
    pub(crate) fn once(&mut self, read_model: ReadModel) -> anyhow::Result<()> {
        let change = change()?;
        let body = self.accepted(&request(&change)?)?;
        self.told.events.push(event(&body)?);
        let answer: Value = serde_json::from_slice(&body)?;
        let token = answer["consistency_token"].as_str().context("an answer has a token")?;
        let written = answer["version"].as_u64().context("an answer has a version")?;
        let product = change.product_id.as_ref().context("a change names its product")?.as_str();
        let (path, pointer) = match read_model {
            ReadModel::Products => (format!("/v1/products/{product}"), "/version"),
            ReadModel::History => {
                (format!("/v1/products/{product}/history?order=desc&page_size=1"), "/items/0/version")
            }
            // Nobody else changes one that has this word.
            ReadModel::Search => {
                ("/v1/search?q=moving&sort=newest&page_size=1".to_owned(), "/items/0/version")
            }
        };
        let asked = format!(
            "GET {path} HTTP/1.1\r\nhost: folio\r\nconsistency-token: {token}\r\nprefer: wait={WAIT}\r\n\r\n"
        );
        let (took, status, body) = self.queries.exchange(asked.as_bytes())?;
        self.told.times.push(took.as_secs_f64() * 1e3);
        let shown: Value = serde_json::from_slice(&body).unwrap_or_default();
        let version = shown.pointer(pointer).and_then(Value::as_u64);
        let (failed, older) = (status != 200, status == 200 && version.is_none_or(|it| it < written));
        if failed || older {
            eprintln!("  version {written} of {product} was read from {read_model}: {status} {shown}");
        }
        self.told.failed += u64::from(failed);
        self.told.older += u64::from(older);
        Ok(())
    }

    /// The answer of a command. What is turned away is sent again.
    fn accepted(&mut self, request: &Bytes) -> anyhow::Result<Bytes> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (_, status, body) = self.commands.exchange(request)?;
            match status {
                200 | 201 => return Ok(body),
                429 | 503 if Instant::now() < until => std::thread::sleep(AGAIN),
                _ => anyhow::bail!("a command was answered {status}: {}", String::from_utf8_lossy(&body)),
            }
        }
    }

    /// The same until `ended` is set, from each of these read models in turn.
    pub(crate) fn until(mut self, ended: &AtomicBool, read_models: &[ReadModel]) -> anyhow::Result<ReadBack> {
        for read_model in read_models.iter().cycle() {
            if ended.load(Ordering::Relaxed) {
                break;
            }
            self.once(*read_model)?;
        }
        Ok(self.told)
    }
}

/// What came of reads without a token.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reads {
    pub asked: u64,
    pub failed: u64,
    /// That showed less than one before had shown, from whichever gateway.
    pub older: u64,
}

/// Reads without tokens until it is told to end.
pub(crate) struct Readers {
    ended: Arc<AtomicBool>,
    reading: JoinHandle<Reads>,
}

impl Readers {
    /// Reads the products that move, each from all gateways in turn; all of them must be there.
    pub(crate) fn start(runtime: &Runtime, gateways: &[Listens]) -> Self {
        let clients: Vec<Client> =
            gateways.iter().map(|it| Client::new(&format!("http://{}", it.http))).collect();
        let ended = Arc::new(AtomicBool::new(false));
        let reading = runtime.spawn(read(clients, Arc::clone(&ended)));
        Self { ended, reading }
    }

    pub(crate) fn end(self, runtime: &Runtime) -> anyhow::Result<Reads> {
        self.ended.store(true, Ordering::Relaxed);
        let reads = runtime.block_on(self.reading)?;
        ensure!(reads.asked > 0, "nothing was read");
        Ok(reads)
    }
}

async fn read(gateways: Vec<Client>, ended: Arc<AtomicBool>) -> Reads {
    let (mut seen, mut reads) = (HashMap::<String, u64>::new(), Reads::default());
    for n in 0_usize.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let (client, n) = (&gateways[n % gateways.len()], n / gateways.len());
        let id = id(n);
        let (path, at) = match n / MOVING % 3 {
            0 => (format!("/v1/products/{id}"), "/version"),
            1 => (format!("/v1/products/{id}/history?order=desc&page_size=1"), "/items/0/version"),
            _ => (format!("/v1/search?q={id}&page_size=1"), "/items/0/version"),
        };
        reads.asked += 1;
        tokio::time::sleep(PAUSE).await;
        let body = match client.get(&path).await {
            Ok(reply) if reply.status == 200 => reply.body,
            other => {
                let said = other.map(|it| format!("{} {}", it.status, it.body));
                eprintln!("  {path} was answered {said:?}");
                reads.failed += 1;
                continue;
            }
        };
        // Others are found by the same words.
        if body.pointer("/items/0/product_id").is_some_and(|it| *it != *id.as_str()) {
            continue;
        }
        // What no refresh has shown yet is at no version.
        let version = body.pointer(at).and_then(Value::as_u64).unwrap_or_default();
        let before = seen.insert(path.clone(), version).unwrap_or_default();
        if version < before {
            eprintln!("  {path} shows {version} after {before}");
            reads.older += 1;
        }
    }
    reads
}
