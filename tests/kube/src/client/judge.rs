//! Everything that was acknowledged, against the log, the stores, and what the query gateway shows.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use cli::config::Config;
use cli::system::Names;
use contract::ConsistencyToken;
use domain::{ProductId, Version};
use futures::StreamExt as _;
use local_servers::Addresses;
use testkit::history::{Recorded, Told, check};
use testkit::scenario::caught_up_at;
use testkit::{Client, Oracle, expected, rows};

use super::import::{Imported, LINES};
use super::known::Acknowledged;
use super::reads::{Judged, Question, Release};
use crate::control::Verdict;

/// Faults told in full.
const TOLD: usize = 20;
/// How often a product is read until it is given up.
const TRIES: u64 = 20;

/// Compares.
///
/// # Errors
/// If a server does not answer.
pub(crate) async fn judge(
    servers: &Addresses,
    queries: &Client,
    recorded: &[Recorded],
    imported: &Imported,
) -> anyhow::Result<Verdict> {
    let names = Names::default();
    let config = Config::local(servers, &names);
    caught_up_at(&config, &names.group_prefix).await?;
    let log = adapter_kafka::read_topic(&config.kafka, &config.topic).await.context("reading the topic")?;
    let ids = cli::commands::schemas::ids(&config).await?;
    let oracle = Oracle::of(&log, &ids).await?;
    let audit = log.audit(|_, _, _| {}).await?;
    let mut faults = Vec::new();
    if audit.garbage + audit.violations > 0 {
        faults.push(format!("{} records are garbage, {} break the rule", audit.garbage, audit.violations));
    }

    let checked = check(&of_writers(&oracle), recorded);
    if checked.violations > 0 {
        faults.push(format!("{} answers or records are not as they should be", checked.violations));
        faults.extend(checked.first);
    }
    if imported.len() != LINES {
        faults.push(format!("{} lines of the import were answered, and not {LINES}", imported.len()));
    }
    faults.extend(lost_of_import(&oracle, imported));
    let held = rows::rows(&config).await?;
    let (rows, differences) = expected::differences(&oracle, &held, &[])?;
    faults.extend(differences);
    let (read_back, unread) = read_back(&oracle, queries).await;
    faults.extend(unread);
    faults.truncate(TOLD);

    let is_accepted = |it: &&Recorded| it.attempts.iter().any(|it| matches!(it.told, Told::Accepted { .. }));
    let is_retried = |it: &&Recorded| it.attempts.iter().any(|it| !it.told.is_final());
    Ok(Verdict {
        commands: checked.commands,
        acknowledged: recorded.iter().filter(is_accepted).count() as u64,
        retried: recorded.iter().filter(is_retried).count() as u64,
        requests: checked.attempts,
        answers: checked.answers,
        imported: imported.len() as u64,
        records: audit.records,
        effective: audit.effective,
        void: audit.void,
        unacknowledged: checked.unacknowledged,
        rows: rows as u64,
        read_back,
        faults,
    })
}

/// The log without the products of the import and of `helm test`, which the writers know nothing of.
fn of_writers(oracle: &Oracle) -> Oracle {
    let mut oracle = oracle.clone();
    oracle.products.retain(|id, _| id.starts_with("p-"));
    oracle
}

/// Every line of the import is one effective record, the one that it was told of.
fn lost_of_import(oracle: &Oracle, imported: &Imported) -> Vec<String> {
    let is_there = |(id, answer): (&String, &cli::import::Answer)| {
        let records = oracle.products.get(id).map(Vec::as_slice).unwrap_or_default();
        match records {
            [one] if answer.event_id == Some(one.event_id.to_string()) => None,
            _ => Some(format!("{id} was answered {answer:?}, and the log holds {records:?}")),
        }
    };
    imported.iter().filter_map(is_there).collect()
}

/// Reads every product there ever was through the Service: how many are as the log says, and those that are not.
async fn read_back(oracle: &Oracle, queries: &Client) -> (u64, Vec<String>) {
    let heads: BTreeMap<&String, Acknowledged> = oracle
        .products
        .iter()
        .filter_map(|(id, history)| {
            let (head, product) = (history.last()?, ProductId::parse(id).ok()?);
            let (version, place) = (head.version, (head.partition, head.offset));
            let token = ConsistencyToken {
                partition: place.0,
                offset: place.1,
                product,
                version: Version(version),
                log: None,
            };
            Some((id, Acknowledged { product: id.clone(), version, token: token.encode() }))
        })
        .collect();
    let count = heads.len() as u64;
    let reads = futures::stream::iter(heads.into_values()).map(async |head| {
        let question = Question::product(head);
        let mut tries = 0;
        loop {
            let judged = question.ask(queries).await;
            tries += 1;
            match judged {
                // What a later release made, and was read for a while, is read no more.
                Judged::Good(None | Some(Release::This)) => return None,
                Judged::Failed(_) if tries < TRIES => tokio::time::sleep(Duration::from_millis(250)).await,
                judged => return Some(format!("reading back {question:?}: {judged:?} after {tries} tries")),
            }
        }
    });
    let unread: Vec<String> = reads.buffer_unordered(4).filter_map(async |it| it).collect().await;
    (count - unread.len() as u64, unread)
}
