//! Uploads lines of commands through the public bulk API.
//! Promises that each line gets exactly one answer, in the end, or the upload fails saying why: lines without an answer
//! are sent again (their idempotency keys make that harmless), also when the command service is killed in between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::sync::Mutex;

/// Where and how to upload.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Base addresses of command services, e.g. `http://127.0.0.1:8080`; used in turn.
    pub urls: Vec<String>,
    /// Lines per request.
    pub chunk: usize,
    /// Requests at a time.
    pub parallel: usize,
    /// Give up when nothing was answered for so long.
    pub patience: Duration,
}

/// One line's answer, as the bulk API gives it.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    pub status: u16,
    #[serde(default)]
    pub outcome: Option<String>,
    #[serde(default)]
    pub product_id: Option<String>,
    #[serde(default)]
    pub version: Option<u64>,
    #[serde(default)]
    pub event_id: Option<String>,
    #[serde(default)]
    pub consistency_token: Option<String>,
    #[serde(default)]
    pub replayed: bool,
    #[serde(default)]
    pub problem: Option<serde_json::Value>,
}

impl Answer {
    /// The problem's code, if it is one.
    pub fn code(&self) -> Option<&str> {
        self.problem.as_ref()?.get("code")?.as_str()
    }

    /// Is it worth sending the same line again?
    fn is_retryable(&self) -> bool {
        self.problem.as_ref().and_then(|it| it.get("retryable")).and_then(serde_json::Value::as_bool)
            == Some(true)
    }
}

impl Upload {
    /// Uploads `lines`; `answered` is called once per line that has its final answer, with the line's index.
    ///
    /// # Errors
    /// If nothing was answered for `patience`: what the last attempt met.
    pub async fn run(
        &self,
        lines: &[String],
        answered: impl Fn(usize, &Answer) + Sync,
    ) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().connect_timeout(Duration::from_secs(2)).build()?;
        let chunks: Vec<(usize, &[String])> =
            lines.chunks(self.chunk).enumerate().map(|(index, chunk)| (index * self.chunk, chunk)).collect();
        let progressed = Arc::new(Mutex::new(Instant::now()));
        let answered = &answered;
        let results = futures::stream::iter(chunks)
            .map(|(first, chunk)| self.chunk(&client, first, chunk, answered, &progressed))
            .buffer_unordered(self.parallel)
            .collect::<Vec<_>>()
            .await;
        results.into_iter().collect()
    }

    async fn chunk(
        &self,
        client: &reqwest::Client,
        first: usize,
        chunk: &[String],
        answered: &(impl Fn(usize, &Answer) + Sync),
        progressed: &Mutex<Instant>,
    ) -> anyhow::Result<()> {
        let mut open: Vec<usize> = (0..chunk.len()).collect();
        let mut attempt = first / self.chunk.max(1);
        while !open.is_empty() {
            let body = open.iter().fold(String::new(), |body, &index| body + &chunk[index] + "\n");
            let mut done = 0;
            let mut again = Vec::new();
            let url = &self.urls[attempt % self.urls.len()];
            attempt += 1;
            let outcome = self
                .request(client, url, body, |answer| {
                    let Some(&index) = open.get(done) else { return };
                    done += 1;
                    if answer.is_retryable() {
                        again.push(index);
                    } else {
                        answered(first + index, &answer);
                    }
                })
                .await;
            if done > again.len() {
                *progressed.lock().await = Instant::now();
            }
            again.extend_from_slice(&open[done..]);
            open = again;
            if let Err(error) = outcome {
                let idle = progressed.lock().await.elapsed();
                if idle > self.patience {
                    return Err(
                        error.context(format!("uploading to {url}: no line was answered for {idle:.0?}"))
                    );
                }
            }
            if !open.is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    async fn request(
        &self,
        client: &reqwest::Client,
        url: &str,
        body: String,
        mut each: impl FnMut(Answer),
    ) -> anyhow::Result<()> {
        let sent = client
            .post(format!("{url}/v1/commands:bulk"))
            .header("content-type", "application/x-ndjson")
            .body(body)
            .send();
        let answer =
            tokio::time::timeout(self.patience, sent).await.context("waiting for the first answer")??;
        let status = answer.status();
        if !status.is_success() {
            bail!("the bulk API answered {status}: {}", answer.text().await.unwrap_or_default());
        }
        let mut stream = answer.bytes_stream();
        let mut rest: Vec<u8> = Vec::new();
        while let Some(piece) =
            tokio::time::timeout(self.patience, stream.next()).await.context("waiting for answers")?
        {
            rest.extend_from_slice(&piece.context("reading answers")?);
            let mut start = 0;
            while let Some(length) = rest[start..].iter().position(|&byte| byte == b'\n') {
                let line = &rest[start..start + length];
                each(serde_json::from_slice(line).with_context(|| {
                    format!("an answer that is not one: {}", String::from_utf8_lossy(line))
                })?);
                start += length + 1;
            }
            rest.drain(..start);
        }
        Ok(())
    }
}
