//! P25 A read model is built beside the live one, compared row for row, switched to and back again; no read fails, and none with a consistency token is older.
//!
//! All of it under load: a writer goes on, and reads each write back from whatever gateways serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use adapter_search::SearchConfig;
use anyhow::{Context as _, ensure};
use cli::commands::compare::{Compared, compare};
use cli::commands::read_models::lines;
use cli::commands::stores::{self, One, Which};
use cli::config::Config;
use read_models::{Generation, ReadModel};
use serde_json::Value;
use testkit::expected::differences;
use testkit::{Client, OnServers, Started, System as _, eventually};

/// Products that are written to all the while, and products that are not.
const MOVING: usize = 40;
const STILL: usize = 400;
const FIRST: Generation = Generation::FIRST;
/// How often all read models are switched to the other build.
const SWITCHES: usize = 100;
/// How soon a gateway follows, with what a busy machine takes for it.
const FOLLOWED: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_build_is_compared_switched_to_and_left_again_under_load() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let second = Generation::try_from(2)?;
    let commands = Client::new(&system.command_service().await?.url());
    system.projectors().await?;
    let gateways =
        [system.query_gateway().await?, system.query_gateway().await?, system.query_gateway().await?];
    for n in 0..STILL {
        assert_eq!(commands.create(&format!("still-{n}")).await?.status, 201);
    }
    let load = Load::start(commands, &gateways).await?;

    // Built beside: nothing of the first is touched.
    for read_model in ReadModel::ALL {
        let which = Which::one(*read_model, second);
        assert!(stores::check(&system.config, &which).await.is_err(), "nothing of {read_model} is there yet");
        stores::apply(&system.config, &which).await?;
        stores::check(&system.config, &which).await?;
    }
    assert_eq!(outsiders_read(&system.config).await?, "search-g1");
    let builders = system.projectors_with(&[("GENERATION", "2")]).await?;
    for read_model in ReadModel::ALL {
        same(&system.config, *read_model, second).await;
    }

    // What is wrong with the new one is told by product, whichever build lacks it, and building again puts it right.
    let servers = stores::servers(&system.config);
    let cql = servers.cql().await?;
    let lost = cql.prepare("DELETE FROM {keyspace}.products_g2 WHERE product_id = 'still-7'").await?;
    cql.execute(&lost, ()).await?;
    let Compared { differences: found, .. } = compare(&servers, ReadModel::Products, [second, FIRST]).await?;
    let [((product, table), [of_second, of_first])] = &found.iter().collect::<Vec<_>>()[..] else {
        panic!("one row is missing: {found:?}")
    };
    assert_eq!((product.as_str(), *table), ("still-7", "products"));
    assert!(of_second.is_empty() && of_first.len() == 1, "{found:?}");
    let Compared { differences: found, .. } = compare(&servers, ReadModel::Products, [FIRST, second]).await?;
    assert!(
        found.values().all(|[of_first, of_second]| of_first.len() == 1 && of_second.is_empty()),
        "{found:?}"
    );
    let one = One { read_model: ReadModel::Products, generation: second };
    let refused = stores::drop_one(&system.config, one, false).await.unwrap_err().to_string();
    assert!(refused.contains("--yes") && refused.contains("products_by_category"), "{refused}");
    stores::drop_one(&system.config, one, true).await?;
    stores::apply(&system.config, &Which::one(ReadModel::Products, second)).await?;
    same(&system.config, ReadModel::Products, second).await;

    let lines = lines(&system.config).await?;
    let builds: Vec<_> = lines.iter().map(|it| (it.read_model, it.build.generation, it.is_read)).collect();
    let all = ReadModel::ALL.iter().flat_map(|it| [(*it, FIRST, true), (*it, second, false)]);
    assert_eq!(builds, all.collect::<Vec<_>>());
    assert!(lines.iter().all(|it| it.behind.len() == 1), "one group builds each: {lines:?}");

    // Switched to and back again, over and over, without a restart of anything.
    load.goes_on(60).await;
    for n in 1..=SWITCHES {
        for read_model in ReadModel::ALL {
            let generation = if n % 2 == 1 { second } else { FIRST };
            servers.publication(*read_model).publish(generation).await?;
        }
        load.goes_on(6).await;
    }
    assert_eq!(outsiders_read(&system.config).await?, "search-g1");

    // What is published is what is read, by every gateway; what is read is not dropped.
    let lost = cql.prepare("DELETE FROM {keyspace}.products_g2 WHERE product_id = 'still-9'").await?;
    cql.execute(&lost, ()).await?;
    for (generation, status) in [(second, 404), (FIRST, 200), (second, 404), (FIRST, 200)] {
        publish(&system.config, generation).await?;
        for gateway in &gateways {
            let client = Client::new(&gateway.url());
            let until = Instant::now() + FOLLOWED;
            while client.get("/v1/products/still-9").await?.status != status {
                ensure!(Instant::now() < until, "{} does not follow to {generation}", gateway.url());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let one = One { read_model: ReadModel::Products, generation };
        let refused = stores::drop_one(&system.config, one, true).await.unwrap_err().to_string();
        assert!(refused.contains("what gateways read"), "{refused}");
    }

    // Left, when no question is on its way there any more: what is dropped is the second's alone.
    load.goes_on(60).await;
    tokio::time::sleep(FOLLOWED / 4).await;
    for builder in &builders {
        assert!(system.stop(builder).await);
    }
    for read_model in ReadModel::ALL {
        let one = One { read_model: *read_model, generation: second };
        stores::drop_one(&system.config, one, true).await?;
        assert!(stores::check(&system.config, &Which::one(*read_model, second)).await.is_err());
        let refused = stores::publish(&system.config, one).await.unwrap_err().to_string();
        assert!(refused.contains("g2"), "what is not there cannot be read: {refused}");
    }
    stores::check(&system.config, &Which::default()).await?;
    load.goes_on(60).await;
    load.end().await?;

    // What is read may be lost with the index it was. A further build does not take its place by itself; whoever publishes says it.
    let SearchConfig { url, index_prefix: prefix, .. } = &system.config.search;
    let alias = format!("{url}/{prefix}-search-g1/_alias/{prefix}-search");
    reqwest::Client::new().delete(alias).send().await?.error_for_status()?;
    stores::apply(&system.config, &Which::one(ReadModel::Search, second)).await?;
    assert!(outsiders_read(&system.config).await.is_err());
    let first = One { read_model: ReadModel::Search, generation: FIRST };
    stores::publish(&system.config, first).await?;
    assert_eq!(outsiders_read(&system.config).await?, "search-g1");

    system.caught_up().await?;
    let (compared, wrong) = differences(&system.oracle().await?, &system.rows().await?, &[])?;
    assert!(wrong.is_empty() && compared > 4 * STILL, "{compared}: {wrong:#?}");
    Ok(())
}

/// Lets all read models be read of this build.
async fn publish(config: &Config, generation: Generation) -> anyhow::Result<()> {
    for read_model in ReadModel::ALL {
        stores::publish(config, One { read_model: *read_model, generation }).await?;
    }
    Ok(())
}

/// Waits until both builds are the same; the writer goes on.
async fn same(config: &Config, read_model: ReadModel, second: Generation) {
    let servers = stores::servers(config);
    let look = async || compare(&servers, read_model, [second, FIRST]).await;
    let compared = eventually("both builds are the same", look, |found| {
        found.as_ref().is_ok_and(|it| {
            it.differences.is_empty() && it.rows.iter().all(|(_, [of_second, _])| *of_second > 0)
        })
    })
    .await;
    let tables = compared.map(|it| it.rows.len()).unwrap_or_default();
    assert_eq!(tables, read_model.declared().tables.len());
}

/// The index behind the alias, without its prefix.
async fn outsiders_read(config: &Config) -> anyhow::Result<String> {
    let prefix = &config.search.index_prefix;
    let url = format!("{}/_alias/{prefix}-search", config.search.url);
    let answer: Value = reqwest::get(url).await?.json().await?;
    let indices: Vec<&String> = answer.as_object().context("indices")?.keys().collect();
    let [index] = indices[..] else { anyhow::bail!("one index and not {indices:?}") };
    Ok(index.strip_prefix(&format!("{prefix}-")).context("an index of this catalog")?.to_owned())
}

/// A writer that reads each of its writes back, until it is told to end.
struct Load {
    reads: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Load {
    async fn start(commands: Client, gateways: &[Started]) -> anyhow::Result<Self> {
        for n in 0..MOVING {
            ensure!(commands.create(&format!("moving-{n}")).await?.status == 201);
        }
        let clients: Vec<Client> = gateways.iter().map(|it| Client::new(&it.url())).collect();
        let (reads, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let running = tokio::spawn(write_and_read(commands, clients, Arc::clone(&reads), Arc::clone(&ended)));
        Ok(Self { reads, ended, running })
    }

    /// Waits until so many more reads were answered.
    async fn goes_on(&self, reads: u64) {
        let from = self.reads.load(Ordering::SeqCst);
        let look = async || (self.reads.load(Ordering::SeqCst), self.running.is_finished());
        eventually("reads go on", look, |(now, failed)| *failed || *now >= from + reads).await;
    }

    async fn end(self) -> anyhow::Result<()> {
        self.ended.store(true, Ordering::SeqCst);
        self.running.await?
    }
}

/// Changes prices in turn; each read shows the write before it, from the product, its history, its list or a search.
async fn write_and_read(
    commands: Client,
    gateways: Vec<Client>,
    reads: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    for n in 0_usize.. {
        if ended.load(Ordering::SeqCst) {
            break;
        }
        let id = format!("moving-{}", n % MOVING);
        let written = commands.change_price(&id, 1_000 + n as u64, &[]).await?;
        ensure!(written.status.is_success(), "{}", written.body);
        let newest = format!("\"version\":{}", written.body["version"]);
        let client = &gateways[n % gateways.len()];
        let path = match n % 4 {
            0 => format!("/v1/products/{id}"),
            1 => format!("/v1/products/{id}/history?order=desc&page_size=1"),
            2 => "/v1/search?q=moving&sort=newest&page_size=1".to_owned(),
            _ => format!("/v1/products:batchGet?ids={id}"),
        };
        let headers = [("consistency-token", written.header("consistency-token")), ("prefer", "wait=30")];
        let read = client.get_with(&path, &headers).await?;
        ensure!(read.status == 200, "{path}: {} {}", read.status, read.body);
        ensure!(
            read.body.to_string().contains(&newest),
            "{path} does not show {newest} of {id}: {}",
            read.body
        );
        reads.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}
