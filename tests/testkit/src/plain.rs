//! Records as someone sees them who knows nothing of Folio: a place, a key, headers. Promises that nothing of ours read them.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, ensure};
use ledger::{LogRecord, Partition};
use serde_json::Value;

use crate::tools::require;

/// A record without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainRecord {
    pub partition: i64,
    pub offset: i64,
    pub key: String,
    pub headers: BTreeMap<String, String>,
}

impl PlainRecord {
    /// A record as an adapter gives it.
    ///
    /// # Errors
    /// If key or headers are no text.
    pub fn of(partition: Partition, record: &LogRecord) -> anyhow::Result<Self> {
        let text =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).context("a key or header that is no text");
        let headers = record.headers.iter().map(|(name, value)| Ok((name.to_owned(), text(value)?)));
        Ok(Self {
            partition: partition.0.into(),
            offset: record.offset,
            key: text(&record.key)?,
            headers: headers.collect::<anyhow::Result<_>>()?,
        })
    }

    /// The lines that `kcat -J` writes.
    ///
    /// # Errors
    /// If a line is none of them.
    pub fn all(lines: &[u8]) -> anyhow::Result<Vec<Self>> {
        // Values are Avro: kcat writes their bytes as they are, which need not be UTF-8.
        let text = String::from_utf8_lossy(lines);
        text.lines().map(|line| Self::of_kcat(&serde_json::from_str(line)?)).collect()
    }

    fn of_kcat(line: &Value) -> anyhow::Result<Self> {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let flat = line["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self {
            partition: line["partition"].as_i64().context("a line of kcat -J has a partition")?,
            offset: line["offset"].as_i64().context("a line of kcat -J has an offset")?,
            key: text(&line["key"]),
            headers: flat.chunks_exact(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        })
    }
}

/// Everything in a topic, as `kcat -J` writes it: a line for each record.
///
/// # Errors
/// If there is no kcat, or it cannot read the topic.
pub async fn kcat(bootstrap_servers: &str, topic: &str) -> anyhow::Result<Vec<u8>> {
    let (servers, topic) = (bootstrap_servers.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        require(&["kcat"])?;
        let out =
            Command::new("kcat").args(["-b", &servers, "-C", "-t", &topic, "-e", "-q", "-J"]).output()?;
        ensure!(out.status.success(), "kcat: {}", String::from_utf8_lossy(&out.stderr));
        Ok(out.stdout)
    })
    .await?
}
