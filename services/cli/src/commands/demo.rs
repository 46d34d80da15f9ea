//! `folio demo`: everything up, the real catalog in, and a look at what one can ask.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use adapter_kafka::read_topic;
use anyhow::{Context, bail};
use read_models::positions::AllPositions;
use read_models::{Generation, ReadModel};
use reqwest::Client;
use serde_json::{Value, json};

use super::stores::{self, Which};
use super::{import, up, verify};
use crate::say::say;

/// All of an import must be visible in every store this long after it began, even on a slow machine.
const PATIENCE: Duration = Duration::from_mins(10);

/// Runs the demonstration and leaves the system running.
///
/// # Errors
/// Whatever stopped it.
pub async fn run(dir: &Path) -> anyhow::Result<()> {
    let system = up::up(dir).await?;
    say!();
    say!("== importing the real catalog through {}/v1/commands:bulk", system.commands());
    let began = Instant::now();
    import::sample(vec![system.commands()]).await?;
    visible(&system, began).await?;
    let counts = verify::count(&system.config(), &Which::default()).await?;
    say!();
    verify::print(&counts);
    if !counts.agree() {
        bail!("the counts differ: see `folio status` and the projectors' logs");
    }
    let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
    let token = change_prices(&client, &system).await?;
    look(&client, &system, &token).await?;
    up::describe(&system);
    say!();
    say!(
        "look around     curl -s '{}/v1/search?q=premium&facets=attr.color' | python3 -m json.tool",
        system.queries()
    );
    say!("status          make status");
    say!("stop            make down");
    Ok(())
}

/// Waits until every read model has applied all of the log, with a bar; then makes it searchable.
async fn visible(system: &up::System, began: Instant) -> anyhow::Result<()> {
    let config = system.config();
    let servers = stores::servers(&config);
    let positions = AllPositions::open(&servers, Generation::FIRST).await?;
    let log = read_topic(&config.kafka, &config.topic).await?;
    let ends: BTreeMap<i32, i64> = (0..).zip(log.ends.of_all(log.partitions).await?).collect();
    let all: i64 = ends.values().sum();
    for read_model in ReadModel::ALL {
        let group = read_model.group_id(&system.names.group_prefix, Generation::FIRST);
        let bar = import::bar(read_model.name(), all as u64);
        loop {
            let mut applied = 0;
            for (partition, end) in &ends {
                applied += positions.read(*read_model, &group, *partition).await?.applied.min(*end);
            }
            bar.set_position(applied as u64);
            if applied >= all {
                break;
            }
            if began.elapsed() > PATIENCE {
                bail!(
                    "{read_model} has applied {applied} of {all} records after {PATIENCE:?}: see its projector's log"
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bar.finish();
        say!(
            "{read_model} has applied all {all} records {:.1} s after the import began",
            began.elapsed().as_secs_f64()
        );
    }
    let search = ReadModel::Search.declared();
    let found = verify::rows(&servers, search, &search.tables[0], Generation::FIRST).await?;
    say!("and {found} products can be searched after {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Raises some prices; the last answer's consistency token comes back.
async fn change_prices(client: &Client, system: &up::System) -> anyhow::Result<String> {
    say!();
    say!("== changing prices: POST /v1/products/diamond-0000N:change-price");
    let mut token = String::new();
    for (number, minor_units) in [(2_usize, 33_900), (3, 34_500), (1, 29_900), (1, 31_900)] {
        let id = crate::import::diamonds::product_id(number);
        let answer: Value = client
            .post(format!("{}/v1/products/{id}:change-price", system.commands()))
            .json(&json!({ "price": { "minor_units": minor_units, "currency": "USD" } }))
            .send()
            .await?
            .json()
            .await?;
        answer["consistency_token"]
            .as_str()
            .with_context(|| format!("the command was answered {answer}"))?
            .clone_into(&mut token);
        say!("{id}: {} at version {}", answer["outcome"].as_str().unwrap_or_default(), answer["version"]);
    }
    Ok(token)
}

async fn look(client: &Client, system: &up::System, token: &str) -> anyhow::Result<()> {
    let ask = async |path: &str| -> anyhow::Result<Value> {
        let url = format!("{}{path}", system.queries());
        let answer =
            client.get(&url).header("consistency-token", token).header("prefer", "wait=20").send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        if !status.is_success() {
            bail!("GET {url} was answered {status}: {body}");
        }
        Ok(body)
    };
    show(
        "a read that waits for that write: GET /v1/products/diamond-00001",
        &ask("/v1/products/diamond-00001").await?,
    )?;
    let search = "/v1/search?q=premuim+diamond&attr.color=E&price_max=100000&currency=USD&facets=category,attr.clarity&page_size=2";
    show(&format!("a search with a typo and facets: GET {search}"), &ask(search).await?)?;
    let history = "/v1/products/diamond-00001/history";
    show(&format!("what happened to it: GET {history}"), &ask(history).await?)
}

fn show(title: &str, answer: &Value) -> anyhow::Result<()> {
    say!();
    say!("== {title}");
    say!("{}", serde_json::to_string_pretty(answer)?);
    Ok(())
}
