//! P25 A read model is built beside the live one, compared row for row, switched to and back again; no read fails, and none shows less than one before it.
//!
//! All of it under load: a writer goes on and reads each write back from whatever gateways serve, and a reader without tokens asks all of
//! them in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cli::args;
use cli::commands::read_models::{self as actions, Line, Of, lines};
use cli::commands::rebuild::{self, AsOfOptions, Rebuild, decide};
use cli::commands::stores::{self, One, Which};
use cli::commands::verify;
use cli::config::Config;
use read_models::compare::{By, compare};
use read_models::control::{Desk, Stage, Step, Turn};
use read_models::{Generation, ReadModel};
use serde_json::Value;
use testkit::expected::differences;
use testkit::{Client, OnServers, Started, System as _, eventually};

/// Products that are written to all the while, and products that are not.
const MOVING: usize = 40;
const STILL: usize = 400;
const FIRST: Generation = Generation::FIRST;
/// How often each of the three read models is switched to another build.
const SWITCHES: usize = 34;
/// What is read goes on for so long between two of them.
const BETWEEN: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_build_is_compared_switched_to_and_left_again_under_load() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let second = Generation::try_from(2)?;
    let commands = Client::new(&system.command_service().await?.url());
    system.projectors_with(&[("REBUILD__LEASE_MS", "1200")]).await?;
    let gateways =
        [system.query_gateway().await?, system.query_gateway().await?, system.query_gateway().await?];
    for n in 0..STILL {
        assert_eq!(commands.create(&format!("still-{n}")).await?.status, 201);
    }
    let load = Load::start(commands, &gateways).await?;
    assert_eq!(outsiders_read(&system.config).await?, "search-g1");

    // Built beside, compared, switched to: all three at once.
    let config = &system.config;
    let rebuilt = ReadModel::ALL.iter().map(|it| async move { rebuild::run(config, &waited(*it)).await });
    futures::future::try_join_all(rebuilt).await?;
    assert_eq!(outsiders_read(&system.config).await?, "search-g2");
    let (first, now) = (settings(&system.config, FIRST).await?, settings(&system.config, second).await?);
    assert!(
        first == now && first["refresh_interval"] == "1s",
        "as declared, and no longer as for building: {now}"
    );
    let told = |lines: &[Line]| {
        lines.iter().map(|it| (it.read_model, it.generation, it.phase.clone())).collect::<Vec<_>>()
    };
    let all = ReadModel::ALL.iter().flat_map(|it| {
        let of = |generation, phase: &str| (*it, generation, phase.to_owned());
        [of(FIRST, "was read before, and follows"), of(second, "gateways read it")]
    });
    let found = lines(&system.config).await?;
    assert_eq!(told(&found), all.collect::<Vec<_>>());
    assert!(found.iter().all(|it| it.behind.len() == 1), "one group makes each: {found:?}");
    load.goes_on(60).await;

    // Switched to and back again, over and over, without a restart of anything.
    // Whoever asks for either by its number reads on through it.
    let ended = Arc::new(AtomicBool::new(false));
    let by_number = [FIRST, second]
        .map(|build| tokio::spawn(read_on(clients(&gateways), Arc::clone(&ended), Some(build))));
    let holds = ReadModel::ALL.iter().map(|it| switched(config, *it, SWITCHES));
    let mut holds = futures::future::try_join_all(holds).await?.concat();
    ended.store(true, Ordering::SeqCst);
    for reading in by_number {
        let reads = reading.await??;
        ensure!(reads > 200, "{reads} reads by number are too few to say anything");
    }
    holds.sort_unstable();
    let of = |share: usize| holds[holds.len() * share / 100];
    println!("{} holds: p50 {:?}, p99 {:?}", holds.len(), of(50), of(99));
    load.goes_on(60).await;

    // Every row of what is read is what the log says, as a build that is made for it alone and dropped again shows.
    verify::compare_rows(&system.config, &Which::one(ReadModel::History, FIRST)).await?;
    let mut desk = rebuild::open(&system.config).await?;
    assert!(desk.builds(ReadModel::History).all().count() == 2, "{:?}", desk.builds(ReadModel::History));

    // What differs is told by product, and is not switched to unless somebody insists.
    let servers = stores::servers(&system.config);
    let cql = servers.cql().await?;
    let live = desk.builds(ReadModel::Products).read;
    let lost = format!("DELETE FROM {{keyspace}}.products_{live} WHERE product_id = 'still-7'");
    cql.execute(&cql.prepare(&lost).await?, ()).await?;
    retire_previous(&system.config, &mut desk, ReadModel::Products).await?;
    let products = Which::one(ReadModel::Products, FIRST);
    let found = verify::compare_rows(&system.config, &products).await.unwrap_err().to_string();
    assert!(found.contains("1 products of") && found.contains("(still-7)"), "{found}");
    let abort = args::ReadModels::Abort(Of { read_model: ReadModel::Products });
    actions::run(&system.config, abort).await?;
    let refused = rebuild::run(&system.config, &waited(ReadModel::Products)).await.unwrap_err().to_string();
    assert!(refused.contains("1 products (still-7)") && refused.contains("--force"), "{refused}");
    desk.look().await?;
    let (third, build) = desk.builds(ReadModel::Products).candidate().context("it is still there")?;
    assert!(matches!(build.stage, Stage::Compared { differences: 1, .. }), "{build:?}");
    let one = One { read_model: ReadModel::Products, generation: third };
    let switch = |force| args::ReadModels::Switch { one, force };
    let refused = actions::run(&system.config, switch(false)).await.unwrap_err().to_string();
    assert!(refused.contains("1 products"), "{refused}");
    let compared = compare(&servers, ReadModel::Products, [third, live], By::Rows).await?;
    let [((product, table), [of_third, of_live])] = &compared.differences.iter().collect::<Vec<_>>()[..]
    else {
        panic!("one row is missing: {compared:?}")
    };
    assert_eq!((product.as_str(), *table), ("still-7", "products"));
    assert!(of_third.len() == 1 && of_live.is_empty(), "{compared:?}");
    actions::run(&system.config, switch(true)).await?;
    assert_eq!(commands_status(&gateways[0], "still-7").await?, 200);

    // What is read is not dropped; what is dropped is gone, and its number is not used again.
    let one = One { read_model: ReadModel::Products, generation: third };
    let refused = actions::run(&system.config, args::ReadModels::Retire(one)).await.unwrap_err().to_string();
    assert!(refused.contains("what is read"), "{refused}");
    retire_previous(&system.config, &mut desk, ReadModel::Products).await?;
    let of_live = Which::one(ReadModel::Products, live);
    let gone = async || stores::check(&system.config, &of_live).await.is_err();
    eventually("the tables are dropped", gone, |gone| *gone).await;
    stores::check(&system.config, &Which::default()).await?;
    load.end().await?;

    made_as_of_now_and_shown(&system.config, &gateways[0]).await?;

    // An alias that is lost is published again.
    let live = desk.builds(ReadModel::Search).read;
    let (url, prefix) = (&system.config.search.url, &system.config.search.index_prefix);
    let alias = format!("{url}/{prefix}-search-{live}/_alias/{prefix}-search");
    reqwest::Client::new().delete(alias).send().await?.error_for_status()?;
    let found = async || outsiders_read(&system.config).await.ok();
    eventually("the alias is there again", found, |it| *it == Some(format!("search-{live}"))).await;

    system.caught_up().await?;
    let (compared, wrong) = differences(&system.oracle().await?, &system.rows().await?, &[])?;
    assert!(wrong.is_empty() && compared > 4 * STILL, "{compared}: {wrong:#?}");
    Ok(())
}

/// How the index of a build refreshes and is replicated.
async fn settings(config: &Config, generation: Generation) -> anyhow::Result<Value> {
    let index = format!("{}-search-{generation}", config.search.index_prefix);
    let url = format!("{}/{index}/_settings", config.search.url);
    let answer: Value = reqwest::get(url).await?.error_for_status()?.json().await?;
    let of = &answer[&index]["settings"]["index"];
    let names = ["refresh_interval", "auto_expand_replicas", "number_of_replicas"];
    Ok(names.iter().map(|name| ((*name).to_owned(), of[*name].clone())).collect())
}

/// As of some time, by the command: read by its name. And everything that `folio` shows.
async fn made_as_of_now_and_shown(config: &Config, gateway: &Started) -> anyhow::Result<()> {
    let as_of = AsOfOptions { as_of: jiff::Timestamp::now(), name: "audit".to_owned(), expires: None };
    let asked = Rebuild { as_of: Some(as_of), ..waited(ReadModel::Products) };
    rebuild::run(config, &asked).await?;
    let named = async || commands_status(gateway, "still-8?generation=audit").await.ok();
    eventually("it is read by its name", named, |status| *status == Some(200)).await;
    for shown in [
        args::ReadModels::List,
        args::ReadModels::Show(Of { read_model: ReadModel::Products }),
        args::ReadModels::Show(Of { read_model: ReadModel::Search }),
    ] {
        actions::run(config, shown).await?;
    }
    Ok(())
}

fn waited(read_model: ReadModel) -> Rebuild {
    Rebuild { read_model, wait: true, force: false, no_switch: false, as_of: None }
}

/// Goes back to the build before, and back again, so often; how long each hold took.
async fn switched(config: &Config, read_model: ReadModel, times: usize) -> anyhow::Result<Vec<Duration>> {
    let mut desk = rebuild::open(config).await?;
    let mut holds = Vec::new();
    for _ in 0..times {
        let before = desk.builds(read_model).read;
        let to = desk.builds(read_model).previous().context("a way back")?;
        decide(&mut desk, read_model, |_| Step::Hold { to, force: false }).await?;
        let begun = std::time::Instant::now();
        let mut is_switched = false;
        while !is_switched || desk.builds(read_model).turn != Turn::Steady {
            ensure!(begun.elapsed() < testkit::PATIENCE, "{read_model}: {:?}", desk.builds(read_model));
            tokio::time::sleep(Duration::from_millis(10)).await;
            desk.look().await?;
            is_switched = desk.builds(read_model).read == to;
            let released = &desk.builds(read_model).released;
            ensure!(released.is_none(), "{read_model}: {released:?}");
        }
        holds.push(begun.elapsed());
        // Projectors look ten times a second: of a hold that follows at once they hear together with the end of the one before, and
        // what is read would never go on.
        tokio::time::sleep(BETWEEN).await;
        ensure!(desk.builds(read_model).previous() == Some(before), "the build before is the way back");
    }
    Ok(holds)
}

/// Makes an end of the build that was read before.
async fn retire_previous(config: &Config, desk: &mut Desk, read_model: ReadModel) -> anyhow::Result<()> {
    desk.look().await?;
    let generation = desk.builds(read_model).previous().context("a build that was read before")?;
    let retired = args::ReadModels::Retire(One { read_model, generation });
    actions::run(config, retired).await?;
    desk.look().await?;
    let nothing_before = actions::run(config, args::ReadModels::Rollback(Of { read_model })).await;
    let refused = nothing_before.err().context("there is no way back any more")?.to_string();
    ensure!(refused.contains("no build"), "{refused}");
    Ok(())
}

async fn commands_status(gateway: &Started, product: &str) -> anyhow::Result<u16> {
    Ok(Client::new(&gateway.url()).get(&format!("/v1/products/{product}")).await?.status.as_u16())
}

/// The index behind the alias, without its prefix.
async fn outsiders_read(config: &Config) -> anyhow::Result<String> {
    let prefix = &config.search.index_prefix;
    let url = format!("{}/_alias/{prefix}-search", config.search.url);
    let answer: Value = reqwest::get(url).await?.error_for_status()?.json().await?;
    let indices: Vec<&String> = answer.as_object().context("indices")?.keys().collect();
    let [index] = indices[..] else { anyhow::bail!("one index and not {indices:?}") };
    Ok(index.strip_prefix(&format!("{prefix}-")).context("an index of this catalog")?.to_owned())
}

/// A writer that reads each of its writes back, until it is told to end.
pub(crate) struct Load {
    reads: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
    readers: tokio::task::JoinHandle<anyhow::Result<u64>>,
}

impl Load {
    pub(crate) async fn start(commands: Client, gateways: &[Started]) -> anyhow::Result<Self> {
        for n in 0..MOVING {
            ensure!(commands.create(&format!("moving-{n}")).await?.status == 201);
        }
        let clients = clients(gateways);
        let (reads, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let readers = tokio::spawn(read_on(clients.clone(), Arc::clone(&ended), None));
        let running = tokio::spawn(write_and_read(commands, clients, Arc::clone(&reads), Arc::clone(&ended)));
        Ok(Self { reads, ended, running, readers })
    }

    /// Waits until so many more reads were answered.
    pub(crate) async fn goes_on(&self, reads: u64) {
        let from = self.reads.load(Ordering::SeqCst);
        let look = async || {
            (self.reads.load(Ordering::SeqCst), self.running.is_finished() || self.readers.is_finished())
        };
        eventually("reads go on", look, |(now, failed)| *failed || *now >= from + reads).await;
    }

    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.ended.store(true, Ordering::SeqCst);
        self.running.await??;
        let reads = self.readers.await??;
        ensure!(reads > 1_000, "{reads} reads without a token are too few to say anything");
        Ok(())
    }
}

fn clients(gateways: &[Started]) -> Vec<Client> {
    gateways.iter().map(|it| Client::new(&it.url())).collect()
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

/// Reads without a token, from each gateway in turn, of whichever build is read or of this one: whatever one of them has shown, none
/// shows less later.
async fn read_on(
    gateways: Vec<Client>,
    ended: Arc<AtomicBool>,
    build: Option<Generation>,
) -> anyhow::Result<u64> {
    let (mut seen, mut reads) = (std::collections::HashMap::<String, i64>::new(), 0);
    for n in 0_usize.. {
        if ended.load(Ordering::SeqCst) {
            break;
        }
        // Each product from all gateways, one after another, before the next.
        let id = format!("moving-{}", n / gateways.len() % MOVING);
        let client = &gateways[n % gateways.len()];
        let (path, at) = match n / gateways.len() / MOVING % 3 {
            0 => (format!("/v1/products/{id}"), "/version"),
            1 => (format!("/v1/products/{id}/history?order=desc&page_size=1"), "/items/0/version"),
            _ => (format!("/v1/search?q={id}&page_size=1"), "/items/0/version"),
        };
        let path = match build {
            Some(build) => {
                format!("{path}{}generation={build}", if path.contains('?') { '&' } else { '?' })
            }
            None => path,
        };
        let read = client.get(&path).await?;
        if read.status == 404 && !seen.contains_key(&path) {
            continue;
        }
        ensure!(read.status == 200, "{path}: {} {}", read.status, read.body);
        // Others are found by the same words.
        let is_other = read.body.pointer("/items/0/product_id").is_some_and(|it| *it != *id.as_str());
        let version = read.body.pointer(at).and_then(Value::as_i64).filter(|_| !is_other);
        let Some(version) = version else { continue };
        let before = seen.insert(path.clone(), version).unwrap_or_default();
        ensure!(version >= before, "{path} shows {version} after {before}");
        reads += 1;
        // What is asked for by number is asked for by two more of them.
        tokio::time::sleep(Duration::from_millis(if build.is_some() { 10 } else { 2 })).await;
    }
    Ok(reads)
}
