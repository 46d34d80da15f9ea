//! The server's answer to a search, and ours made of it.
//!
//! Promise: an answer is bounded in bytes, whatever its products and facet values hold; a page that ends early for it has a
//! next one.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::cursor::Cursor;
use super::document::ProductDocument;
use super::request::{Bucket, Facet, FacetCounts, Hit, SearchRequest, SearchResponse};
use crate::QueryError;
use crate::page::Budget;

/// All facets of an answer hold about this many bytes at most: the values of one attribute alone can be 400 KB.
const FACET_BYTES: usize = 512 * 1024;
/// What a bucket costs beside its value.
const BUCKET_BYTES: usize = 48;

/// The answer that a page of at most `size` products is.
pub(super) fn response(
    mut answer: Answer<ProductDocument<'static>>,
    request: &SearchRequest,
    question: &str,
    size: usize,
) -> Result<SearchResponse, QueryError> {
    let facets = request.facets.iter().enumerate().map(|(i, facet)| {
        let counted = answer.aggregations.remove(&i.to_string()).unwrap_or_default();
        FacetCounts {
            facet: facet.to_string(),
            buckets: counted.within(FACET_BYTES / request.facets.len(), facet),
        }
    });
    let facets = facets.collect();
    let mut budget = Budget::of_a_page();
    let (mut hits, mut last) = (Vec::new(), None);
    let found = answer.hits.hits.len();
    for hit in answer.hits.hits.into_iter().take(size) {
        let product = hit.source.parse()?;
        if !budget.takes(product.size()) {
            break;
        }
        hits.push(Hit { found: product, score: hit.score });
        last = Some(hit.sort);
    }
    let next = match last {
        Some(values) if found > hits.len() => {
            let cursor = Cursor::of(request.sort, values).ok_or_else(|| {
                QueryError::Internal("a document has no sort values of the order asked for".to_owned())
            })?;
            Some(cursor.encode(question)?)
        }
        _ => None,
    };
    Ok(SearchResponse { hits, total: answer.hits.total.map_or(0, |total| total.value), facets, next })
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
pub(super) struct Answer<T> {
    pub(super) hits: Hits<T>,
    #[serde(default)]
    aggregations: HashMap<String, Counted>,
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
pub(super) struct Hits<T> {
    total: Option<Total>,
    pub(super) hits: Vec<Found<T>>,
}

#[derive(Deserialize)]
pub(super) struct Total {
    value: u64,
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
pub(super) struct Found<T> {
    #[serde(rename = "_source")]
    pub(super) source: T,
    #[serde(rename = "_score")]
    score: Option<f64>,
    #[serde(default)]
    sort: Value,
}

#[derive(Deserialize)]
pub(super) struct NameDocument {
    pub(super) product_id: String,
    pub(super) name: String,
    pub(super) category: String,
}

#[derive(Deserialize, Default)]
pub(super) struct Counted {
    #[serde(default)]
    buckets: Vec<RawBucket>,
}

#[derive(Deserialize)]
struct RawBucket {
    key: Value,
    doc_count: u64,
    from: Option<f64>,
    to: Option<f64>,
}

impl Counted {
    /// The first buckets, which count most, as far as they have room.
    fn within(self, bytes: usize, facet: &Facet) -> Vec<Bucket> {
        let mut budget = Budget::new(bytes);
        let buckets = self.buckets.into_iter().map(|bucket| bucket.of(facet));
        buckets.take_while(|bucket| budget.takes(bucket.value.len() + BUCKET_BYTES)).collect()
    }
}

impl RawBucket {
    fn of(self, facet: &Facet) -> Bucket {
        let bound = |bound: Option<f64>| bound.map(|b| b as u64);
        let (from, to) = (bound(self.from), bound(self.to));
        let text = |bound: Option<u64>| bound.map_or_else(String::new, |b| b.to_string());
        let key = self.key.as_str().map_or_else(|| self.key.to_string(), str::to_owned);
        let value = match facet {
            Facet::Price { .. } => format!("{}-{}", text(from), text(to)),
            Facet::Attribute { .. } => key.split_once('=').map_or(key.clone(), |(_, value)| value.to_owned()),
            Facet::Category | Facet::Brand | Facet::Status | Facet::Tags | Facet::AttributeNames => key,
        };
        Bucket { value, count: self.doc_count, from, to }
    }
}
