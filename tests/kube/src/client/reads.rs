//! Readers: they ask the query gateway, with and without a consistency token, and ask again what failed.
//!
//! Promises: an answer counts as good only if it is one of the contract and, with a token, at least as new as what had been
//! acknowledged; a failure that asking again for a minute does not cure is counted as such.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use testkit::later_release::MARK;
use testkit::{Client, Reply};
use tokio::sync::RwLock;

use super::Tally;
use super::known::{Acknowledged, Known};

/// How long one request may take: longer than the gateway waits for a read model.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a question may fail before nothing cures it.
const CURE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(25);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Product,
    History,
    Search,
    Category,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    about: About,
    of: Acknowledged,
    with_token: bool,
}

/// Who made the rows that a product was answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    This,
    /// One that changes them: names are marked.
    Later,
}

/// What an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// With whose rows, if it shows a product.
    Good(Option<Release>),
    /// It may be asked again.
    Failed(String),
    /// Nobody should be told this.
    Wrong(String),
}

pub(crate) struct Reader {
    queries: Client,
    known: Arc<Known>,
    tally: Arc<Tally>,
    dice: StdRng,
}

impl Reader {
    pub(crate) fn new(
        number: usize,
        seed: u64,
        queries: Client,
        known: &Arc<Known>,
        tally: &Arc<Tally>,
    ) -> Self {
        let dice = StdRng::seed_from_u64(seed.wrapping_mul(7_919).wrapping_add(number as u64));
        Self { queries, known: Arc::clone(known), tally: Arc::clone(tally), dice }
    }

    pub(crate) async fn run(mut self, gate: Arc<RwLock<()>>, stopped: Arc<AtomicBool>) {
        while !stopped.load(Ordering::SeqCst) {
            let open = gate.read().await;
            if let Some(question) = self.choose() {
                self.ask(&question).await;
            }
            drop(open);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn choose(&mut self) -> Option<Question> {
        let of = self.known.any(&mut self.dice)?;
        let about = match self.dice.random_range(0..10) {
            0..6 => About::Product,
            6..8 => About::History,
            8 => About::Search,
            _ => About::Category,
        };
        Some(Question { about, of, with_token: self.dice.random_range(0..2) == 0 })
    }

    async fn ask(&mut self, question: &Question) {
        let begin = Instant::now();
        let mut failed = 0_u32;
        self.tally.count(|counts| {
            counts.reads += 1;
            counts.with_token += u64::from(question.with_token);
        });
        loop {
            match question.ask(&self.queries).await {
                Judged::Good(release) => {
                    let took = begin.elapsed();
                    return self.tally.count(|counts| {
                        counts.of_this += u64::from(release == Some(Release::This));
                        counts.of_later += u64::from(release == Some(Release::Later));
                        if failed > 0 {
                            counts.cured += 1;
                            counts.longest_cure = counts.longest_cure.max(took);
                        }
                    });
                }
                Judged::Wrong(what) => {
                    println!("WRONG: {question:?}: {what}");
                    return self.tally.count(|counts| counts.wrong += 1);
                }
                Judged::Failed(what) => {
                    failed += 1;
                    self.tally.count(|counts| *counts.failures.entry(what.clone()).or_default() += 1);
                    if begin.elapsed() > CURE {
                        println!("NOT CURED: {question:?}: {failed} times, at last {what}");
                        return self.tally.count(|counts| counts.not_cured += 1);
                    }
                    // Not on the connection that failed.
                    self.queries = self.queries.anew();
                    tokio::time::sleep(Duration::from_millis(100) * failed.min(10)).await;
                }
            }
        }
    }
}

impl Question {
    /// The product as of what `of` says.
    pub(crate) fn product(of: Acknowledged) -> Self {
        Self { about: About::Product, of, with_token: true }
    }

    pub(crate) async fn ask(&self, queries: &Client) -> Judged {
        let path = self.path();
        let headers = [("consistency-token", self.of.token.as_str()), ("prefer", "wait=5")];
        let headers: &[_] = if self.with_token { &headers } else { &[] };
        match tokio::time::timeout(REQUEST, queries.get_with(&path, headers)).await {
            Ok(Ok(reply)) => self.judge(&reply),
            Ok(Err(_)) => Judged::Failed("disconnected".to_owned()),
            Err(_) => Judged::Failed(format!("no answer after {REQUEST:?}")),
        }
    }

    fn path(&self) -> String {
        let id = &self.of.product;
        match self.about {
            About::Product => format!("/v1/products/{id}"),
            About::History => format!("/v1/products/{id}/history?page_size=1"),
            About::Search => format!("/v1/search?q=SKU-{}", id.to_uppercase()),
            About::Category => "/v1/products?category=tests/products&page_size=20".to_owned(),
        }
    }

    fn judge(&self, reply: &Reply) -> Judged {
        let told = || format!("{} {}", reply.status.as_u16(), reply.code());
        // Every answer of ours has a request's id. While a Service's rules are not there yet, its address leads out of the cluster,
        // and whoever is there may answer.
        if reply.header("x-request-id").is_empty() {
            return Judged::Failed(format!("{}of somebody else", told()));
        }
        match reply.status.as_u16() {
            200 => {}
            // Deleted, or without a token not there yet.
            410 if self.about == About::Product => {}
            404 if self.about != About::Category && !self.with_token => return Judged::Good(None),
            // Without a body of ours it comes from what stands before the pods.
            429 | 502..=504 => return Judged::Failed(told()),
            _ if reply.body["retryable"] == true => return Judged::Failed(told()),
            _ => return Judged::Wrong(format!("{}: {}", told(), reply.body)),
        }
        let (seen, least) = (self.version(&reply.body), self.of.version);
        match seen {
            Some(seen) if self.with_token && seen < least => {
                Judged::Wrong(format!("version {seen}, although {least} was acknowledged: {}", reply.body))
            }
            None if self.about == About::Product || self.about == About::History => {
                Judged::Wrong(format!("no version: {}", reply.body))
            }
            _ => Judged::Good(self.release(&reply.body)),
        }
    }

    /// Only products are other rows in a later release; what is deleted has no name.
    fn release(&self, body: &Value) -> Option<Release> {
        let name = body["name"].as_str().filter(|_| self.about == About::Product)?;
        Some(if name.ends_with(MARK) { Release::Later } else { Release::This })
    }

    /// The product's version that the answer shows; a search shows none of what is deleted.
    fn version(&self, body: &Value) -> Option<u64> {
        let items = body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        match self.about {
            About::Product => body["version"].as_u64().or_else(|| body["current_version"].as_u64()),
            About::History => items.first()?["version"].as_u64(),
            About::Search => {
                items.iter().find(|it| it["product_id"] == self.of.product.as_str())?["version"].as_u64()
            }
            About::Category => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(about: About, with_token: bool, status: u16, body: Value) -> Judged {
        let of = Acknowledged { product: "p-1".to_owned(), version: 3, token: String::new() };
        let status = status.try_into().unwrap();
        let headers = [("x-request-id".parse().unwrap(), "r-1".parse().unwrap())].into_iter().collect();
        Question { about, of, with_token }.judge(&Reply { status, headers, body })
    }

    #[test]
    fn who_is_none_of_ours_cannot_be_wrong() {
        let of = Acknowledged { product: "p-1".to_owned(), version: 3, token: String::new() };
        let question = Question { about: About::Product, of, with_token: true };
        let reply =
            Reply { status: 404.try_into().unwrap(), headers: std::iter::empty().collect(), body: json!("") };
        assert_eq!(question.judge(&reply), Judged::Failed("404 of somebody else".to_owned()));
    }

    fn is_wrong(judged: &Judged) -> bool {
        matches!(judged, Judged::Wrong(_))
    }

    #[test]
    fn with_a_token_an_older_version_is_wrong_and_without_it_is_not() {
        for (about, body) in [
            (About::Product, json!({ "version": 2 })),
            (About::History, json!({ "items": [{ "version": 2 }] })),
            (About::Search, json!({ "items": [{ "product_id": "p-1", "version": 2 }] })),
        ] {
            assert!(is_wrong(&judged(about, true, 200, body.clone())), "{about:?}");
            assert_eq!(judged(about, false, 200, body), Judged::Good(None), "{about:?}");
        }
        assert_eq!(judged(About::Product, true, 410, json!({ "current_version": 3 })), Judged::Good(None));
        assert!(is_wrong(&judged(About::Product, true, 404, json!({ "code": "product-not-found" }))));
        let unknown = json!({ "code": "product-not-found" });
        assert_eq!(judged(About::Product, false, 404, unknown), Judged::Good(None));
    }

    #[test]
    fn rows_of_a_later_release_are_known_by_their_mark() {
        for (name, release) in [("Lamp", Release::This), ("Lamp (later)", Release::Later)] {
            let body = json!({ "version": 3, "name": name });
            assert_eq!(judged(About::Product, true, 200, body), Judged::Good(Some(release)));
        }
    }

    #[test]
    fn what_may_be_tried_again_is_a_failure_and_anything_else_is_wrong() {
        let behind = json!({ "code": "read-model-behind", "retryable": true });
        let failed = Judged::Failed("503 read-model-behind".to_owned());
        assert_eq!(judged(About::Product, true, 503, behind), failed);
        assert_eq!(judged(About::Search, true, 502, json!("no upstream")), Judged::Failed("502 ".to_owned()));
        assert!(is_wrong(&judged(About::Product, true, 500, json!({ "code": "internal" }))));
        assert!(is_wrong(&judged(About::Product, true, 200, json!("hello"))));
    }
}
