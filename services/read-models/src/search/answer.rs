//! The search server's answers, and what they say was found.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::body::Size;
use super::cursor::Cursor;
use super::document::ProductDocument;
use super::facets::name_of_chosen;
use super::found::{Counted, Found};
use super::plan::PriceRange;
use super::request::{Bucket, Facet, Hit, SearchRequest};
use super::texts::Similar;
use crate::QueryError;

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
pub(super) struct ServerAnswer<T> {
    pub(super) hits: Hits<T>,
    #[serde(default)]
    aggregations: HashMap<String, RawCounted>,
}

impl<T> ServerAnswer<T> {
    pub(super) fn total(&self) -> u64 {
        self.hits.total.as_ref().map_or(0, |total| total.value)
    }
}

impl ServerAnswer<ProductDocument<'static>> {
    /// What was found, of an answer to a question for so much.
    pub(super) fn found(mut self, request: &SearchRequest, size: Size) -> Result<Found, QueryError> {
        let facets = request.facets.iter().enumerate().map(|(at, facet)| {
            let counted = self.aggregations.remove(&at.to_string()).unwrap_or_default().inner();
            let chosen = self.aggregations.remove(&name_of_chosen(at)).unwrap_or_default();
            Counted {
                is_all: counted.buckets.len() < size.facet_values || counted.sum_other_doc_count == 0,
                others: counted.sum_other_doc_count,
                buckets: counted.of(facet),
                chosen: chosen.inner().of(facet),
            }
        });
        let facets = facets.collect();
        let (total, more) = (self.total(), self.hits.hits.len() >= size.hits);
        let hits = self.hits.hits.into_iter().take(size.hits - 1).map(|hit| {
            let cursor = Cursor::of(request.sort, hit.sort).ok_or_else(|| {
                QueryError::Internal("a document has no sort values of the order asked for".to_owned())
            })?;
            Ok((Hit { found: hit.source.parse()?, score: hit.score }, cursor))
        });
        Ok(Found { total, hits: hits.collect::<Result<_, QueryError>>()?, more, facets })
    }
}

/// How many products have each of some words, by its place.
#[derive(Deserialize)]
pub(super) struct WordCounts {
    aggregations: HashMap<String, WordCount>,
}

#[derive(Deserialize)]
struct WordCount {
    doc_count: u64,
}

impl WordCounts {
    /// The words that no product has.
    pub(super) fn unknown(&self) -> Similar {
        let unknown = self.aggregations.iter().filter(|(_, count)| count.doc_count == 0);
        Similar::of_unknown(unknown.filter_map(|(at, _)| at.parse().ok()))
    }
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
pub(super) struct Hits<T> {
    total: Option<Total>,
    pub(super) hits: Vec<FoundDocument<T>>,
}

#[derive(Deserialize)]
pub(super) struct Total {
    value: u64,
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
pub(super) struct FoundDocument<T> {
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
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) category: String,
    pub(super) status: String,
}

#[derive(Deserialize, Default)]
struct RawCounted {
    #[serde(default)]
    buckets: Vec<RawBucket>,
    /// What the buckets left out count together.
    #[serde(default)]
    sum_other_doc_count: u64,
    /// The same, inside the filter of the facet.
    values: Option<Box<RawCounted>>,
}

#[derive(Deserialize)]
struct RawBucket {
    key: Value,
    doc_count: u64,
    from: Option<f64>,
    to: Option<f64>,
}

impl RawCounted {
    fn inner(self) -> Self {
        match self.values {
            Some(inner) => *inner,
            None => self,
        }
    }

    fn of(self, facet: &Facet) -> Vec<Bucket> {
        self.buckets.into_iter().map(|bucket| bucket.of(facet)).collect()
    }
}

impl RawBucket {
    fn of(self, facet: &Facet) -> Bucket {
        let bound = |bound: Option<f64>| bound.map(|b| b as u64);
        if let Facet::Price { .. } = facet {
            let range = PriceRange { from: bound(self.from), to: bound(self.to) };
            return Bucket::of_prices(range, self.doc_count);
        }
        let value = match self.key {
            Value::String(key) => key,
            other => other.to_string(),
        };
        Bucket::of_value(facet, value, self.doc_count)
    }
}
