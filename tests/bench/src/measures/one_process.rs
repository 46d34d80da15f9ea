//! `folio dev`: all of Folio as one process on local disk. What a command costs there is held against what the disk can do in
//! the same run: one synced append after another.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use cli::system::{Listens, Plan, Service, binaries};
use local_servers::{Watchdog, free_port, project_root};
use serde_json::Value;
use testkit::memory;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::http_single::Singles;
use super::megabytes;
use super::service::Client as _;
use crate::audit::{self, Acknowledged};
use crate::client::http::event;
use crate::client::single::Blocking;
use crate::pairs;
use crate::report::Row;
use crate::workload::{Workload, request};

/// Commands of one client in a pair, and appends of the disk alone.
const ALONE: usize = 1_500;
/// Commands of 64 clients in a pair.
const TOGETHER: usize = 30_000;
/// About as large as a record with what frames it.
const APPEND: usize = 512;
/// Commands whose way into the read models is timed.
const SEEN: usize = 300;
/// How long it is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_mins(2);
/// The whole sample catalog.
const DIAMONDS: u64 = 53_940;

pub(crate) fn measure(pairs: usize) -> anyhow::Result<Vec<Row>> {
    let project = project_root()?;
    let watchdog = Watchdog::over(&project.join(format!("target/bench/one-process-{}", std::process::id())))?;
    let solo = Solo { runtime: Runtime::new()?, pairs, dir: watchdog.dir().to_owned() };
    let mut rows =
        vec![Row::bytes("size of the program", fs::metadata(binaries()?.join("folio"))?.len() as f64)];
    rows.extend(solo.starts()?);
    rows.extend(solo.commands(Kept::OnDisk)?);
    rows.extend(solo.commands(Kept::ForNow)?);
    rows.extend(solo.seen()?);
    rows.push(solo.diamonds()?);
    Ok(rows)
}

/// Where the data are, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// `--data-dir`: synced.
    OnDisk,
    /// A temporary directory, not synced.
    ForNow,
}

struct Solo {
    runtime: Runtime,
    pairs: usize,
    dir: PathBuf,
}

/// `folio dev`, as a process of its own. Killed at the end, unless it was stopped.
struct Process {
    service: Service,
    listens: Listens,
    data: PathBuf,
    begun: Instant,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.service.kill();
    }
}

impl Solo {
    fn start(&self, name: &str, kept: Kept, seed: &[&str]) -> anyhow::Result<Process> {
        let (http, grpc, ops) = (free_port()?, free_port()?, free_port()?);
        let data = self.dir.join(name);
        let mut arguments = vec!["dev".to_owned()];
        arguments.extend(
            [("--port", http), ("--grpc-port", grpc), ("--ops-port", ops)]
                .iter()
                .flat_map(|(flag, port)| [(*flag).to_owned(), port.to_string()]),
        );
        if kept == Kept::OnDisk {
            arguments.extend(["--data-dir".to_owned(), data.display().to_string()]);
        }
        arguments.extend(seed.iter().map(|it| (*it).to_owned()));
        let at = |port: u16| format!("127.0.0.1:{port}");
        let listens = Listens { http: at(http), grpc: at(grpc), ops: at(ops) };
        let plan = Plan {
            name: format!("folio-dev-{name}"),
            binary: binaries()?.join("folio"),
            arguments,
            environment: Vec::new(),
            ops: listens.ops.clone(),
            dir: self.dir.clone(),
        };
        let begun = Instant::now();
        let service = plan.start()?;
        Ok(Process { service, listens, data, begun })
    }

    /// From the start of the process to the answer of a query; what it takes of memory when it has nothing to do.
    fn starts(&self) -> anyhow::Result<Vec<Row>> {
        let (mut first, mut resident) = (Vec::new(), Vec::new());
        for number in 0..self.pairs {
            let process = self.start(&format!("start-{number}"), Kept::OnDisk, &["--no-seed"])?;
            process.first_answer()?;
            first.push(process.begun.elapsed().as_secs_f64());
            std::thread::sleep(IDLE);
            resident.push(megabytes(memory::resident(process.service.pid)?));
        }
        let row =
            |name, unit, values: &[f64], target| Row::cost(name, unit, &pairs::alone(values), Some(target));
        Ok(vec![
            row("from the start to the first answer of a query", "s", &first, 1.0),
            row("resident memory, idle", "MB", &resident, 60.0),
        ])
    }

    /// Commands a second of one client, and of 64.
    fn commands(&self, kept: Kept) -> anyhow::Result<Vec<Row>> {
        let (name, told) = match kept {
            Kept::OnDisk => ("durable", "durable"),
            Kept::ForNow => ("not-synced", "not synced"),
        };
        let process = self.start(name, kept, &["--no-seed"])?;
        process.ready(&self.runtime)?;
        let mut workload = Workload::new()?;
        let mut acknowledged = Acknowledged::default();
        let (singles, disk) = (Singles::new()?, self.dir.join("disk"));
        acknowledged.extend(one_client(&process, &mut workload)?.1);
        let mut many = Vec::new();
        let measured = pairs::measure(
            self.pairs,
            || appends(&disk),
            |_| {
                let (alone, events) = one_client(&process, &mut workload)?;
                acknowledged.extend(events);
                let requests = singles.prepare(workload.commands(TOGETHER)?)?;
                let begun = Instant::now();
                let answers = singles.drive(&process.listens, requests)?;
                let together = answers.len() as f64 / begun.elapsed().as_secs_f64();
                acknowledged.extend(singles.events(answers)?);
                eprintln!("  {told}: 1 client {alone:.0}/s, 64 clients {together:.0}/s");
                many.push(pairs::Pair { ceiling: alone, system: together });
                Ok(alone)
            },
        )?;
        let alone = pairs::summary(&measured, |pair| pair.system / pair.ceiling);
        let many = pairs::summary(&many, |pair| pair.system / pair.ceiling);
        if kept == Kept::OnDisk {
            process.check(&self.runtime, &acknowledged)?;
        }
        // Without a sync the disk is no ceiling, and 64 clients share what one could have had.
        let target = |of_durable| if kept == Kept::OnDisk { of_durable } else { 0.0 };
        Ok(vec![
            Row::rate(&format!("{told}, one client over HTTP"), "commands/s", &alone, target(0.8))
                .noting("the ceiling: appends with fdatasync, one after another"),
            Row::rate(&format!("{told}, 64 clients over HTTP"), "commands/s", &many, target(8.0))
                .noting("the ceiling: one client"),
        ])
    }

    /// From the answer of a command until a read model shows it to who asks with the command's token.
    fn seen(&self) -> anyhow::Result<Vec<Row>> {
        let process = self.start("seen", Kept::OnDisk, &["--no-seed"])?;
        process.ready(&self.runtime)?;
        let (mut workload, mut rows) = (Workload::new()?, Vec::new());
        let mut client = Blocking::open(&process.listens.http)?;
        for read_model in ["products", "search"] {
            let mut times = Vec::with_capacity(SEEN);
            for command in workload.creations(SEEN)? {
                let (_, status, body) = client.exchange(&request(&command)?)?;
                ensure!(status == 201, "a command was answered {status}: {}", String::from_utf8_lossy(&body));
                let answer: Value = serde_json::from_slice(&body)?;
                let id = answer["product_id"].as_str().context("an answer names its product")?;
                let path = match read_model {
                    "products" => format!("/v1/products/{id}"),
                    _ => "/v1/search?page_size=1".to_owned(),
                };
                let token = answer["consistency_token"].as_str().context("an answer has a token")?;
                let (took, status, body) = client
                    .exchange(&get(&path, &format!("consistency-token: {token}\r\nprefer: wait=10\r\n")))?;
                ensure!(status == 200, "a read was answered {status}: {}", String::from_utf8_lossy(&body));
                times.push(took.as_secs_f64() * 1e3);
            }
            let (p50, p99) = (pairs::quantile(&mut times, 0.5), pairs::quantile(&mut times, 0.99));
            rows.push(
                Row::cost(
                    &format!("accepted until shown in {read_model}, p50"),
                    "ms",
                    &pairs::alone(&[p50]),
                    None,
                )
                .noting(format!("p99 {p99:.1} ms")),
            );
        }
        Ok(rows)
    }

    /// From the start of the process until a search counts every product of the sample.
    fn diamonds(&self) -> anyhow::Result<Row> {
        let process = self.start("diamonds", Kept::OnDisk, &["--seed", "diamonds"])?;
        process.first_answer()?;
        let mut client = Blocking::open(&process.listens.http)?;
        loop {
            let (_, status, body) = client.exchange(&get("/v1/search?page_size=1", ""))?;
            ensure!(status == 200, "a search was answered {status}: {}", String::from_utf8_lossy(&body));
            let answer: Value = serde_json::from_slice(&body)?;
            if answer["total"].as_u64() == Some(DIAMONDS) {
                break;
            }
            ensure!(process.begun.elapsed() < PATIENCE, "only {} are found", answer["total"]);
            std::thread::sleep(Duration::from_millis(50));
        }
        let took = process.begun.elapsed().as_secs_f64();
        Ok(Row::cost(
            "all 53,940 diamonds searchable after the start",
            "s",
            &pairs::alone(&[took]),
            Some(20.0),
        ))
    }
}

impl Process {
    /// Asks for a product that is not there, until that is the answer.
    fn first_answer(&self) -> anyhow::Result<()> {
        let asked = get("/v1/products/nobody", "");
        loop {
            let answer = Blocking::open(&self.listens.http).and_then(|mut it| it.exchange(&asked));
            match answer {
                Ok((_, 404, _)) => return Ok(()),
                _ if self.begun.elapsed() > PATIENCE => {
                    anyhow::bail!("no answer after {PATIENCE:?}: {answer:?}")
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn ready(&self, runtime: &Runtime) -> anyhow::Result<()> {
        runtime.block_on(self.service.wait_ready(PATIENCE))
    }

    /// Stops it, and checks that its log holds exactly what was acknowledged.
    fn check(&self, runtime: &Runtime, acknowledged: &Acknowledged) -> anyhow::Result<()> {
        runtime.block_on(async {
            ensure!(self.service.stop(PATIENCE).await, "it did not end by itself");
            let log = folio_dev::open_log(&self.data)?;
            audit::check(&log.reader(), acknowledged).await
        })
    }
}

/// Commands of one client, one after another: how many a second, and their events.
fn one_client(process: &Process, workload: &mut Workload) -> anyhow::Result<(f64, Vec<Uuid>)> {
    let requests: Vec<Bytes> =
        workload.commands(ALONE)?.iter().map(request).collect::<anyhow::Result<_>>()?;
    let mut client = Blocking::open(&process.listens.http)?;
    let mut events = Vec::with_capacity(requests.len());
    let begun = Instant::now();
    for request in &requests {
        let (_, status, body) = client.exchange(request)?;
        ensure!((200..300).contains(&status), "answered {status}: {}", String::from_utf8_lossy(&body));
        events.push(event(&body)?);
    }
    Ok((events.len() as f64 / begun.elapsed().as_secs_f64(), events))
}

/// Appends with fdatasync a second, one after another, as one client of a log could have them at best.
fn appends(file: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(file)?;
    let record = [0x5a; APPEND];
    let begun = Instant::now();
    for _ in 0..ALONE {
        file.write_all(&record)?;
        file.sync_data()?;
    }
    Ok(ALONE as f64 / begun.elapsed().as_secs_f64())
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: folio\r\n{headers}\r\n").into_bytes()
}
