//! An issuer's keys as they are fetched, kept and renewed.
//!
//! Promises: while the issuer is away the keys it had go on counting, for a bounded time; a token of a key that is not known yet has them
//! fetched at once, together with whoever else waits for that, and not more often than [`MIN_INTERVAL`], whatever is sent here; what it
//! answers is bounded in bytes and time, and no redirection is followed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use arc_swap::ArcSwapOption;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use toolkit::causes;
use toolkit::lifecycle::Dependency;
use toolkit::tls::explained;

use super::config::{OidcConfig, address};
use super::key_set::KeySet;

/// Keys are not fetched more often than this because of a token.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// How long a request waits for keys that are being fetched because of it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the issuer may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The most it may answer.
const MAX_BYTES: usize = 256 * 1024;
/// After how long it is asked again that did not answer, at first and at most.
const ATTEMPTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The keys. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Issuer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: OidcConfig,
    least_interval: Duration,
    http: Client,
    current: ArcSwapOption<Fetched>,
    /// Somebody waits for newer ones.
    wanted: Notify,
    /// When they were last asked for, and whether that goes on.
    attempt: Mutex<Attempt>,
    /// How often they were asked for, with or without success.
    finished: watch::Sender<u64>,
}

#[derive(Debug)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Instant,
}

#[derive(Debug, Default)]
struct Attempt {
    began: Option<Instant>,
    is_going_on: bool,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// Asks nobody yet.
    pub(super) fn new(config: &OidcConfig) -> anyhow::Result<Self> {
        Self::asked_at_most_every(MIN_INTERVAL, config)
    }

    pub(super) fn asked_at_most_every(least_interval: Duration, config: &OidcConfig) -> anyhow::Result<Self> {
        let mut http = Client::builder().timeout(TIMEOUT).connect_timeout(TIMEOUT).redirect(Policy::none());
        let asked = config.jwks_url.as_ref().or(config.issuer.as_ref());
        if asked.is_some_and(|url| url.starts_with("https://")) {
            http = http.tls_backend_preconfigured(config.tls.client(None).context("auth.oidc.tls")?);
        }
        let http = http.build().context("auth.oidc")?;
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            least_interval,
            http,
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
            attempt: Mutex::default(),
            finished: watch::Sender::new(0),
        })))
    }

    /// The keys that count now; none: they were never had, or are too old.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        let fetched = self.0.current.load_full()?;
        (fetched.at.elapsed() <= self.0.config.max_age()).then(|| Arc::clone(&fetched.keys))
    }

    /// For how long they have been had.
    pub(super) fn age(&self) -> Option<Duration> {
        self.0.current.load().as_ref().map(|fetched| fetched.at.elapsed())
    }

    /// Has newer keys fetched, and waits for them. Says whether it is worth looking at them again.
    pub(super) async fn renewed(&self) -> bool {
        let mut finished = self.0.finished.subscribe();
        {
            let attempt = self.0.attempt.lock().unwrap_or_else(PoisonError::into_inner);
            if !attempt.is_going_on {
                if attempt.began.is_some_and(|began| began.elapsed() < self.0.least_interval) {
                    return false;
                }
                self.0.wanted.notify_one();
            }
        }
        matches!(tokio::time::timeout(PATIENCE, finished.changed()).await, Ok(Ok(())))
    }

    /// Fetches them again and again until `stop` is cancelled, and tells `dependency`.
    pub(super) async fn follow(self, dependency: Dependency, stop: CancellationToken) {
        let mut pause = ATTEMPTS.0;
        dependency.down("the issuer's keys are being fetched");
        loop {
            *self.attempt() = Attempt { began: Some(Instant::now()), is_going_on: true };
            let fetched = tokio::select! {
                fetched = self.fetch() => fetched,
                () = stop.cancelled() => return,
            };
            let sleep = match fetched {
                Ok(keys) => {
                    self.0
                        .current
                        .store(Some(Arc::new(Fetched { keys: Arc::new(keys), at: Instant::now() })));
                    dependency.up();
                    pause = ATTEMPTS.0;
                    self.0.config.refresh()
                }
                Err(error) => {
                    let problem = format!("the issuer's keys cannot be fetched: {error:#}");
                    match self.keys() {
                        Some(_) => dependency.up_though(format!("{problem}; those that it had still count")),
                        None => dependency.down(problem),
                    }
                    let sleep = pause;
                    pause = (pause * 2).min(ATTEMPTS.1);
                    sleep
                }
            };
            self.attempt().is_going_on = false;
            self.0.finished.send_modify(|count| *count += 1);
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.0.wanted.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn attempt(&self) -> std::sync::MutexGuard<'_, Attempt> {
        self.0.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> anyhow::Result<KeySet> {
        let OidcConfig { issuer, jwks_url, .. } = &self.0.config;
        let url = match (jwks_url, issuer) {
            (Some(url), _) => usable(url)?,
            (None, Some(issuer)) => self.discovered(issuer).await?,
            (None, None) => bail!("auth.oidc.issuer is missing"),
        };
        let document = self.get(url.clone()).await?;
        KeySet::parse(&document).map_err(|why| anyhow::anyhow!("{url}: {why}"))
    }

    /// Where the issuer says that its keys are.
    async fn discovered(&self, issuer: &str) -> anyhow::Result<Url> {
        let url = usable(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?;
        let document = self.get(url.clone()).await?;
        let found: Discovered =
            serde_json::from_slice(&document).with_context(|| format!("{url} makes no sense"))?;
        ensure!(found.issuer == issuer, "{url} is of another issuer: {:?}", shortened(&found.issuer));
        usable(&found.jwks_uri)
    }

    async fn get(&self, url: Url) -> anyhow::Result<Vec<u8>> {
        let answer = self.0.http.get(url.clone()).send().await;
        let mut answer = answer.map_err(|error| anyhow::anyhow!("{url}: {}", explained(causes(&error))))?;
        ensure!(answer.status().is_success(), "{url} answers {}", answer.status());
        let mut document = Vec::new();
        while let Some(chunk) = answer.chunk().await.with_context(|| format!("{url} broke off"))? {
            ensure!(document.len() + chunk.len() <= MAX_BYTES, "{url} answers more than {MAX_BYTES} bytes");
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

fn usable(url: &str) -> anyhow::Result<Url> {
    address(url).map_err(|why| anyhow::anyhow!("{:?} {why}", shortened(url)))
}

/// What somebody else wrote, for the log.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}
