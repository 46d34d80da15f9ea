//! P19 A store that crashes loses nothing for good, and no read is wrong meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use adapter_cql::Cql;
use ledger::partition_of;
use read_models::declared::On;
use read_models::model::{Position, Positions};
use read_models::positions::CqlPositions;
use read_models::{Generation, ReadModel};
use serde_json::{Value, json};
use testkit::rows::tables;
use testkit::scenario::{caught_up, live, rows_follow_the_log};
use testkit::servers::{Kind, PrivateServer, servers};
use testkit::{Client, OnServers, PATIENCE, Started, System, eventually};

/// How often a server is killed; Elasticsearch is stopped as often.
const TIMES: usize = 10;
const SHOPPERS: usize = 4;
const PRODUCTS: usize = 6;

/// A catalog on stores of the test's own.
struct Stage {
    // Dropped in this order: services before their servers.
    system: OnServers,
    projectors: Vec<Started>,
    commands: Client,
    queries: Client,
    cassandra: PrivateServer,
    elasticsearch: PrivateServer,
}

impl Stage {
    async fn build() -> anyhow::Result<Self> {
        let start = || {
            let other = std::thread::spawn(|| PrivateServer::start(Kind::Elasticsearch));
            let cassandra = PrivateServer::start(Kind::Cassandra);
            (servers(), cassandra, other.join().expect("a server starts"))
        };
        let (stack, cassandra, elasticsearch) = tokio::task::spawn_blocking(start).await?;
        let (cassandra, elasticsearch) = (cassandra?, elasticsearch?);
        let mut addresses = stack.addresses.clone();
        addresses.cql_contact_point = cassandra.address();
        addresses.elasticsearch_url = format!("http://{}", elasticsearch.address());
        let mut system = OnServers::prepare_on(addresses).await?;
        let commands = Client::new(&system.command_service().await?.url());
        let projectors = system.projectors().await?;
        let queries = Client::new(&system.query_gateway().await?.url());
        Ok(Self { system, projectors, commands, queries, cassandra, elasticsearch })
    }

    /// Whatever was lost is there again, and nothing has stopped.
    async fn heals(&mut self) -> anyhow::Result<()> {
        caught_up(&self.system, &self.system.planner.names.group_prefix).await?;
        for projector in &self.projectors {
            projector.service.wait_ready(PATIENCE).await?;
        }
        let oracle = self.system.oracle().await?;
        rows_follow_the_log(&self.system, &oracle).await
    }
}

/// What the shoppers found.
#[derive(Debug, Default)]
struct Found {
    stop: AtomicBool,
    written: AtomicU64,
    /// Reads that were answered, and those that were told to come back.
    right: AtomicU64,
    later: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// Changes products of its own, one after another, and reads each of its writes in every way.
struct Shopper {
    number: usize,
    commands: Client,
    queries: Client,
    found: Arc<Found>,
}

impl Shopper {
    async fn shop(self) {
        let mut versions = [0_u64; PRODUCTS];
        for turn in 0_u64.. {
            if self.found.stop.load(Ordering::SeqCst) {
                break;
            }
            let product = (turn % PRODUCTS as u64) as usize;
            let id = format!("s{}-{product}", self.number);
            if let Some((version, token)) = self.write(&id, turn, versions[product]).await {
                versions[product] = version;
                self.read(&id, turn, version, &token).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Here it is after this turn.
    fn category(&self, turn: u64) -> String {
        format!("shop{}/{}", self.number, turn / PRODUCTS as u64 % 3)
    }

    async fn write(&self, id: &str, turn: u64, version: u64) -> Option<(u64, String)> {
        let answer = if version == 0 {
            let mut body = testkit::product(id);
            body["category"] = json!(self.category(turn));
            self.commands
                .send(reqwest::Method::PUT, &format!("/v1/products/{id}"), &JSON, body.to_string())
                .await
        } else {
            let body = json!({ "category": self.category(turn) });
            self.commands.post(&format!("/v1/products/{id}:move-to-category"), &[], &body).await
        };
        let answer = answer.ok()?;
        if answer.body["retryable"] == true {
            return None;
        }
        if !answer.status.is_success() {
            self.wrong(format!("{id} cannot be written while a store is away: {}", answer.body));
            return None;
        }
        self.found.written.fetch_add(1, Ordering::SeqCst);
        Some((answer.body["version"].as_u64()?, answer.header("consistency-token").to_owned()))
    }

    async fn read(&self, id: &str, turn: u64, version: u64, token: &str) {
        let at_least = |found: &Value| found["version"].as_u64() >= Some(version);
        let (here, before) = (self.category(turn), self.category(turn + 2 * PRODUCTS as u64));
        let items = |body: &Value| body["items"].as_array().cloned().unwrap_or_default();
        let is_item = |item: &Value| item["product_id"] == id;
        let path = format!("/v1/products/{id}");
        match turn % 7 {
            0 => self.check(token, &path, at_least).await,
            1 => {
                let listed = |body: &Value| items(body).iter().any(|it| is_item(it) && at_least(it));
                self.check(token, &format!("/v1/products?category={here}&page_size=200"), listed).await;
            }
            2 => {
                let gone = |body: &Value| !items(body).iter().any(is_item);
                self.check(token, &format!("/v1/products?category={before}&page_size=200"), gone).await;
            }
            3 => {
                let whole = |body: &Value| {
                    let found: Vec<u64> =
                        items(body).iter().filter_map(|it| it["version"].as_u64()).collect();
                    found.first() >= Some(&version) && found.windows(2).all(|two| two[0] == two[1] + 1)
                };
                self.check(token, &format!("{path}/history?page_size=50"), whole).await;
            }
            4 => {
                let that = |body: &Value| body["version"] == version;
                self.check(token, &format!("{path}?version={version}"), that).await;
            }
            5 => {
                let earlier = version.div_ceil(2);
                let that = |body: &Value| body["version"] == earlier;
                self.check(token, &format!("{path}?version={earlier}"), that).await;
            }
            _ => {
                let found = |body: &Value| items(body).iter().any(|it| is_item(it) && at_least(it));
                self.check(token, &format!("/v1/search?q=SKU-{}", id.to_uppercase()), found).await;
            }
        }
    }

    /// Whoever is answered is answered rightly, and whoever is not is told to come back.
    async fn check(&self, token: &str, path: &str, is_right: impl Fn(&Value) -> bool) {
        let headers = [("consistency-token", token), ("prefer", "wait=2")];
        let Ok(answer) = self.queries.get_with(path, &headers).await else { return };
        match answer.status.as_u16() {
            200 if is_right(&answer.body) => drop(self.found.right.fetch_add(1, Ordering::SeqCst)),
            429 | 503 if answer.body["retryable"] == true && !answer.header("retry-after").is_empty() => {
                self.found.later.fetch_add(1, Ordering::SeqCst);
            }
            status => self.wrong(format!("{path} was answered {status}: {}", answer.body)),
        }
    }

    fn wrong(&self, what: String) {
        self.found.wrong.lock().expect("no shopper panics").push(what);
    }
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Lets clients write and read while `crash` is called with each number, and waits after each until a write is read again.
async fn under_load(
    stage: &mut Stage,
    times: usize,
    reads: &str,
    mut crash: impl FnMut(&mut Stage, usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let found = Arc::new(Found::default());
    let shoppers: Vec<_> = (0..SHOPPERS)
        .map(|number| {
            let (commands, queries) = (stage.commands.clone(), stage.queries.clone());
            tokio::spawn(Shopper { number, commands, queries, found: Arc::clone(&found) }.shop())
        })
        .collect();
    for number in 0..times {
        tokio::time::sleep(Duration::from_secs(2)).await;
        tokio::task::block_in_place(|| crash(stage, number))?;
        let since = Instant::now();
        let marker = format!("marker-{number}");
        let created = stage.commands.create(&marker).await?;
        assert_eq!(created.status, 201, "{}", created.body);
        let token = [("consistency-token", created.header("consistency-token")), ("prefer", "wait=5")];
        let path = reads.replace("{id}", &marker);
        eventually(
            &format!("a write is read after crash {number}"),
            async || stage.queries.get_with(&path, &token).await.map_or(0, |it| it.status.as_u16()),
            |status| *status == 200,
        )
        .await;
        eprintln!(
            "crash {number}: a write is read {:.1} s after the server was ready",
            since.elapsed().as_secs_f64()
        );
    }
    found.stop.store(true, Ordering::SeqCst);
    for shopper in shoppers {
        shopper.await?;
    }
    let wrong = found.wrong.lock().expect("no shopper panics");
    let (right, later) = (found.right.load(Ordering::SeqCst), found.later.load(Ordering::SeqCst));
    eprintln!(
        "{} writes; {right} reads were answered, {later} told to come back",
        found.written.load(Ordering::SeqCst)
    );
    assert!(
        wrong.is_empty(),
        "{} of {} reads were wrong: {:#?}",
        wrong.len(),
        right + later,
        &wrong[..wrong.len().min(10)]
    );
    assert!(right > 100, "{right} reads were answered");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cql_store_that_is_killed_and_forgets_what_it_acknowledged_is_made_whole() -> anyhow::Result<()> {
    let mut stage = Box::pin(Stage::build()).await?;
    under_load(&mut stage, TIMES, "/v1/products?category=tests/products", |stage, _| {
        stage.cassandra.kill()?;
        stage.cassandra.start_again()
    })
    .await?;
    stage.heals().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_server_that_is_stopped_or_killed_stops_nothing_for_good() -> anyhow::Result<()> {
    let mut stage = Box::pin(Stage::build()).await?;
    under_load(&mut stage, 2 * TIMES, "/v1/search?q=SKU-{id}", |stage, number| {
        if number % 2 == 0 {
            stage.elasticsearch.kill()?;
        } else {
            stage.elasticsearch.stop()?;
        }
        stage.elasticsearch.start_again()
    })
    .await?;
    stage.heals().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_gone_are_built_again_from_the_log_and_no_partition_stops() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors().await?;
    let queries = Client::new(&system.query_gateway().await?.url());
    live(&commands, 90).await?;
    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;
    let cql = Cql::connect(&system.config.cql).await?;
    let restarted = system.planner.names.group_prefix.clone();
    for projector in &projectors {
        // Their states in memory would make up for it.
        projector.service.kill();
        assert!(projector.service.wait_ended(PATIENCE).await);
    }
    // Long after the projectors wrote them: positions stay as they are.
    set_durable(&cql, &restarted).await?;
    for table in tables() {
        cql.truncate(&table).await?;
    }
    let projectors = system.projectors().await?;

    // The products of the fullest partition: all but one get a command.
    let all: Vec<String> = (0..90).map(|number| format!("p{number}")).collect();
    let of = |partition| all.iter().filter(|id| partition_of(id, 6).0 == partition).collect::<Vec<_>>();
    let ids = (0..6).map(of).max_by_key(Vec::len).unwrap_or_default();
    let (untouched, touched) = ids.split_first().expect("there are some");
    assert!(touched.len() > 10, "{ids:?}");
    for id in touched {
        let changed = commands.change_price(id, 9_000, &[]).await?;
        if changed.code() == "product-deleted" {
            continue;
        }
        assert_eq!(changed.status, 200, "{}", changed.body);
        let version = changed.body["version"].as_u64();
        let headers = [("consistency-token", changed.header("consistency-token")), ("prefer", "wait=30")];
        let product = queries.get_with(&format!("/v1/products/{id}"), &headers).await?;
        assert_eq!(
            (product.status.as_u16(), product.body["version"].as_u64()),
            (200, version),
            "{}",
            product.body
        );
        let first = queries.get_with(&format!("/v1/products/{id}?version=1"), &headers).await?;
        assert_eq!((first.status.as_u16(), first.body["version"].as_u64()), (200, Some(1)), "{}", first.body);
    }
    // So many were gone that the others were built again with them.
    let again = async || {
        queries.get(&format!("/v1/products/{untouched}/history")).await.map(|it| it.status.as_u16()).ok()
    };
    eventually("a product without a command is there again", again, |status| *status == Some(200)).await;
    for projector in &projectors {
        projector.service.wait_ready(PATIENCE).await?;
        assert!(!projector.log().contains("ERROR"), "{}", projector.log());
    }
    Ok(())
}

/// Says that everything applied is durable, as it is when nothing comes for a while.
async fn set_durable(cql: &Cql, prefix: &str) -> anyhow::Result<()> {
    for read_model in ReadModel::ALL {
        let declared = read_model.declared();
        let On::Cql(schema) = declared.on else { continue };
        let positions = CqlPositions::open(cql, declared.name, schema, Generation::FIRST).await?;
        let group = read_model.group_id(prefix, Generation::FIRST);
        for partition in 0..6 {
            if let Some(Position { applied, log, .. }) = positions.read(&group, partition).await? {
                positions.write(&group, partition, Position { applied, durable: applied, log }).await?;
            }
        }
    }
    Ok(())
}
