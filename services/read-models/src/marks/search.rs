//! Marks in Elasticsearch: external version = the time of the write, the later of two stays. A mark that is removed is a
//! document without one, since servers forget the versions of real deletes.

use std::collections::BTreeMap;

use adapter_search::{Document, Index, RefusedDocument, Search, SearchError};
use domain::ProductId;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toolkit::retry::{GaveUp, Retry};

use super::{MAX_COUNTED, Mark, Marking, Marks, Place, write_until_found};
use crate::error::Answered;
use crate::{Error, Generation};

/// Marks of a partition are read in parts of as many.
const PAGE: usize = 1_000;

/// The marks of one build of a read model.
#[derive(Debug, Clone)]
pub struct SearchMarks {
    search: Search,
    index: String,
    write_alias: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct MarkDocument {
    group_id: String,
    product_id: String,
    partition_id: i32,
    #[serde(flatten)]
    mark: Option<Told>,
}

/// The fields of a mark.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    first_offset: i64,
    since_ms: i64,
    kind: String,
    is_discarded: bool,
}

impl From<Mark> for Told {
    fn from(Mark { first_offset, since_ms, kind, is_discarded }: Mark) -> Self {
        Self { first_offset, since_ms, kind: kind.name().to_owned(), is_discarded }
    }
}

#[derive(Deserialize)]
struct Page {
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_source")]
    source: MarkDocument,
}

impl SearchMarks {
    /// Asks nothing yet.
    pub fn new(search: &Search, marks: Index, generation: Generation) -> Self {
        Self {
            search: search.clone(),
            index: marks.index(search.prefix(), generation.get()),
            write_alias: marks.write_alias(search.prefix(), generation.get()),
        }
    }

    /// Real time.
    async fn read(&self, group: &str, products: &[String]) -> Result<Vec<Option<Mark>>, Error> {
        let ids: Vec<String> = products.iter().map(|product| id(group, product)).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let found: Vec<Option<MarkDocument>> = self.search.mget(&self.index, &ids).await?;
        let marks = products.iter().zip(found).map(|(product, found)| {
            let Some(Told { first_offset, since_ms, kind, is_discarded }) = found.and_then(|it| it.mark)
            else {
                return Ok(None);
            };
            let kind = super::kind(&self.index, product, &kind)?;
            Ok(Some(Mark { first_offset, since_ms, kind, is_discarded }))
        });
        marks.collect()
    }

    async fn all(&self, group: &str, partition: i32) -> Result<BTreeMap<String, Mark>, Error> {
        let (mut found, mut behind) = (BTreeMap::new(), None);
        loop {
            let mut marked = marked(group);
            marked.push(json!({ "term": { "partition_id": partition } }));
            let mut question = json!({
                "size": PAGE, "query": { "bool": { "filter": marked } }, "sort": [{ "product_id": "asc" }],
            });
            if let Some(behind) = &behind {
                question["search_after"] = json!([behind]);
            }
            let page: Page = self.search.search(&self.index, question).await?;
            let products: Vec<String> = page.hits.hits.into_iter().map(|hit| hit.source.product_id).collect();
            let Some(last) = products.last() else { return Ok(found) };
            behind = Some(last.clone());
            // What is searched is as it was at the last refresh, which not everybody who writes may ask for.
            let marks = self.read(group, &products).await?;
            found
                .extend(products.into_iter().zip(marks).filter_map(|(product, mark)| Some((product, mark?))));
        }
    }

    fn corrupt(&self, product: &str, problem: &serde_json::Error) -> Error {
        let (table, row) = (self.index.clone(), product.to_owned());
        Error::Corrupt { table, row, problem: problem.to_string() }
    }

    async fn counted(&self, group: &str) -> Result<u64, Error> {
        let question = json!({
            "size": 0, "track_total_hits": MAX_COUNTED, "query": { "bool": { "filter": marked(group) } },
        });
        let answer: Value = self.search.search(&self.index, question).await?;
        Ok(answer["hits"]["total"]["value"].as_u64().unwrap_or_default().min(MAX_COUNTED))
    }
}

fn id(group: &str, product: &str) -> String {
    format!("{group}:{product}")
}

/// The documents of a group that have a mark.
fn marked(group: &str) -> Vec<Value> {
    vec![json!({ "term": { "group_id": group } }), json!({ "exists": { "field": "kind" } })]
}

impl Place for SearchMarks {
    fn name(&self) -> &str {
        &self.index
    }

    async fn put(
        &self,
        group: &str,
        partition: i32,
        marks: &Marking,
        time: i64,
        retry: &Retry,
    ) -> Result<(), GaveUp<Error>> {
        let version = time.unsigned_abs();
        let document = |(product, mark): (&String, &Option<Mark>)| {
            let (group_id, product_id) = (group.to_owned(), product.clone());
            let mark = mark.map(Told::from);
            let content = MarkDocument { group_id, product_id, partition_id: partition, mark };
            let source = serde_json::to_vec(&content).map_err(|e| self.corrupt(product, &e))?;
            Ok(Document { id: id(group, product), version, source: source.into() })
        };
        let documents: Result<Vec<Document>, Error> = marks.iter().map(document).collect();
        let documents = documents.map_err(GaveUp::Final)?;
        let written = self.search.write_all(&self.write_alias, documents, retry).await;
        let refused = written.map_err(|e| e.map(Error::from))?;
        if let Some(RefusedDocument { id, status, problem }) = refused.into_iter().next() {
            let index = self.write_alias.clone();
            return Err(GaveUp::Final(SearchError::Document { index, id, status, problem }.into()));
        }
        Ok(())
    }

    async fn find(&self, group: &str, products: &[String]) -> Result<Vec<Option<Mark>>, Error> {
        self.read(group, products).await
    }
}

impl Marks for SearchMarks {
    fn write<'a>(
        &'a self,
        group: &'a str,
        partition: i32,
        marks: &'a Marking,
        retry: &'a Retry,
    ) -> BoxFuture<'a, Result<(), GaveUp<Error>>> {
        write_until_found(self, group, partition, marks, retry).boxed()
    }

    fn of_partition<'a>(&'a self, group: &'a str, partition: i32) -> Answered<'a, BTreeMap<String, Mark>> {
        self.all(group, partition).boxed()
    }

    fn of_products<'a>(
        &'a self,
        group: &'a str,
        products: &'a [ProductId],
    ) -> Answered<'a, Vec<Option<Mark>>> {
        async move {
            let products: Vec<String> = products.iter().map(ProductId::to_string).collect();
            self.read(group, &products).await
        }
        .boxed()
    }

    fn count<'a>(&'a self, group: &'a str) -> Answered<'a, u64> {
        self.counted(group).boxed()
    }
}

#[cfg(test)]
mod tests {
    use toolkit::dead_letters::Kind;

    use super::*;

    #[test]
    fn a_document_without_a_mark_has_none_of_its_fields() {
        let mark = Mark { first_offset: 3, since_ms: 4, kind: Kind::RefusedByStore, is_discarded: false };
        for mark in [Some(mark), None] {
            let (group_id, product_id) = ("g".to_owned(), "p".to_owned());
            let document = MarkDocument { group_id, product_id, partition_id: 5, mark: mark.map(Told::from) };
            let text = serde_json::to_value(&document).unwrap();
            assert_eq!(text.get("kind").and_then(Value::as_str), mark.map(|it| it.kind.name()), "{text}");
            assert_eq!(text.as_object().unwrap().len(), if mark.is_some() { 7 } else { 3 });
            let read: MarkDocument = serde_json::from_value(text).unwrap();
            assert_eq!(read.mark.map(|it| (it.first_offset, it.since_ms)), mark.map(|_| (3, 4)));
        }
    }
}
