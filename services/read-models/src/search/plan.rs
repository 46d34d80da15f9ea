//! What an index has to carry out to answer a question.
//!
//! Promise: every index finds, counts and orders by the same plan.

use super::condition::{Better, Condition, Field};
use super::document::{UNIT, pair};
use super::filters::{Clauses, statuses};
use super::query::Find;
use super::request::{Bucket, Facet, Filters, SearchRequest, SuggestRequest};
use super::texts::{Similar, Text, has};

/// What a page is made of. Its order is [`SearchRequest::sort`], and then the product's id.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What products and facets keep to.
    pub all: Vec<Condition>,
    /// What products keep to beside that.
    pub products: Vec<Condition>,
    pub better: Vec<Better>,
    /// In the order asked for.
    pub facets: Vec<FacetPlan>,
}

/// How a facet is counted.
#[derive(Debug, Clone)]
pub struct FacetPlan {
    /// What it keeps to beside [`Plan::all`].
    pub within: Vec<Condition>,
    pub values: Values,
    /// The values that are filtered by, as the field has them: counted however few products they have.
    pub chosen: Vec<String>,
}

/// What a facet counts. Values come in the order of their counts, the highest first, those of equal counts as their bytes sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Each value of the field.
    Of(Field),
    /// Each value of the field that begins so.
    Beginning(Field, String),
    /// Each of these ranges, in this order, whatever it counts.
    Prices(Vec<PriceRange>),
}

/// A range of prices in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceRange {
    /// Inclusive.
    pub from: Option<u64>,
    /// Exclusive.
    pub to: Option<u64>,
}

impl Find<'_> {
    pub fn plan(&self) -> Plan {
        let Find { request, text, similar, behind: _ } = *self;
        Plan::of(request, text, similar)
    }
}

impl Plan {
    pub(super) fn of(request: &SearchRequest, text: Option<&Text<'_>>, similar: Similar) -> Self {
        let SearchRequest { filters, facets, .. } = request;
        let clauses = Clauses::of(filters);
        let mut all = clauses.of_all(facets);
        let (needed, better) = text.map(|text| text.clauses(similar)).unzip();
        all.extend(needed);
        let facet = |facet: &Facet| FacetPlan {
            within: clauses.of_facet(facet, facets),
            values: values(facet),
            chosen: chosen(facet, filters),
        };
        Self {
            all,
            products: clauses.of_products(facets),
            better: better.unwrap_or_default(),
            facets: facets.iter().map(facet).collect(),
        }
    }
}

impl SearchRequest {
    /// What a word is looked for in, to know whether any product has it; and each word of the text that may have a typo, by its
    /// place. See [`Similar::of_unknown`].
    pub fn doubtful_words(&self, text: &Text<'_>) -> (Condition, Vec<(usize, Condition)>) {
        let words = text.question.words.iter().enumerate().filter(|(_, word)| word.fuzzy.is_some());
        let words = words.map(|(at, word)| (at, has(Field::Terms, word))).collect();
        (statuses(&self.filters.statuses), words)
    }
}

impl SuggestRequest {
    /// What a product must be that the text is completed to, and what makes it a better one. The order is that of scores, and then
    /// of products' ids.
    pub fn plan(&self, text: &Text<'_>) -> (Vec<Condition>, Vec<Better>) {
        let (needed, better) = text.beginning();
        (vec![statuses(self.statuses()), needed], better)
    }
}

impl Bucket {
    /// A value of the field that the facet counts.
    pub fn of_value(facet: &Facet, value: String, count: u64) -> Self {
        let value = match facet {
            Facet::Attribute { .. } => match value.split_once(UNIT) {
                Some((_, of_name)) => of_name.to_owned(),
                None => value,
            },
            Facet::Category
            | Facet::Brand
            | Facet::Status
            | Facet::Tags
            | Facet::Currency
            | Facet::Price { .. }
            | Facet::AttributeNames => value,
        };
        Self { value, count, from: None, to: None }
    }

    pub fn of_prices(PriceRange { from, to }: PriceRange, count: u64) -> Self {
        let text = |bound: Option<u64>| bound.map_or_else(String::new, |b| b.to_string());
        Self { value: format!("{}-{}", text(from), text(to)), count, from, to }
    }
}

fn values(facet: &Facet) -> Values {
    match facet {
        Facet::Category => Values::Of(Field::Categories),
        Facet::Brand => Values::Of(Field::Brand),
        Facet::Status => Values::Of(Field::Status),
        Facet::Tags => Values::Of(Field::Tags),
        Facet::Currency => Values::Of(Field::Currency),
        Facet::AttributeNames => Values::Of(Field::AttributeNames),
        Facet::Attribute { name } => Values::Beginning(Field::AttributePairs, pair(name.as_str(), "")),
        Facet::Price { bounds } => Values::Prices(ranges(bounds)),
    }
}

/// The values of a facet that are filtered by, as its field has them.
fn chosen(facet: &Facet, filters: &Filters) -> Vec<String> {
    match facet {
        Facet::Category => filters.category.iter().map(ToString::to_string).collect(),
        Facet::Brand => filters.brands.iter().map(|brand| brand.as_str().to_owned()).collect(),
        Facet::Status => filters.statuses.iter().map(|status| status.as_str().to_owned()).collect(),
        Facet::Tags => filters.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        Facet::Currency => filters.currency.iter().map(|it| it.as_str().to_owned()).collect(),
        Facet::Attribute { name } => {
            let of_name = filters.attributes.iter().filter(|(other, _)| other == name);
            of_name.map(|(name, value)| pair(name.as_str(), value.as_str())).collect()
        }
        Facet::AttributeNames | Facet::Price { .. } => Vec::new(),
    }
}

fn ranges(bounds: &[u64]) -> Vec<PriceRange> {
    let mut bounds = bounds.to_vec();
    bounds.sort_unstable();
    bounds.dedup();
    if bounds.is_empty() {
        return vec![PriceRange { from: Some(0), to: None }];
    }
    let starts = std::iter::once(None).chain(bounds.iter().copied().map(Some));
    let ends = bounds.iter().copied().map(Some).chain(std::iter::once(None));
    starts.zip(ends).map(|(from, to)| PriceRange { from, to }).collect()
}
