//! P34 While a store is away, takes nothing, takes only some, or does not tell what it took, its read model waits, says so, and goes on within seconds of its return; nothing is lost or applied twice, and neither writers nor other read models notice.
//!
//! Each store is away for 20 s, and not for the minute that an operator would expect: CI pays for every second. `OUTAGE_SECONDS=60` in the
//! environment makes it that minute. A disk that is full is
//! here what Elasticsearch makes of one, the block of the flood stage, which is answered with 429; a full disk under one process has a
//! test of its own (`folio_dev_on_a_full_disk.rs`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use testkit::scenario::{caught_up, rows_follow_the_log};
use testkit::{Client, Gate, OnServers, PATIENCE, Started, System, eventually, memory};
use tokio::task::JoinHandle;

use super::a_poisoned_record_stops_nothing_else::{counter, metrics};
use super::servers_may_be_away::says_missing;

/// So long nothing is wrong at first.
const QUIET: Duration = Duration::from_secs(4);
/// In seconds, unless `OUTAGE_SECONDS` says another.
const AWAY: u64 = 20;
/// So long the index takes nothing meanwhile, and so long answers are lost.
const READ_ONLY: Duration = Duration::from_secs(6);
const NO_ANSWERS: Duration = Duration::from_secs(6);
/// Times that the index takes nothing for a moment, and then does again.
const STORMS: usize = 12;
/// A driver looks for its server again after ten seconds at the latest, and we try again two seconds after that.
const RESUMES: Duration = Duration::from_secs(15);
/// A projector may take so much more than before.
const GROWTH: u64 = 64 << 20;
const PRODUCTS: usize = 60;

/// Where a product is read by each read model.
const BY_ID: &str = "/v1/products/{id}";
const BY_HISTORY: &str = "/v1/products/{id}/history";
const BY_SEARCH: &str = "/v1/search?q=SKU-{id}";

/// Writes all the while, and how long each answer took.
struct Writer {
    stop: Arc<AtomicBool>,
    took: Arc<Mutex<Vec<Duration>>>,
    writes: JoinHandle<anyhow::Result<()>>,
}

impl Writer {
    fn start(commands: Client) -> Self {
        let (stop, took) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, tells) = (Arc::clone(&stop), Arc::clone(&took));
        let writes = tokio::spawn(async move {
            for turn in 0_u64.. {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let id = format!("w{}", turn % PRODUCTS as u64);
                let begun = Instant::now();
                let reply = if turn < PRODUCTS as u64 {
                    commands.create(&id).await?
                } else {
                    commands.change_price(&id, 2_000 + turn, &[]).await?
                };
                ensure!(reply.status.is_success(), "a command was answered {}", reply.body);
                tells.lock().expect("no writer panics").push(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        });
        Self { stop, took, writes }
    }

    /// The median of what was measured since this was asked last.
    fn median(&self) -> Duration {
        let mut took = std::mem::take(&mut *self.took.lock().expect("no writer panics"));
        took.sort_unstable();
        took.get(took.len() / 2).copied().unwrap_or_default()
    }

    async fn end(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        self.writes.await?
    }
}

/// A catalog whose projectors alone reach their stores through gates.
struct Stage {
    system: OnServers,
    /// Of products, history and search.
    projectors: Vec<Started>,
    commands: Client,
    queries: Client,
    cql: Gate,
    search: Gate,
    writer: Writer,
    /// How long an answer takes while nothing is wrong,
    quiet: Duration,
    /// and how much memory each projector.
    before: Vec<u64>,
    marks: usize,
}

impl Stage {
    async fn build() -> anyhow::Result<Self> {
        let mut system = OnServers::prepare().await?;
        let commands = Client::new(&system.command_service().await?.url());
        let queries = Client::new(&system.query_gateway().await?.url());
        let addresses = &mut system.planner.addresses;
        let cql = Gate::to(&addresses.cql_contact_point, true).await?;
        let search = Gate::to(addresses.elasticsearch_url.trim_start_matches("http://"), true).await?;
        addresses.cql_contact_point = cql.address();
        addresses.elasticsearch_url = format!("http://{}", search.address());
        let soon = [("CQL__TIMEOUT_MS", "2000"), ("SEARCH__TIMEOUT_MS", "2000")];
        let projectors = system.projectors_with(&soon).await?;
        let writer = Writer::start(commands.clone());
        tokio::time::sleep(QUIET).await;
        caught_up(&system, &system.planner.names.group_prefix).await?;
        let quiet = writer.median();
        let before = resident(&projectors)?;
        Ok(Self { system, projectors, commands, queries, cql, search, writer, quiet, before, marks: 0 })
    }

    /// Writes a product of its own; its id, and what a read must have seen.
    async fn mark(&mut self) -> anyhow::Result<(String, String)> {
        self.marks += 1;
        let id = format!("mark-{}", self.marks);
        let created = self.commands.create(&id).await?;
        ensure!(created.status == 201, "{}", created.body);
        Ok((id, created.header("consistency-token").to_owned()))
    }

    /// Waits until a product is read there, and says how long that took.
    async fn is_read(&self, at: &str, (id, token): &(String, String)) -> Duration {
        let (begun, path) = (Instant::now(), at.replace("{id}", id));
        let headers = [("consistency-token", token.as_str()), ("prefer", "wait=1")];
        let read = async || self.queries.get_with(&path, &headers).await.map_or(0, |it| it.status.as_u16());
        eventually(&format!("{path} is read"), read, |status| *status == 200).await;
        begun.elapsed()
    }

    /// Other read models go on.
    async fn go_on(&mut self, at: &[&str]) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        for at in at {
            self.is_read(at, &mark).await;
        }
        Ok(())
    }

    /// It is back: what was written before is read soon, and all is well again.
    async fn resumes(&self, what: &str, at: &[&str], mark: &(String, String)) -> anyhow::Result<()> {
        let begun = Instant::now();
        for at in at {
            self.is_read(at, mark).await;
        }
        let after = begun.elapsed();
        eprintln!("{what}: what was written meanwhile is read {:.1} s later", after.as_secs_f64());
        ensure!(after <= RESUMES, "{what}: progress resumes after {after:?}");
        for projector in &self.projectors {
            projector.service.wait_ready(PATIENCE).await?;
        }
        Ok(())
    }

    /// These projectors say that they try again and get nowhere; and they are not ready.
    async fn is_told(&self, of: &[usize], dependency: &str) -> anyhow::Result<()> {
        for projector in of.iter().map(|at| &self.projectors[*at]) {
            says_missing(projector, dependency).await?;
            eventually(
                "the metrics tell it",
                async || metrics(&projector.ops()).await,
                |it| {
                    counter(it, "folio_projector_retrying_partitions{") >= 1.0
                        && counter(it, "folio_projector_stalled_seconds{") >= 2.0
                        && counter(it, "folio_projector_retries_total{") >= 1.0
                },
            )
            .await;
        }
        Ok(())
    }

    /// Writers have not noticed anything since this was asked last, and no projector has grown.
    fn nobody_else_noticed(&self, what: &str) -> anyhow::Result<()> {
        let (quiet, median) = (self.quiet, self.writer.median());
        eprintln!("{what}: the median of answers is {median:?}, and was {quiet:?}");
        ensure!(median <= 3 * quiet + Duration::from_millis(50), "{what}: commands take {median:?}");
        for (projector, (now, before)) in
            self.projectors.iter().zip(resident(&self.projectors)?.into_iter().zip(&self.before))
        {
            let grown = now.saturating_sub(*before);
            let name = &projector.service.plan.name;
            eprintln!("{what}: {name} has grown by {} KiB", grown >> 10);
            ensure!(grown <= GROWTH, "{what}: {name} takes {now} bytes, and took {before}");
        }
        Ok(())
    }

    /// Changes settings of the search index, past the gate.
    async fn set_index(&self, settings: &Value) -> anyhow::Result<()> {
        let search = &self.system.config.search;
        let url = format!("{}/{}-search-g1/_settings", search.url.trim_end_matches('/'), search.index_prefix);
        let put = reqwest::Client::new().put(url).json(settings).send().await?;
        ensure!(put.status().is_success(), "{}", put.text().await?);
        Ok(())
    }
}

fn resident(projectors: &[Started]) -> anyhow::Result<Vec<u64>> {
    projectors.iter().map(|it| memory::resident(it.service.pid)).collect()
}

/// How long each store is away.
fn away() -> anyhow::Result<Duration> {
    let seconds = match std::env::var("OUTAGE_SECONDS") {
        Ok(told) => told.parse().with_context(|| format!("OUTAGE_SECONDS={told}"))?,
        Err(_) => AWAY,
    };
    Ok(Duration::from_secs(seconds))
}

/// Cassandra is away, and meanwhile the index takes nothing.
async fn cassandra_is_away(stage: &mut Stage) -> anyhow::Result<()> {
    let begun = Instant::now();
    stage.cql.close();
    let mark = stage.mark().await?;
    stage.go_on(&[BY_SEARCH]).await?;
    stage.is_told(&[0, 1], "cql").await?;
    stage.set_index(&json!({ "index.blocks.write": true })).await?;
    let blocked = Instant::now();
    let refused = stage.mark().await?;
    stage.is_told(&[2], "search").await?;
    tokio::time::sleep(READ_ONLY.saturating_sub(blocked.elapsed())).await;
    stage.set_index(&json!({ "index.blocks.write": null })).await?;
    let after = stage.is_read(BY_SEARCH, &refused).await;
    eprintln!("a read-only index: what was written meanwhile is read {:.1} s later", after.as_secs_f64());
    ensure!(after <= RESUMES, "progress resumes after {after:?}");
    tokio::time::sleep(away()?.saturating_sub(begun.elapsed())).await;
    stage.cql.open();
    stage.resumes("Cassandra", &[BY_ID, BY_HISTORY], &mark).await?;
    stage.nobody_else_noticed("Cassandra")
}

async fn elasticsearch_is_away(stage: &mut Stage) -> anyhow::Result<()> {
    let begun = Instant::now();
    stage.search.close();
    let mark = stage.mark().await?;
    stage.go_on(&[BY_ID, BY_HISTORY]).await?;
    stage.is_told(&[2], "search").await?;
    tokio::time::sleep(away()?.saturating_sub(begun.elapsed())).await;
    stage.search.open();
    stage.resumes("Elasticsearch", &[BY_SEARCH], &mark).await?;
    stage.nobody_else_noticed("Elasticsearch")
}

/// Some requests are answered 429, and others are not.
async fn elasticsearch_storms(stage: &mut Stage) -> anyhow::Result<()> {
    let before = counter(&metrics(&stage.projectors[2].ops()).await, "folio_projector_retries_total{");
    for _ in 0..STORMS {
        stage.set_index(&json!({ "index.blocks.read_only_allow_delete": true })).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage.set_index(&json!({ "index.blocks.read_only_allow_delete": null })).await?;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let mark = stage.mark().await?;
    stage.go_on(&[BY_ID, BY_HISTORY]).await?;
    stage.resumes("a storm of 429", &[BY_SEARCH], &mark).await?;
    let after = counter(&metrics(&stage.projectors[2].ops()).await, "folio_projector_retries_total{");
    ensure!(after > before, "nothing was refused: {before} retries, and then {after}");
    stage.nobody_else_noticed("a storm of 429")
}

/// Both stores do what they are told, and nobody hears of it.
async fn answers_are_lost(stage: &mut Stage) -> anyhow::Result<()> {
    stage.cql.lose_answers();
    stage.search.lose_answers();
    let mark = stage.mark().await?;
    tokio::time::sleep(NO_ANSWERS).await;
    stage.cql.open();
    stage.search.open();
    stage.resumes("lost answers", &[BY_ID, BY_HISTORY, BY_SEARCH], &mark).await?;
    stage.nobody_else_noticed("lost answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_are_away_full_or_silent_delay_their_read_model_and_nothing_else() -> anyhow::Result<()> {
    let mut stage = Box::pin(Stage::build()).await?;
    Box::pin(cassandra_is_away(&mut stage)).await?;
    Box::pin(elasticsearch_is_away(&mut stage)).await?;
    Box::pin(elasticsearch_storms(&mut stage)).await?;
    Box::pin(answers_are_lost(&mut stage)).await?;

    let Stage { mut system, projectors, writer, cql, search, .. } = stage;
    writer.end().await.context("the writer")?;
    caught_up(&system, &system.planner.names.group_prefix).await?;
    let oracle = system.oracle().await?;
    rows_follow_the_log(&system, &oracle).await?;
    // Nothing was given up on the way, and nobody had to be called.
    for projector in &projectors {
        let told = metrics(&projector.ops()).await;
        ensure!(counter(&told, "folio_projector_parked_total{") < 0.5, "{told}");
        ensure!(!projector.log().contains(" stopped: "), "{}", projector.log());
        eventually(
            "nothing is tried again, and nothing stands still",
            async || metrics(&projector.ops()).await,
            |it| {
                counter(it, "folio_projector_retrying_partitions{") < 0.5
                    && counter(it, "folio_projector_stalled_seconds{") < 0.5
            },
        )
        .await;
    }
    drop((cql, search));
    Ok(())
}
