//! How many products have each value of some fields.
//!
//! Promise: every product found counts once for each value it has; no count is an estimate.

use std::ops::{Bound, Range};

use ahash::AHashMap;
use read_models::search::{Bucket, Counted, Facet, MAX_FACET_SIZE, PriceRange, Values};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, Dictionary, StrColumn};
use tantivy::index::SegmentReader;
use tantivy::{DocId, Score, SegmentOrdinal};

use super::ordering::texts;
use super::queries::behind_prefix;
use super::schema::PRICE;

/// Values that are told one by one: one more than are ever shown says that there are more.
const MAX_COUNTED: usize = MAX_FACET_SIZE + 1;

/// Counts what some facets count, all over the same products.
pub(super) struct Counts(pub(super) Vec<Values>);

/// What one facet counted.
pub(super) enum Tally {
    Texts(AHashMap<String, u64>),
    Prices(Vec<(PriceRange, u64)>),
}

impl Tally {
    fn none_of(values: &Values) -> Self {
        match values {
            Values::Of(_) | Values::Beginning(..) => Self::Texts(AHashMap::new()),
            Values::Prices(ranges) => Self::Prices(ranges.iter().map(|range| (*range, 0)).collect()),
        }
    }

    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Texts(all), Self::Texts(more)) => {
                for (text, count) in more {
                    *all.entry(text).or_default() += count;
                }
            }
            (Self::Prices(all), Self::Prices(more)) => {
                all.iter_mut().zip(more).for_each(|((_, all), (_, more))| *all += more);
            }
            (Self::Texts(_), Self::Prices(_)) | (Self::Prices(_), Self::Texts(_)) => {}
        }
    }

    /// As a facet is answered some of whose values are filtered by.
    pub(super) fn counted(self, facet: &Facet, chosen: &[String]) -> Counted {
        let counts = match self {
            Self::Texts(counts) => counts,
            Self::Prices(counts) => {
                let buckets = counts.into_iter().map(|(range, count)| Bucket::of_prices(range, count));
                return Counted { buckets: buckets.collect(), others: 0, is_all: true, chosen: Vec::new() };
            }
        };
        let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
        counts.sort_unstable_by(|(one, many), (other, more)| more.cmp(many).then_with(|| one.cmp(other)));
        let is_chosen = |text: &String| !chosen.is_empty() && chosen.contains(text);
        let bucket = |(text, count): (String, u64)| Bucket::of_value(facet, text, count);
        let chosen = counts.iter().filter(|(text, _)| is_chosen(text)).cloned().map(bucket).collect();
        let others: u64 = counts.iter().skip(MAX_COUNTED).map(|(_, count)| count).sum();
        let is_all = counts.len() <= MAX_COUNTED;
        Counted {
            buckets: counts.into_iter().take(MAX_COUNTED).map(bucket).collect(),
            others,
            is_all,
            chosen,
        }
    }
}

impl Collector for Counts {
    type Fruit = Vec<Tally>;
    type Child = CountsOfSegment;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<CountsOfSegment> {
        let counters = self.0.iter().map(|values| Counter::new(segment, values));
        Ok(CountsOfSegment(counters.collect::<tantivy::Result<_>>()?))
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, of_segments: Vec<tantivy::Result<Vec<Tally>>>) -> tantivy::Result<Vec<Tally>> {
        let mut all: Vec<Tally> = self.0.iter().map(Tally::none_of).collect();
        for of_segment in of_segments {
            all.iter_mut().zip(of_segment?).for_each(|(all, more)| all.add(more));
        }
        Ok(all)
    }
}

pub(super) struct CountsOfSegment(Vec<Counter>);

impl SegmentCollector for CountsOfSegment {
    type Fruit = tantivy::Result<Vec<Tally>>;

    fn collect(&mut self, document: DocId, _: Score) {
        self.0.iter_mut().for_each(|counter| counter.count(document));
    }

    fn harvest(self) -> Self::Fruit {
        self.0.into_iter().map(Counter::tally).collect()
    }
}

/// Counts one facet in one segment.
enum Counter {
    /// No product of the segment has such a value.
    Nothing,
    /// Texts by their places in the segment's dictionary.
    Texts {
        column: StrColumn,
        places: Range<u64>,
        counts: Vec<u64>,
    },
    Prices {
        prices: Column<i64>,
        counts: Vec<(PriceRange, u64)>,
    },
}

impl Counter {
    fn new(segment: &SegmentReader, values: &Values) -> tantivy::Result<Self> {
        let (field, prefix) = match values {
            Values::Of(field) => (field, ""),
            Values::Beginning(field, prefix) => (field, prefix.as_str()),
            Values::Prices(ranges) => {
                let prices = segment.fast_fields().i64(PRICE)?;
                let counts = ranges.iter().map(|range| (*range, 0)).collect();
                return Ok(Self::Prices { prices, counts });
            }
        };
        let Some(column) = segment.fast_fields().str(field.name())? else { return Ok(Self::Nothing) };
        let places = places(column.dictionary(), prefix)?;
        let counts = vec![0; places.end.saturating_sub(places.start) as usize];
        Ok(Self::Texts { column, places, counts })
    }

    fn count(&mut self, document: DocId) {
        match self {
            Self::Nothing => {}
            Self::Texts { column, places, counts } => {
                for place in column.ords().values_for_doc(document).filter(|place| places.contains(place)) {
                    counts[(place - places.start) as usize] += 1;
                }
            }
            Self::Prices { prices, counts } => {
                let Some(price) = prices.first(document) else { return };
                let price = u64::try_from(price).unwrap_or_default();
                let is_within = |range: &PriceRange| {
                    range.from.is_none_or(|from| from <= price) && range.to.is_none_or(|to| price < to)
                };
                counts.iter_mut().filter(|(range, _)| is_within(range)).for_each(|(_, count)| *count += 1);
            }
        }
    }

    fn tally(self) -> tantivy::Result<Tally> {
        Ok(match self {
            Self::Nothing => Tally::Texts(AHashMap::new()),
            Self::Texts { column, places, counts } => {
                let counted: Vec<(u64, u64)> = places.zip(counts).filter(|(_, count)| *count > 0).collect();
                let texts = texts(column.dictionary(), counted.iter().map(|(place, _)| *place))?;
                Tally::Texts(texts.into_iter().zip(counted.into_iter().map(|(_, count)| count)).collect())
            }
            Self::Prices { counts, .. } => Tally::Prices(counts),
        })
    }
}

/// Where the texts are that begin so.
fn places(dictionary: &Dictionary, prefix: &str) -> tantivy::Result<Range<u64>> {
    let all = dictionary.num_terms() as u64;
    let Some(behind) = behind_prefix(prefix) else { return Ok(0..all) };
    let bounds = (Bound::Included(prefix.as_bytes()), Bound::Excluded(behind.as_slice()));
    let (from, to) = dictionary.term_bounds_to_ord(bounds.0, bounds.1)?;
    let (Bound::Included(from) | Bound::Excluded(from)) = from else { return Ok(0..0) };
    let (Bound::Included(to) | Bound::Excluded(to)) = to else { return Ok(0..0) };
    let to = to.min(all);
    Ok(from.min(to)..to)
}
