//! The bulk writer.
//!
//! Promises: a document is never replaced by an older version; a version conflict means that the same or a newer version is
//! there already, which is success; what the server has no room for is sent again, and only that, in its order.

use bytes::{BufMut, Bytes, BytesMut};
use elasticsearch::http::Method;
use serde::Deserialize;

use super::{Search, SearchError, reason};
use crate::retry::{GaveUp, Retry};

/// A document to be written whole.
#[derive(Debug, Clone)]
pub struct Document {
    pub id: String,
    /// External version; of two writes the higher one stays.
    pub version: u64,
    /// JSON on one line.
    pub source: Bytes,
}

/// A bulk request holds at most this many documents,
const DOCUMENTS: usize = 1_000;
/// and about this many bytes.
const BYTES: usize = 5 * 1024 * 1024;

/// Bulk requests under way at once: more only make each take longer.
pub(super) const AT_ONCE: usize = 2;
/// A bulk request is a thousand requests' work: it may take this many times as long as one of them.
const PATIENCE: u32 = 6;

impl Search {
    /// Writes all `documents`; returns when each is there, in this or a newer version.
    pub async fn write_all(
        &self,
        index: &str,
        documents: Vec<Document>,
        retry: &Retry,
    ) -> Result<(), GaveUp<SearchError>> {
        let mut pending = documents;
        let mut waits = retry.waits();
        while !pending.is_empty() {
            let take = first_request(&pending);
            match self.bulk(index, &pending[..take]).await {
                Ok(rejected) if rejected.is_empty() => {
                    retry.tell(Ok(()));
                    pending.drain(..take);
                }
                Ok(rejected) => {
                    let error =
                        SearchError::Busy { index: index.to_owned(), count: rejected.len(), of: take };
                    keep(&mut pending, take, &rejected);
                    waits.wait("write documents", error).await?;
                }
                Err(error) if error.is_transient() => waits.wait("write documents", error).await?,
                Err(error) => return Err(GaveUp::Final(error)),
            }
        }
        Ok(())
    }

    /// Writes one document, in one attempt.
    pub async fn write_once(&self, index: &str, document: Document) -> Result<(), SearchError> {
        let rejected = self.bulk(index, std::slice::from_ref(&document)).await?;
        if rejected.is_empty() {
            Ok(())
        } else {
            Err(SearchError::Busy { index: index.to_owned(), count: 1, of: 1 })
        }
    }

    /// One bulk request; the positions of the documents that the server had no room for.
    async fn bulk(&self, index: &str, documents: &[Document]) -> Result<Vec<usize>, SearchError> {
        let path = format!(
            "/{index}/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
        );
        let request = || format!("POST /{index}/_bulk");
        let body = body(documents);
        // Nobody closes the semaphore.
        let _permit = self.bulks.acquire().await.ok();
        let timeout = self.timeout * PATIENCE;
        let (status, answer) =
            self.send(Method::Post, &path, Some(body), "application/x-ndjson", timeout).await?;
        if !(200..300).contains(&status) {
            return Err(SearchError::Status { request: request(), status, problem: reason(&answer) });
        }
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|e| SearchError::Decode { request: request(), problem: e.to_string() })?;
        if !answer.errors {
            return Ok(Vec::new());
        }
        if answer.items.len() != documents.len() {
            let problem = format!("sent {} documents, got {} outcomes", documents.len(), answer.items.len());
            return Err(SearchError::Decode { request: request(), problem });
        }
        let mut rejected = Vec::new();
        for (position, (document, Item { index: outcome })) in documents.iter().zip(answer.items).enumerate()
        {
            match outcome.status {
                200..300 | 409 => {}
                429 | 500 | 502 | 503 | 504 => rejected.push(position),
                status => {
                    let problem =
                        outcome.error.map_or_else(String::new, |e| format!("{}: {}", e.kind, e.reason));
                    return Err(SearchError::Document {
                        index: index.to_owned(),
                        id: document.id.clone(),
                        status,
                        problem,
                    });
                }
            }
        }
        Ok(rejected)
    }
}

/// How many of the first documents make one request.
pub(super) fn first_request(documents: &[Document]) -> usize {
    let mut bytes = 0;
    let fitting = documents.iter().take(DOCUMENTS).take_while(|document| {
        bytes += document.source.len() + 100;
        bytes <= BYTES
    });
    fitting.count().max(1)
}

/// Drops the first `take` documents but those at the `rejected` positions.
pub(super) fn keep(pending: &mut Vec<Document>, take: usize, rejected: &[usize]) {
    let mut position = 0;
    pending.retain(|_| {
        let keep = position >= take || rejected.contains(&position);
        position += 1;
        keep
    });
}

/// The request as NDJSON.
pub(super) fn body(documents: &[Document]) -> Bytes {
    let size = documents.iter().map(|d| d.source.len() + d.id.len() + 80).sum();
    let mut body = BytesMut::with_capacity(size);
    for document in documents {
        body.put_slice(br#"{"index":{"_id":"#);
        // An id may hold characters that JSON escapes.
        body.put_slice(serde_json::Value::from(document.id.as_str()).to_string().as_bytes());
        body.put_slice(br#","version":"#);
        body.put_slice(document.version.to_string().as_bytes());
        body.put_slice(b",\"version_type\":\"external\"}}\n");
        body.put_slice(&document.source);
        body.put_u8(b'\n');
    }
    body.freeze()
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    error: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: String,
}
