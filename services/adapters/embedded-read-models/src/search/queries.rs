//! Conditions as queries of tantivy.
//!
//! Promise: nothing is decided here but how fast it goes.

use std::ops::Bound;

use read_models::search::{Better, Condition, Field, Nearly};
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, InvertedIndexRangeQuery, Occur, Query,
    RangeQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{Searcher, Term};

use super::schema::Fields;
use super::typos::variants;

/// From so many values on they are looked up together.
const MANY: usize = 64;

type AnyQuery = Box<dyn Query>;

/// Makes queries for one state of the index.
pub(super) struct Maker<'a> {
    pub(super) fields: &'a Fields,
    pub(super) searcher: &'a Searcher,
}

impl Maker<'_> {
    /// What keeps to all of these.
    pub(super) fn all<'c>(
        &self,
        conditions: impl IntoIterator<Item = &'c Condition>,
    ) -> tantivy::Result<AnyQuery> {
        let mut all = conditions.into_iter().map(|it| self.one(it)).collect::<tantivy::Result<Vec<_>>>()?;
        Ok(match all.len() {
            0 => Box::new(AllQuery),
            1 => all.remove(0),
            _ => Box::new(BooleanQuery::intersection(all)),
        })
    }

    /// The same, with scores.
    pub(super) fn scored(&self, needed: AnyQuery, better: &[Better]) -> tantivy::Result<AnyQuery> {
        let mut clauses: Vec<(Occur, AnyQuery)> =
            vec![(Occur::Must, Box::new(ConstScoreQuery::new(needed, 0.0)))];
        for better in better {
            match better {
                Better::By { score, condition } => {
                    let query = ConstScoreQuery::new(self.one(condition)?, *score as f32);
                    clauses.push((Occur::Should, Box::new(query)));
                }
                Better::Terms { field, terms, boost } => {
                    clauses.extend(terms.iter().map(|term| self.by_rarity(*field, term, *boost)));
                }
                Better::Nearly(nearly) => {
                    let terms = self.variants(nearly)?.into_iter();
                    clauses
                        .extend(terms.map(|(term, nearness)| self.by_rarity(nearly.field, &term, nearness)));
                }
            }
        }
        Ok(Box::new(BooleanQuery::new(clauses)))
    }

    /// By BM25, multiplied by `k1 + 1` as on search servers.
    fn by_rarity(&self, field: Field, term: &str, boost: f32) -> (Occur, AnyQuery) {
        let term = TermQuery::new(self.fields.term(field, term), IndexRecordOption::Basic);
        (Occur::Should, Box::new(BoostQuery::new(Box::new(term), boost)))
    }

    fn variants(&self, nearly: &Nearly) -> tantivy::Result<Vec<(String, f32)>> {
        let Nearly { field, term, typos, variants: most } = nearly;
        variants(self.searcher, self.fields.of(*field), term, usize::from(*typos), *most)
    }

    fn one(&self, condition: &Condition) -> tantivy::Result<AnyQuery> {
        Ok(match condition {
            Condition::OneOf { field, values } => self.one_of(*field, values.iter().map(String::as_str)),
            Condition::BeginsWith { field, prefix } => self.begins_with(*field, prefix),
            Condition::Price { min, max } => {
                let bound = |price: &Option<u64>, unbound: i64| {
                    let price = price.map_or(unbound, |price| i64::try_from(price).unwrap_or(i64::MAX));
                    Bound::Included(Term::from_field_i64(self.fields.price, price))
                };
                Box::new(RangeQuery::new(bound(min, i64::MIN), bound(max, i64::MAX)))
            }
            Condition::Nearly(nearly) => {
                let terms = self.variants(nearly)?;
                self.one_of(nearly.field, terms.iter().map(|(term, _)| term.as_str()))
            }
            Condition::All(all) => self.all(all)?,
            Condition::Any(ways) => {
                any(ways.iter().map(|way| self.one(way)).collect::<tantivy::Result<_>>()?)
            }
        })
    }

    fn one_of<'v>(&self, field: Field, values: impl Iterator<Item = &'v str>) -> AnyQuery {
        let terms: Vec<Term> = values.map(|value| self.fields.term(field, value)).collect();
        if terms.len() >= MANY {
            return Box::new(TermSetQuery::new(terms));
        }
        let query = |term| Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as AnyQuery;
        any(terms.into_iter().map(query).collect())
    }

    fn begins_with(&self, field: Field, prefix: &str) -> AnyQuery {
        let term = |bytes: &[u8]| {
            let mut term = self.fields.term(field, "");
            term.append_bytes(bytes);
            term
        };
        let end = behind_prefix(prefix).map_or(Bound::Unbounded, |end| Bound::Excluded(term(&end)));
        Box::new(InvertedIndexRangeQuery::new(Bound::Included(term(prefix.as_bytes())), end))
    }
}

/// What comes behind all texts that begin so; none for an empty text.
pub(super) fn behind_prefix(prefix: &str) -> Option<Vec<u8>> {
    let mut end = prefix.as_bytes().to_vec();
    // No byte of a text is the highest.
    *end.last_mut()? += 1;
    Some(end)
}

fn any(mut ways: Vec<AnyQuery>) -> AnyQuery {
    match ways.len() {
        0 => Box::new(EmptyQuery),
        1 => ways.remove(0),
        _ => Box::new(BooleanQuery::union(ways)),
    }
}
