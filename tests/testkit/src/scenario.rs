//! A small life of a catalog: products created, changed in every way, moved, deleted and restored.

use std::collections::BTreeMap;

use adapter_kafka::read_topic;
use anyhow::ensure;
use cli::commands::stores::{self, Which};
use cli::config::Config;
use read_models::ReadModel;
use serde_json::{Value, json};

use crate::client::product;
use crate::{Client, OnServers, Oracle, System as _, eventually, expected, rows};

/// Gives about five commands to each of `products` products; each answer is checked.
///
/// # Errors
/// If a command is not accepted.
pub async fn live(client: &Client, products: usize) -> anyhow::Result<()> {
    let commands: Vec<Value> = (0..products).flat_map(life).collect();
    for part in commands.chunks(500) {
        let body: String = part.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let headers = [("content-type", "application/x-ndjson")];
        let reply = client.send(reqwest::Method::POST, "/v1/commands:bulk", &headers, body).await?;
        let answers = reply.body.as_str().unwrap_or_default();
        ensure!(answers.lines().count() == part.len(), "one answer a line: {answers}");
        for (line, answer) in part.iter().zip(answers.lines()) {
            ensure!(answer.contains(r#""outcome":"accepted""#), "{line} was answered {answer}");
        }
    }
    Ok(())
}

fn life(number: usize) -> Vec<Value> {
    let id = format!("p{number}");
    let mut payload = product(&id);
    payload["category"] = json!(format!("tests/{}", number % 5));
    let mut commands = vec![("create_product", payload)];
    commands.push(("change_price", json!({ "price": { "minor_units": 2_000 + number, "currency": "USD" } })));
    if number.is_multiple_of(2) {
        commands.push(("move_to_category", json!({ "category": format!("tests/moved/{}", number % 3) })));
    }
    if number.is_multiple_of(3) {
        commands.push(("revise_details", json!({ "name": format!("Renamed {number}"), "tags": ["a", "b"] })));
    }
    if number.is_multiple_of(4) {
        commands.push(("delete_product", json!({ "reason": "out of stock" })));
    }
    if number.is_multiple_of(8) {
        commands.push(("restore_product", json!({})));
        commands.push(("discontinue_product", json!({})));
        commands.push(("list_product", json!({})));
        // Back where it was: the row of the first category must come again.
        commands.push(("move_to_category", json!({ "category": format!("tests/{}", number % 5) })));
    }
    commands
        .into_iter()
        .map(|(command, payload)| json!({ "command": command, "product_id": id, "payload": payload }))
        .collect()
}

/// Waits until the groups of `group_prefix` have applied all of the log.
///
/// # Errors
/// If a server does not answer.
pub async fn caught_up(system: &OnServers, group_prefix: &str) -> anyhow::Result<()> {
    caught_up_at(&system.config, group_prefix).await
}

/// The same on servers that are no test's.
///
/// # Errors
/// If a server does not answer.
pub async fn caught_up_at(config: &Config, group_prefix: &str) -> anyhow::Result<()> {
    let servers = stores::servers(config);
    let log = read_topic(&config.kafka, &config.topic).await?;
    let ends: BTreeMap<i32, i64> = (0..).zip(log.ends.of_all(log.partitions).await?).collect();
    for read_model in ReadModel::ALL {
        // Of the build that is read.
        let generation = Which::default().generation(&servers, *read_model).await?;
        let group = read_model.group_id(group_prefix, generation);
        let positions = async || {
            let builds = servers.builds(*read_model).await.unwrap_or_default();
            let build = builds.into_iter().find(|it| it.generation == generation);
            build.and_then(|mut it| it.groups.remove(&group)).unwrap_or_default()
        };
        let is_there = |it: &BTreeMap<i32, i64>| {
            ends.iter().all(|(partition, end)| it.get(partition).copied().unwrap_or_default() >= *end)
        };
        eventually(&format!("{group} catches up"), positions, is_there).await;
    }
    Ok(())
}

/// Waits until the rows of what is read are what the log says.
///
/// # Errors
/// If they are not in time: what differs then.
pub async fn rows_follow_the_log(system: &OnServers, oracle: &Oracle) -> anyhow::Result<()> {
    let differences = async || {
        let rows = rows::rows(&system.config).await;
        let differ = rows.and_then(|rows| expected::differences(oracle, &rows, OnServers::NOT_GIVEN_BACK));
        differ.map_or_else(|error| vec![format!("{error:#}")], |(_, differences)| differences)
    };
    let left = eventually("the read models are what the log says", differences, Vec::is_empty).await;
    ensure!(left.is_empty(), "{left:#?}");
    Ok(())
}
