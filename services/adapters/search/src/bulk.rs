//! The bulk writer.
//!
//! Promises: a document is never replaced by an older version; a version conflict means that the same or a newer version is
//! there already, which is success; what the server cannot take now is sent again, and only that, in its order; what it refuses for
//! good holds back no other document, and is told; an index that is not there is never made up (documents go to its write alias, see
//! [`super::Index`]).

use bytes::{BufMut, Bytes, BytesMut};
use elasticsearch::http::Method;
use serde::Deserialize;

use super::error::{Cause, MISSING, is_transient, of_answer};
use super::{Search, SearchError};
use toolkit::retry::{GaveUp, Retry};

/// A document to be written whole.
#[derive(Debug, Clone)]
pub struct Document {
    pub id: String,
    /// External version; of two writes the higher one stays.
    pub version: u64,
    /// JSON on one line.
    pub source: Bytes,
}

/// A document that the server refuses for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedDocument {
    pub id: String,
    pub status: u16,
    pub problem: String,
}

/// A bulk request holds at most this many documents,
pub const DOCUMENTS: usize = 1_000;
/// and about this many bytes.
const BYTES: usize = 5 * 1024 * 1024;

/// Bulk requests in flight at once: more only make each take longer.
pub(super) const AT_ONCE: usize = 2;
/// Of those that give way, while there are others.
pub(super) const BESIDE: usize = 1;
/// Requests that give way have this part of a request's documents while there are others: a search waits for no longer than one takes.
const SHARE: usize = 10;
/// A bulk request is a thousand requests' work: it may take this many times as long as one of them.
const PATIENCE: u32 = 6;

impl Search {
    /// Writes all `documents` to the index behind the write alias; returns when each is there, in this or a newer version, but for
    /// those that it gives back: the server refuses them for good. A missing index ends it: what was in it is lost too.
    pub async fn write_all(
        &self,
        alias: &str,
        documents: Vec<Document>,
        retry: &Retry,
    ) -> Result<Vec<RefusedDocument>, GaveUp<SearchError>> {
        let (mut pending, mut refused) = (documents, Vec::new());
        let mut waits = retry.waits();
        while !pending.is_empty() {
            let share = if self.lanes.must_give_way(&self.lane) { SHARE } else { 1 };
            let take = first_request(&pending, share);
            match self.bulk(alias, &pending[..take]).await {
                Ok(outcome) => {
                    refused.extend(outcome.refused);
                    match outcome.rejected {
                        None => {
                            retry.report(Ok(()));
                            pending.drain(..take);
                        }
                        Some(rejected) => {
                            let error = rejected.error(alias, take);
                            keep(&mut pending, take, &rejected.positions);
                            waits.wait("write documents", error).await?;
                        }
                    }
                }
                Err(error) if error.is_transient() => waits.wait("write documents", error).await?,
                Err(error) => return Err(GaveUp::Final(error)),
            }
        }
        Ok(refused)
    }

    /// Writes one document, in one attempt.
    pub async fn write_once(&self, alias: &str, document: Document) -> Result<(), SearchError> {
        let Judgement { rejected, refused } = self.bulk(alias, std::slice::from_ref(&document)).await?;
        if let Some(RefusedDocument { id, status, problem }) = refused.into_iter().next() {
            return Err(SearchError::Document { index: alias.to_owned(), id, status, problem });
        }
        rejected.map_or(Ok(()), |rejected| Err(rejected.error(alias, 1)))
    }

    /// One bulk request; the documents that the server did not take.
    async fn bulk(&self, alias: &str, documents: &[Document]) -> Result<Judgement, SearchError> {
        let path =
            format!("/{alias}/_bulk?require_alias=true&filter_path=errors,items.*.status,items.*.error");
        let request = || format!("POST /{alias}/_bulk");
        let room = self.lanes.enter(&self.lane).await;
        // Made when there is room for it: many may wait.
        let body = body(documents);
        let timeout = self.timeout * PATIENCE;
        let (status, answer) =
            self.send(Method::Post, &path, Some(body), "application/x-ndjson", timeout).await?;
        if let Some(room) = room {
            room.leave().await;
        }
        if !(200..300).contains(&status) {
            return Err(of_answer(request(), status, &answer));
        }
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|e| SearchError::Decode { request: request(), problem: e.to_string() })?;
        if !answer.errors {
            return Ok(Judgement::default());
        }
        if answer.items.len() != documents.len() {
            let problem = format!("sent {} documents, got {} outcomes", documents.len(), answer.items.len());
            return Err(SearchError::Decode { request: request(), problem });
        }
        judge(alias, documents, answer.items)
    }
}

/// What the outcomes of the documents of one request come to.
fn judge(alias: &str, documents: &[Document], outcomes: Vec<Item>) -> Result<Judgement, SearchError> {
    let mut judgement = Judgement::default();
    for (position, (document, Item { index: outcome })) in documents.iter().zip(outcomes).enumerate() {
        let status = outcome.status;
        let error = outcome.error.unwrap_or_default();
        let kind = error.kind();
        if (200..300).contains(&status) || (status == 409 && !is_transient(status, kind)) {
            continue;
        }
        if kind == MISSING {
            let request = format!("POST /{alias}/_bulk");
            return Err(SearchError::Missing { request, problem: error.to_string() });
        }
        if !is_transient(status, kind) {
            let (id, problem) = (document.id.clone(), error.to_string());
            judgement.refused.push(RefusedDocument { id, status, problem });
            continue;
        }
        let rejected = judgement
            .rejected
            .get_or_insert_with(|| Rejected { positions: Vec::new(), problem: error.to_string() });
        rejected.positions.push(position);
    }
    Ok(judgement)
}

/// What a bulk request did not write.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judgement {
    /// To be sent again.
    rejected: Option<Rejected>,
    refused: Vec<RefusedDocument>,
}

/// Documents that the server could not take now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) positions: Vec<usize>,
    /// What it said of the first of them.
    problem: String,
}

impl Rejected {
    fn error(&self, alias: &str, of: usize) -> SearchError {
        let (index, problem) = (alias.to_owned(), self.problem.clone());
        SearchError::Busy { index, count: self.positions.len(), of, problem }
    }
}

/// How many of the first documents make one request.
pub(super) fn first_request(documents: &[Document], share: usize) -> usize {
    let mut bytes = 0;
    let fitting = documents.iter().take(DOCUMENTS / share).take_while(|document| {
        bytes += document.source.len() + 100;
        bytes <= BYTES / share
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

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What a request for one document for each of `outcomes` comes to.
    fn judged(outcomes: Value) -> Result<Judgement, SearchError> {
        let items: Vec<Item> = serde_json::from_value(outcomes).unwrap();
        let document = |n| Document { id: format!("p-{n}"), version: 1, source: Bytes::new() };
        let documents: Vec<Document> = (0..items.len()).map(document).collect();
        judge("folio-search-g1-write", &documents, items)
    }

    #[test]
    fn a_document_that_a_recovering_shard_refuses_is_sent_again_whatever_its_status() {
        let done = json!({ "index": { "status": 201 } });
        let newer =
            json!({ "index": { "status": 409, "error": { "type": "version_conflict_engine_exception" } } });
        assert_eq!(judged(json!([done, newer])).unwrap(), Judgement::default());
        for (status, kind) in [
            (404, "illegal_index_shard_state_exception"),
            (404, "index_shard_recovering_exception"),
            (400, "index_closed_exception"),
            (403, "cluster_block_exception"),
            (401, "security_exception"),
            (429, "es_rejected_execution_exception"),
            (503, "unavailable_shards_exception"),
            (500, "anything"),
        ] {
            let refused = json!({ "index": { "status": status, "error": { "type": kind, "reason": "r" } } });
            let outcome = judged(json!([done, refused, newer, refused])).unwrap();
            assert_eq!(outcome.rejected.map(|it| it.positions), Some(vec![1, 3]), "{status} {kind}");
            assert!(outcome.refused.is_empty(), "{status} {kind}");
        }
    }

    #[test]
    fn all_documents_that_no_retry_helps_are_told_and_hold_back_no_other() {
        let item = |status: u16, kind: &str| json!({ "index": { "status": status, "error": { "type": kind, "reason": "r" } } });
        let (refused, busy) =
            (item(400, "mapper_parsing_exception"), item(429, "es_rejected_execution_exception"));
        let done = json!({ "index": { "status": 201 } });
        let Judgement { rejected, refused } = judged(json!([refused, done, busy, refused])).unwrap();
        assert_eq!(rejected.map(|it| it.positions), Some(vec![2]));
        let told: Vec<_> = refused.iter().map(|it| (it.id.as_str(), it.status)).collect();
        assert_eq!(told, [("p-0", 400), ("p-3", 400)]);
        assert!(refused[0].problem.contains("mapper_parsing_exception"), "{refused:?}");
    }

    #[test]
    fn an_index_that_is_not_there_is_told_apart_from_a_document() {
        let error = json!({ "type": "index_not_found_exception", "reason": "no such index" });
        let refused = judged(json!([{ "index": { "status": 404, "error": error } }])).unwrap_err();
        assert!(refused.is_missing(), "{refused:?}");
    }
}
