//! The first hits of an order, from a place on.
//!
//! Promise: the order is total, by its value and then by the product's id as its bytes sort, so that pages neither repeat nor
//! skip; every product found is counted, wherever the page begins.

use std::collections::BinaryHeap;
use std::ops::Bound;

use read_models::search::{Cursor, Sort};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, Dictionary, StrColumn};
use tantivy::index::SegmentReader;
use tantivy::{DocAddress, DocId, Score, Searcher, SegmentOrdinal, TantivyError, i64_to_u64, u64_to_i64};

use read_models::search::Field;

use super::schema::{PRICE, PRODUCT_ID, UPDATED_AT};

/// Collects the first `count` hits behind a place.
#[derive(Debug)]
pub(super) struct First {
    pub(super) sort: Sort,
    pub(super) count: usize,
    pub(super) behind: Option<Cursor>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    pub(super) total: u64,
    /// In order; each with its place in it.
    pub(super) hits: Vec<(DocAddress, Cursor)>,
}

/// Where a hit comes in its segment: the value of the order, so that lower is earlier, and the place of its id.
type Rank = (u64, u64);

impl First {
    /// The first hits of a query, and how many there are.
    pub(super) fn hits_of(
        &self,
        searcher: &Searcher,
        query: &dyn tantivy::query::Query,
    ) -> tantivy::Result<Ordered> {
        let (total, ranked) = searcher.search(query, self)?;
        let mut hits = Vec::new();
        for (segment, ranked) in ranked {
            self.name(searcher, segment, ranked, &mut hits)?;
        }
        hits.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
        hits.truncate(self.count);
        let hits = hits.into_iter().map(|(place, key)| (place, key.cursor(self.sort)));
        Ok(Ordered { total, hits: hits.collect() })
    }

    /// Makes ranks of a segment comparable with those of others.
    fn name(
        &self,
        searcher: &Searcher,
        segment: SegmentOrdinal,
        ranked: Vec<(Rank, DocId)>,
        hits: &mut Vec<(DocAddress, Key)>,
    ) -> tantivy::Result<()> {
        let reader = searcher.segment_reader(segment);
        let ids = texts(strings(reader, PRODUCT_ID)?.dictionary(), ranked.iter().map(|((_, id), _)| *id))?;
        let names = if self.sort == Sort::NameAscending {
            let names = strings(reader, Field::NameKey.name())?;
            texts(names.dictionary(), ranked.iter().map(|((name, _), _)| *name))?
        } else {
            vec![String::new(); ranked.len()]
        };
        let all = ranked.into_iter().zip(ids.into_iter().zip(names));
        hits.extend(all.map(|(((value, _), document), (id, name))| {
            let value = if self.sort == Sort::NameAscending { 0 } else { value };
            (DocAddress::new(segment, document), Key { value, name, id })
        }));
        Ok(())
    }

    /// The first rank of a segment that comes behind the place; none: all do.
    fn behind(&self, segment: &SegmentReader, ids: &StrColumn) -> tantivy::Result<Option<Rank>> {
        let Some(cursor) = &self.behind else { return Ok(None) };
        let (Cursor::Number(_, id) | Cursor::Score(_, id) | Cursor::Name(_, id)) = cursor;
        let behind_id = || first_behind(ids.dictionary(), id.as_bytes());
        let value = match cursor {
            Cursor::Number(number, _) => number_rank(self.sort, *number),
            Cursor::Score(score, _) => score_rank(*score as Score),
            Cursor::Name(name, _) => {
                let names = strings(segment, Field::NameKey.name())?;
                match names.dictionary().term_ord(name.as_bytes())? {
                    Some(place) => place,
                    // Nobody has this name here, so whoever comes behind it does, whatever the id.
                    None => return Ok(Some((first_behind(names.dictionary(), name.as_bytes())?, 0))),
                }
            }
        };
        Ok(Some((value, behind_id()?)))
    }
}

/// Where a hit comes in the whole index.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    value: u64,
    name: String,
    id: String,
}

impl Key {
    fn cursor(self, sort: Sort) -> Cursor {
        match sort {
            Sort::Relevance => Cursor::Score(f64::from(ranked_score(self.value)), self.id),
            Sort::NameAscending => Cursor::Name(self.name, self.id),
            Sort::PriceAscending => Cursor::Number(u64_to_i64(self.value), self.id),
            Sort::PriceDescending | Sort::Newest => Cursor::Number(u64_to_i64(!self.value), self.id),
        }
    }
}

fn number_rank(sort: Sort, number: i64) -> u64 {
    let rank = i64_to_u64(number);
    if sort == Sort::PriceAscending { rank } else { !rank }
}

/// Higher scores come first.
fn score_rank(score: Score) -> u64 {
    let bits = score.to_bits();
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(!ascending)
}

fn ranked_score(rank: u64) -> Score {
    let ascending = !(rank as u32);
    Score::from_bits(if ascending >> 31 == 1 { ascending & !(1 << 31) } else { !ascending })
}

/// The column of a field that every document has.
pub(super) fn strings(segment: &SegmentReader, field: &str) -> tantivy::Result<StrColumn> {
    let column = segment.fast_fields().str(field)?;
    column.ok_or_else(|| TantivyError::FieldNotFound(field.to_owned()))
}

/// The place of the first text behind this one.
fn first_behind(dictionary: &Dictionary, text: &[u8]) -> tantivy::Result<u64> {
    let (from, _) = dictionary.term_bounds_to_ord(Bound::Excluded(text), Bound::Unbounded)?;
    Ok(match from {
        Bound::Excluded(place) => place.saturating_add(1),
        Bound::Included(place) => place,
        Bound::Unbounded => 0,
    })
}

/// The texts at some places of a dictionary.
pub(super) fn texts(
    dictionary: &Dictionary,
    places: impl Iterator<Item = u64>,
) -> tantivy::Result<Vec<String>> {
    let mut wanted: Vec<(u64, usize)> = places.enumerate().map(|(at, place)| (place, at)).collect();
    wanted.sort_unstable();
    let places: Vec<u64> = wanted.iter().map(|(place, _)| *place).collect();
    let mut texts = vec![String::new(); wanted.len()];
    let mut found = wanted.iter();
    let is_whole = dictionary.sorted_ords_to_term_cb(&places, |text| {
        if let Some((_, at)) = found.next() {
            texts[*at] = String::from_utf8_lossy(text).into_owned();
        }
    })?;
    if is_whole {
        Ok(texts)
    } else {
        Err(TantivyError::InternalError("a column has no such text".to_owned()))
    }
}

impl Collector for First {
    type Fruit = (u64, Vec<(SegmentOrdinal, Vec<(Rank, DocId)>)>);
    type Child = FirstOfSegment;

    fn for_segment(
        &self,
        ordinal: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<FirstOfSegment> {
        let ids = strings(segment, PRODUCT_ID)?;
        let behind = self.behind(segment, &ids)?;
        let numbers = |field: &str| segment.fast_fields().i64(field).map(OrderedBy::Number);
        let by = match self.sort {
            Sort::Relevance => OrderedBy::Score,
            Sort::PriceAscending | Sort::PriceDescending => numbers(PRICE)?,
            Sort::Newest => numbers(UPDATED_AT)?,
            Sort::NameAscending => OrderedBy::Text(strings(segment, Field::NameKey.name())?.ords().clone()),
        };
        Ok(FirstOfSegment {
            ordinal,
            sort: self.sort,
            by,
            ids: ids.ords().clone(),
            behind,
            count: self.count,
            total: 0,
            first: BinaryHeap::with_capacity(self.count + 1),
        })
    }

    fn requires_scoring(&self) -> bool {
        self.sort == Sort::Relevance
    }

    fn merge_fruits(
        &self,
        of_segments: Vec<(u64, SegmentOrdinal, Vec<(Rank, DocId)>)>,
    ) -> tantivy::Result<Self::Fruit> {
        let total = of_segments.iter().map(|(total, ..)| total).sum();
        Ok((total, of_segments.into_iter().map(|(_, segment, first)| (segment, first)).collect()))
    }
}

/// What a segment is ordered by.
enum OrderedBy {
    Score,
    Number(Column<i64>),
    Text(Column<u64>),
}

pub(super) struct FirstOfSegment {
    ordinal: SegmentOrdinal,
    sort: Sort,
    by: OrderedBy,
    ids: Column<u64>,
    behind: Option<Rank>,
    count: usize,
    total: u64,
    /// The last one on top.
    first: BinaryHeap<(Rank, DocId)>,
}

impl SegmentCollector for FirstOfSegment {
    type Fruit = (u64, SegmentOrdinal, Vec<(Rank, DocId)>);

    fn collect(&mut self, document: DocId, score: Score) {
        self.total += 1;
        let value = match &self.by {
            OrderedBy::Score => score_rank(score),
            OrderedBy::Number(numbers) => number_rank(self.sort, numbers.first(document).unwrap_or_default()),
            OrderedBy::Text(places) => places.first(document).unwrap_or_default(),
        };
        let is_full = self.first.len() >= self.count;
        if is_full && self.first.peek().is_none_or(|((last, _), _)| value > *last) {
            return;
        }
        let rank = (value, self.ids.first(document).unwrap_or_default());
        if self.behind.is_some_and(|behind| rank < behind) {
            return;
        }
        self.first.push((rank, document));
        if is_full {
            self.first.pop();
        }
    }

    fn harvest(self) -> Self::Fruit {
        (self.total, self.ordinal, self.first.into_vec())
    }
}
