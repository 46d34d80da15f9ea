//! What an index found, and the answer made of it.
//!
//! Promise: an answer is bounded in bytes, whatever its products and facet values hold; a page that ends early for it has a
//! next one.

use super::cursor::{Cursor, Place};
use super::request::{Bucket, Facet, FacetCounts, Hit, Matched, SearchRequest, SearchResponse};
use super::texts::Similar;
use crate::QueryError;
use crate::page::Budget;

/// What an index has for a page.
#[derive(Debug)]
pub struct Found {
    /// How many products match in all.
    pub total: u64,
    /// In the order asked for, each with its place in it; at most as many as a page has.
    pub hits: Vec<(Hit, Cursor)>,
    /// Whether there are more behind them.
    pub more: bool,
    /// In the order of the facets asked for.
    pub facets: Vec<Counted>,
}

/// How many products have each value of a facet.
#[derive(Debug)]
pub struct Counted {
    /// Those that count most.
    pub buckets: Vec<Bucket>,
    /// What the values left out count together.
    pub others: u64,
    /// No value is left out.
    pub is_all: bool,
    /// Those that are filtered by, however few products they have.
    pub chosen: Vec<Bucket>,
}

/// All facets of an answer hold about this many bytes at most: the values of one attribute alone can be 400 KB.
const FACET_BYTES: usize = 512 * 1024;
/// What a bucket costs beside its value.
const BUCKET_BYTES: usize = 48;

/// The answer to a request.
pub(super) fn response(
    found: Found,
    request: &SearchRequest,
    question: &str,
    similar: Similar,
) -> Result<SearchResponse, QueryError> {
    let bytes = FACET_BYTES / request.facets.len().max(1);
    let facets = request.facets.iter().zip(found.facets);
    let facets =
        facets.map(|(facet, counted)| counted.within(bytes, request.effective_facet_size(), facet)).collect();
    let mut budget = Budget::of_a_page();
    let (mut hits, mut last, mut more) = (Vec::new(), None, found.more);
    for (hit, cursor) in found.hits {
        if !budget.takes(hit.found.size()) {
            more = true;
            break;
        }
        hits.push(hit);
        last = Some(cursor);
    }
    let place = last.filter(|_| more).map(|cursor| Place { similar, cursor });
    let next = place.map(|place| place.encode(question)).transpose()?;
    let matched = if similar == Similar::default() { Matched::Exact } else { Matched::Similar };
    Ok(SearchResponse { hits, total: found.total, matched, facets, next })
}

impl Counted {
    /// The first `wanted` buckets, as far as they have room, and those that were chosen, which a question bounds; and what is
    /// left out.
    fn within(self, bytes: usize, wanted: usize, facet: &Facet) -> FacetCounts {
        let found = self.buckets.len();
        let all: u64 = self.buckets.iter().map(|bucket| bucket.count).sum();
        let mut budget = Budget::new(bytes);
        let has_room = |bucket: &Bucket| budget.takes(bucket.value.len() + BUCKET_BYTES);
        // Price ranges were named by the caller.
        let wanted = if matches!(facet, Facet::Price { .. }) { found } else { wanted };
        let mut buckets: Vec<Bucket> = self.buckets.into_iter().take(wanted).take_while(has_room).collect();
        for chosen in self.chosen {
            if !buckets.iter().any(|bucket| bucket.value == chosen.value) {
                buckets.push(chosen);
            }
        }
        let shown: u64 = buckets.iter().map(|bucket| bucket.count).sum();
        FacetCounts {
            facet: facet.to_string(),
            other_values: self.is_all.then_some(found.saturating_sub(buckets.len()) as u64),
            other_count: (all + self.others).saturating_sub(shown),
            buckets,
        }
    }
}
