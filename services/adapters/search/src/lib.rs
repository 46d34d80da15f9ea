//! Elasticsearch and `OpenSearch`: connection, bulk writer, reads, searches, index and alias.
//!
//! Promises: every request is bounded in time; plain JSON that Elasticsearch 7.17 to 9 and `OpenSearch` understand; a document
//! never gets older (`version_type=external`); an answer that is not whole is an error.
//!
//! Start at [`Search::connect`].

mod bounded;
mod bulk;
mod config;
mod error;
mod index;
mod login;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::headers::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use toolkit::lanes::{Lane, Lanes};
use toolkit::telemetry::{StoreCall, traced};

use error::Cause;
use login::{Login, Who};

pub use bulk::{DOCUMENTS, Document, RefusedDocument};
pub use config::SearchConfig;
pub use error::SearchError;
pub use index::{Applied, Index, Use};

/// A connection to a search server. Cheap to clone.
#[derive(Clone)]
pub struct Search {
    transport: Arc<Transport>,
    bounded: bounded::Client,
    /// Says who asks.
    who: Option<Who>,
    prefix: Arc<str>,
    timeout: Duration,
    /// Room for bulk requests, of all clones together.
    lanes: Arc<Lanes>,
    lane: Lane,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Search {
    /// Makes a client and asks the server who it is, within `config.timeout_ms`.
    pub async fn connect(config: &SearchConfig) -> Result<Self, SearchError> {
        let problem = |problem: String| SearchError::Config { url: config.url.clone(), problem };
        let url = Url::parse(&config.url).map_err(|e| problem(e.to_string()))?;
        let timeout = Duration::from_millis(config.timeout_ms);
        let builder = TransportBuilder::new(SingleNodeConnectionPool::new(url))
            .disable_proxy()
            .enable_meta_header(false)
            .timeout(timeout);
        let login = Login::of(config).map_err(&problem)?;
        let builder = login.transport(builder).map_err(&problem)?;
        let transport = builder.build().map_err(|e| problem(causes(&e)))?;
        let search = Self {
            transport: Arc::new(transport),
            bounded: bounded::Client::new(config, &login)?,
            who: login.who,
            prefix: config.index_prefix.as_str().into(),
            timeout,
            lanes: Arc::new(Lanes::new(bulk::AT_ONCE, bulk::BESIDE)),
            lane: Lane::default(),
        };
        let _who: Value = search.call(Method::Get, "/", None).await?;
        Ok(search)
    }

    /// The same client, whose bulk requests go in this lane.
    #[must_use]
    pub fn in_lane(&self, lane: &Lane) -> Self {
        Self { lane: lane.clone(), ..self.clone() }
    }

    /// What the name of every index begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The documents with these ids as they are now, in the order asked for; also what no refresh has made searchable yet.
    pub async fn mget<T: DeserializeOwned>(
        &self,
        index: &str,
        ids: &[&str],
    ) -> Result<Vec<Option<T>>, SearchError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let path = format!("/{index}/_mget?filter_path=docs.found,docs._source,docs.error");
        let answer: Mget<T> = self.call(Method::Post, &path, Some(json!({ "ids": ids }))).await?;
        if answer.docs.len() != ids.len() {
            let problem = format!("asked for {} documents, got {}", ids.len(), answer.docs.len());
            return Err(SearchError::Decode { request: describe(Method::Post, &path), problem });
        }
        answer.docs.into_iter().map(|doc| doc.outcome(index)).collect()
    }

    /// Runs a search; `body` is the request of the search API. An answer that some shards have no part in is an error.
    pub async fn search<T: DeserializeOwned>(&self, index: &str, body: Value) -> Result<T, SearchError> {
        self.call(Method::Post, &search_path(index), Some(body)).await
    }

    /// Makes what is written searchable.
    pub async fn refresh(&self, index: &str) -> Result<(), SearchError> {
        let path = format!("/{index}/_refresh");
        let answer: Refreshed = self.call(Method::Post, &path, None).await?;
        answer.shards.whole(describe(Method::Post, &path))
    }

    /// How many documents are searchable.
    pub async fn count(&self, index: &str) -> Result<u64, SearchError> {
        let path = format!("/{index}/_count");
        let answer: Counted = self.call(Method::Get, &path, None).await?;
        answer.shards.whole(describe(Method::Get, &path))?;
        Ok(answer.count)
    }

    /// When each node that answers was started, by its id; `None` if the server does not tell.
    pub async fn starts(&self) -> Result<Option<BTreeMap<String, String>>, SearchError> {
        let path = "/_nodes/jvm?filter_path=nodes.*.jvm.start_time_in_millis";
        match self.call::<Value>(Method::Get, path, None).await {
            Ok(answer) => {
                let nodes = answer["nodes"].as_object().into_iter().flatten();
                let start = |node: &Value| node["jvm"]["start_time_in_millis"].to_string();
                Ok(Some(nodes.map(|(id, node)| (id.clone(), start(node))).collect()))
            }
            // Whoever may write an index need not be allowed to look at the nodes.
            Err(SearchError::Status { status: 400 | 403..=405 | 410, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, SearchError> {
        let request = describe(method, path);
        let body = body.map(|b| Bytes::from(b.to_string()));
        let (status, answer) = self.send(method, path, body, "application/json", self.timeout).await?;
        if !(200..300).contains(&status) {
            return Err(error::of_answer(request, status, &answer));
        }
        serde_json::from_slice(&answer).map_err(|e| SearchError::Decode { request, problem: e.to_string() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        content_type: &'static str,
        timeout: Duration,
    ) -> Result<(u16, Bytes), SearchError> {
        let unreachable = |e: elasticsearch::Error| SearchError::Unreachable {
            request: describe(method, path),
            problem: causes(&e),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(who) = &self.who {
            let unusable = |problem| SearchError::Unreachable { request: describe(method, path), problem };
            headers.insert(AUTHORIZATION, who.header().map_err(unusable)?);
        }
        let answered = async {
            let sent = self.transport.send(method, path, headers, None::<&()>, body, Some(timeout));
            let response = sent.await.map_err(unreachable)?;
            let status = response.status_code().as_u16();
            Ok((status, response.bytes().await.map_err(unreachable)?))
        };
        traced(|| call_of(method, path), answered).await
    }
}

/// What OpenTelemetry calls all that speaks this protocol.
const SYSTEM: &str = "elasticsearch";

/// A request as traces show it.
fn call_of(method: Method, path: &str) -> StoreCall<'_> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    let collection = parts.next_if(|part| !part.starts_with('_')).unwrap_or_default();
    let of_method = match method {
        Method::Get => "get",
        Method::Head => "head",
        Method::Post => "post",
        Method::Put => "put",
        Method::Delete => "delete",
    };
    let operation = parts.next().map_or(of_method, |part| part.trim_start_matches('_'));
    StoreCall { system: SYSTEM, operation, namespace: None, collection, batch: None }
}

#[derive(serde::Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Mget<T> {
    docs: Vec<MgetDoc<T>>,
}

#[derive(serde::Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct MgetDoc<T> {
    #[serde(default)]
    found: bool,
    #[serde(rename = "_source")]
    source: Option<T>,
    error: Option<Cause>,
}

impl<T> MgetDoc<T> {
    fn outcome(self, index: &str) -> Result<Option<T>, SearchError> {
        match self.error {
            // The error of a document comes without a status. What a shard cannot do now it may do later.
            Some(error) => Err(error::of_cause(format!("POST /{index}/_mget"), 503, &error)),
            None => Ok(self.found.then_some(self.source).flatten()),
        }
    }
}

#[derive(serde::Deserialize)]
struct Refreshed {
    #[serde(rename = "_shards")]
    shards: Shards,
}

#[derive(serde::Deserialize)]
struct Counted {
    count: u64,
    #[serde(rename = "_shards")]
    shards: Shards,
}

/// Which shards took part.
#[derive(serde::Deserialize)]
struct Shards {
    #[serde(default)]
    total: u64,
    #[serde(default)]
    successful: u64,
    #[serde(default)]
    failed: u64,
}

impl Shards {
    /// Our indices have one primary shard (they are declared so): one that took part is the whole, and while it starts none
    /// does, which is no failure to the server. Replicas that are not assigned count in the total only.
    fn whole(&self, request: String) -> Result<(), SearchError> {
        if self.failed == 0 && self.successful > 0 {
            return Ok(());
        }
        Err(SearchError::Partial { request, successful: self.successful, total: self.total })
    }
}

fn search_path(index: &str) -> String {
    format!("/{index}/_search?allow_partial_search_results=false")
}

fn describe(method: Method, path: &str) -> String {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    format!("{} {path}", format!("{method:?}").to_uppercase())
}

fn causes(error: &dyn std::error::Error) -> String {
    toolkit::tls::explained(toolkit::causes(error))
}
