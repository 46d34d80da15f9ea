//! Uploads lines of commands through the public bulk API.
//! Promises that each line gets exactly one answer, in the end, or the upload fails saying why: lines without an answer
//! are sent again (their idempotency keys make that harmless), also when the command service is killed in between. What
//! trying again cannot help ends it at once; what may pass ends it when nothing was answered for as long as its patience.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::StreamExt as _;
use serde::Deserialize;

use super::refusal::Failure;
use crate::DoorTls;

/// How long the body of a refusal is waited for.
const BODY: Duration = Duration::from_secs(10);

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
    /// How addresses with https are known.
    pub tls: DoorTls,
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

    /// What is wrong, for people; empty if nothing is.
    pub fn told(&self) -> String {
        let Some(problem) = &self.problem else { return String::new() };
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let mut told = format!("{}: {}", text(&problem["code"]), text(&problem["detail"]));
        for error in problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default() {
            told = format!("{told}; {} {}", text(&error["pointer"]), text(&error["detail"]));
        }
        told
    }

    /// Is it worth sending the same line again?
    fn is_retryable(&self) -> bool {
        self.problem.as_ref().and_then(|it| it.get("retryable")).and_then(serde_json::Value::as_bool)
            == Some(true)
    }
}

/// An upload in flight: several requests may go on at once, and share what they learn.
#[derive(Debug)]
pub struct Uploading<'a> {
    upload: &'a Upload,
    client: reqwest::Client,
    /// When an answer came last; at first, when the first request was sent.
    progressed: Mutex<Option<Instant>>,
    turn: AtomicUsize,
    told: AtomicBool,
}

impl Upload {
    /// Uploads `lines`; `answered` is called once per line that has its final answer, with the line's index.
    ///
    /// # Errors
    /// If nothing was answered for `patience`, or trying again cannot help: what the last attempt met.
    pub async fn run(
        &self,
        lines: &[String],
        answered: impl Fn(usize, &Answer) + Sync,
    ) -> anyhow::Result<()> {
        let uploading = self.begin()?;
        let (uploading, answered) = (&uploading, &answered);
        let results = futures::stream::iter(lines.chunks(self.chunk).enumerate())
            .map(|(index, chunk)| {
                uploading.send(chunk, move |line, answer| answered(index * self.chunk + line, answer))
            })
            .buffer_unordered(self.parallel)
            .collect::<Vec<_>>()
            .await;
        results.into_iter().collect()
    }

    /// Begins an upload whose lines come one request after another.
    ///
    /// # Errors
    /// If an address is none.
    pub fn begin(&self) -> anyhow::Result<Uploading<'_>> {
        for url in &self.urls {
            let parsed = reqwest::Url::parse(url).with_context(|| format!("{url} is no address"))?;
            if !["http", "https"].contains(&parsed.scheme()) || !parsed.has_host() {
                bail!("{url} is no address of a command service: write it like http://127.0.0.1:8080");
            }
        }
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .redirect(reqwest::redirect::Policy::none());
        let client = self.tls.client(client, self.urls.iter().map(String::as_str))?;
        Ok(Uploading {
            upload: self,
            client,
            progressed: Mutex::new(None),
            turn: AtomicUsize::new(0),
            told: AtomicBool::new(false),
        })
    }
}

impl Uploading<'_> {
    /// Sends `lines` in one request, and again those that have no final answer; `answered` is called once per line.
    ///
    /// # Errors
    /// If nothing was answered for the upload's patience, or trying again cannot help.
    pub async fn send(
        &self,
        lines: &[String],
        mut answered: impl FnMut(usize, &Answer),
    ) -> anyhow::Result<()> {
        let mut open: Vec<usize> = (0..lines.len()).collect();
        let urls = &self.upload.urls;
        let mut turn = self.turn.fetch_add(1, Ordering::Relaxed);
        while !open.is_empty() {
            self.progressed().get_or_insert_with(Instant::now);
            let body = open.iter().fold(String::new(), |body, &index| body + &lines[index] + "\n");
            let mut done = 0;
            let mut again = Vec::new();
            let url = &urls[turn % urls.len()];
            turn += 1;
            let outcome = self
                .request(url, body, |answer| {
                    let Some(&index) = open.get(done) else { return };
                    done += 1;
                    if answer.is_retryable() {
                        again.push(index);
                    } else {
                        answered(index, &answer);
                    }
                })
                .await;
            if done > again.len() {
                *self.progressed() = Some(Instant::now());
            }
            again.extend_from_slice(&open[done..]);
            open = again;
            let failure = match outcome {
                Ok(()) if open.is_empty() => break,
                Ok(()) => Failure::passing("takes no more for the moment"),
                Err(failure) => failure,
            };
            self.judge(url, failure)?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn progressed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.progressed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on after what may pass, for as long as there is patience; says so once.
    fn judge(&self, url: &str, failure: Failure) -> anyhow::Result<()> {
        let Failure { may_pass, why } = failure;
        if !may_pass {
            bail!("{url} {why}");
        }
        let idle = self.progressed().map_or(Duration::ZERO, |at| at.elapsed());
        let patience = self.upload.patience;
        if idle > patience {
            bail!("{url} {why}; no line was answered for {idle:.0?}");
        }
        if idle > Duration::from_secs(2) && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!("{url} {why}; trying again for {patience:.0?}");
        }
        Ok(())
    }

    async fn request(&self, url: &str, body: String, mut each: impl FnMut(Answer)) -> Result<(), Failure> {
        let sent = self
            .client
            .post(format!("{}/v1/commands:bulk", url.trim_end_matches('/')))
            .header("content-type", "application/x-ndjson")
            .body(body)
            .send();
        let patience = self.upload.patience;
        let answer = tokio::time::timeout(patience, sent).await.map_err(|_| Failure::of_silence(patience))?;
        let answer = answer.map_err(Failure::of_transport)?;
        let status = answer.status();
        if status != reqwest::StatusCode::OK {
            // The status says enough if its body does not come.
            let body = tokio::time::timeout(patience.min(BODY), answer.text()).await;
            return Err(Failure::of_status(status, &body.ok().and_then(Result::ok).unwrap_or_default()));
        }
        let content_type =
            answer.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with("application/x-ndjson") {
            return Err(Failure::of_stranger(content_type));
        }
        let mut stream = answer.bytes_stream();
        let mut rest: Vec<u8> = Vec::new();
        while let Some(piece) =
            tokio::time::timeout(patience, stream.next()).await.map_err(|_| Failure::of_silence(patience))?
        {
            let piece = piece.map_err(|error| Failure::passing(format!("broke off: {error}")))?;
            rest.extend_from_slice(&piece);
            let mut start = 0;
            while let Some(length) = memchr::memchr(b'\n', &rest[start..]) {
                let line = &rest[start..start + length];
                each(serde_json::from_slice(line).map_err(|_| {
                    Failure::lasting(format!(
                        "gave an answer that is none: {}",
                        String::from_utf8_lossy(line)
                    ))
                })?);
                start += length + 1;
            }
            rest.drain(..start);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_refusal_whose_body_never_ends_is_one_all_the_same() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            assert!(client.read(&mut request).await.unwrap() > 0);
            client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 99\r\n\r\n{").await.unwrap();
            client
        });
        let upload = Upload {
            urls: vec![url],
            chunk: 1,
            parallel: 1,
            patience: Duration::from_millis(300),
            tls: DoorTls::default(),
        };
        let uploading = upload.begin().unwrap();
        // What comes before the first request does not count.
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(*uploading.progressed(), None);
        let lines = ["{}".to_owned()];
        let sent = tokio::time::timeout(Duration::from_secs(20), uploading.send(&lines, |_, _| {}));
        let error = sent.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("404") && error.contains("no bulk API"), "{error}");
        drop(serving.await);
    }
}
