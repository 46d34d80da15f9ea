//! Products to begin with, through the door that everybody uses. Promises that sowing again changes nothing, and that all of
//! them can be searched when it is said that they are there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use contract::ConsistencyToken;
use contract::code::Code;
use reqwest::Client;

use super::Seed;
use crate::DoorTls;
use crate::commands::import::bar;
use crate::import::{Answer, Created, Upload, diamonds};
use crate::say::say;

/// Lines per request: small enough that progress is seen.
const CHUNK: usize = 500;
const PARALLEL: usize = 4;
/// Nothing may stand still for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a search may wait for what was sown.
const VISIBLE: Duration = Duration::from_secs(30);

/// What became of the lines.
#[derive(Debug, Default)]
struct Sown {
    new: usize,
    there: usize,
    /// The first that was refused.
    refused: Option<String>,
    /// The latest answer of each partition: its offset, and the token that waits for it.
    latest: BTreeMap<i32, (i64, String)>,
}

impl Sown {
    fn count(&mut self, answer: &Answer) {
        match Created::of(answer) {
            Created::New => self.new += 1,
            // Also what was changed or deleted since: it stays so.
            Created::Known | Created::Exists => self.there += 1,
            Created::Refused { code, .. } if code == Code::ProductDeleted.name() => self.there += 1,
            Created::Refused { code, told } => {
                self.refused.get_or_insert(format!("{code}: {told}"));
            }
        }
        let Some(token) = &answer.consistency_token else { return };
        let Ok(decoded) = ConsistencyToken::decode(token) else { return };
        let latest = self.latest.entry(decoded.partition).or_default();
        if latest.1.is_empty() || latest.0 < decoded.offset {
            *latest = (decoded.offset, token.clone());
        }
    }
}

/// Puts products in, and waits until they can be found.
pub(super) async fn sow(seed: Seed, url: &str) -> anyhow::Result<()> {
    let lines = tokio::task::spawn_blocking(move || match seed {
        Seed::Sample => diamonds::few_lines(),
        Seed::Diamonds => diamonds::lines(),
    });
    let lines = lines.await??;
    let bar = bar("putting products in", lines.len() as u64);
    let sown = Mutex::new(Sown::default());
    let upload = Upload {
        urls: vec![url.to_owned()],
        chunk: CHUNK,
        parallel: PARALLEL,
        patience: PATIENCE,
        tls: DoorTls::default(),
    };
    let uploaded = upload
        .run(&lines, |_, answer| {
            sown.lock().unwrap_or_else(PoisonError::into_inner).count(answer);
            bar.inc(1);
        })
        .await;
    bar.finish_and_clear();
    uploaded?;
    let Sown { new, there, refused, latest } = sown.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(refused) = refused {
        bail!("a product was refused: {refused}");
    }
    found(url, latest.into_values().map(|(_, token)| token)).await?;
    say!("{} products are in and can be found: {new} new, {there} that were there already", new + there);
    Ok(())
}

/// Waits until a search finds all that these tokens name.
async fn found(url: &str, tokens: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let client = Client::builder().timeout(VISIBLE * 2).build()?;
    for token in tokens {
        let answer = client
            .get(format!("{url}/v1/search?page_size=1"))
            .header("consistency-token", token)
            .header("prefer", format!("wait={}", VISIBLE.as_secs()))
            .send()
            .await
            .context("asking whether the products can be found")?;
        let status = answer.status();
        if !status.is_success() {
            bail!("a search for the products was answered {status}: {}", answer.text().await?);
        }
    }
    Ok(())
}
