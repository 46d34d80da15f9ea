//! The server's answer to a search, and ours made of it.
//!
//! Promise: an answer is bounded in bytes, whatever its products and facet values hold; a page that ends early for it has a
//! next one.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::body::Size;
use super::cursor::{Cursor, Place};
use super::document::{ProductDocument, UNIT};
use super::facets::name_of_chosen;
use super::request::{Bucket, Facet, FacetCounts, Hit, Matched, SearchRequest, SearchResponse};
use super::texts::Similar;
use crate::QueryError;
use crate::page::Budget;

/// All facets of an answer hold about this many bytes at most: the values of one attribute alone can be 400 KB.
const FACET_BYTES: usize = 512 * 1024;
/// What a bucket costs beside its value.
const BUCKET_BYTES: usize = 48;

/// The answer that a page of at most `size.hits - 1` products is.
pub(super) fn response(
    mut answer: Answer<ProductDocument<'static>>,
    request: &SearchRequest,
    question: &str,
    similar: Similar,
    size: Size,
) -> Result<SearchResponse, QueryError> {
    let facets = request.facets.iter().enumerate().map(|(i, facet)| {
        let counted = answer.aggregations.remove(&i.to_string()).unwrap_or_default();
        let chosen = answer.aggregations.remove(&name_of_chosen(i)).unwrap_or_default();
        let bytes = FACET_BYTES / request.facets.len();
        counted.within(bytes, size.facet_values, request.effective_facet_size(), facet, chosen)
    });
    let facets = facets.collect();
    let mut budget = Budget::of_a_page();
    let (mut hits, mut last) = (Vec::new(), None);
    let (total, found) = (answer.total(), answer.hits.hits.len());
    for hit in answer.hits.hits.into_iter().take(size.hits - 1) {
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
            Some(Place { similar, cursor }.encode(question)?)
        }
        _ => None,
    };
    let matched = if similar == Similar::default() { Matched::Exact } else { Matched::Similar };
    Ok(SearchResponse { hits, total, matched, facets, next })
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
pub(super) struct Answer<T> {
    pub(super) hits: Hits<T>,
    #[serde(default)]
    aggregations: HashMap<String, Counted>,
}

impl<T> Answer<T> {
    pub(super) fn total(&self) -> u64 {
        self.hits.total.as_ref().map_or(0, |total| total.value)
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
        unknown.filter_map(|(at, _)| at.parse().ok()).fold(Similar::default(), Similar::with)
    }
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
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) category: String,
    pub(super) status: String,
}

#[derive(Deserialize, Default)]
pub(super) struct Counted {
    #[serde(default)]
    buckets: Vec<RawBucket>,
    /// What the buckets left out count together.
    #[serde(default)]
    sum_other_doc_count: u64,
    /// The same, inside the filter of the facet.
    values: Option<Box<Counted>>,
}

#[derive(Deserialize)]
struct RawBucket {
    key: Value,
    doc_count: u64,
    from: Option<f64>,
    to: Option<f64>,
}

impl Counted {
    fn inner(self) -> Self {
        match self.values {
            Some(inner) => *inner,
            None => self,
        }
    }

    /// The first `wanted` of at most `asked` buckets, which count most, as far as they have room, and those that were
    /// chosen, which a question bounds; and what is left out.
    fn within(self, bytes: usize, asked: usize, wanted: usize, facet: &Facet, chosen: Self) -> FacetCounts {
        let counted = self.inner();
        let found = counted.buckets.len();
        let is_all = found < asked || counted.sum_other_doc_count == 0;
        let all: u64 = counted.buckets.iter().map(|bucket| bucket.doc_count).sum();
        let mut budget = Budget::new(bytes);
        let buckets = counted.buckets.into_iter().map(|bucket| bucket.of(facet));
        let has_room = |bucket: &Bucket| budget.takes(bucket.value.len() + BUCKET_BYTES);
        // Price ranges were named by the caller.
        let wanted = if matches!(facet, Facet::Price { .. }) { found } else { wanted };
        let mut buckets: Vec<Bucket> = buckets.take(wanted).take_while(has_room).collect();
        for chosen in chosen.inner().buckets.into_iter().map(|bucket| bucket.of(facet)) {
            if !buckets.iter().any(|bucket| bucket.value == chosen.value) {
                buckets.push(chosen);
            }
        }
        let shown: u64 = buckets.iter().map(|bucket| bucket.count).sum();
        FacetCounts {
            facet: facet.to_string(),
            other_values: is_all.then_some(found.saturating_sub(buckets.len()) as u64),
            other_count: (all + counted.sum_other_doc_count).saturating_sub(shown),
            buckets,
        }
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
            Facet::Attribute { .. } => {
                key.split_once(UNIT).map_or(key.clone(), |(_, value)| value.to_owned())
            }
            Facet::Category
            | Facet::Brand
            | Facet::Status
            | Facet::Tags
            | Facet::Currency
            | Facet::AttributeNames => key,
        };
        Bucket { value, count: self.doc_count, from, to }
    }
}
