//! The filters of a question as clauses, and which of them a facet leaves out.
//!
//! Promise: what is found and counted as a whole keeps to every filter; a facet of a field that is filtered counts what there is
//! instead, under all other filters.

use ahash::AHashMap;
use domain::{Brand, Status};

use super::condition::{Condition, Field};
use super::document::pair;
use super::request::{Facet, Filters};

/// What a clause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group<'a> {
    Category,
    Brand,
    Status,
    Currency,
    Price,
    Tag,
    Attribute(&'a str),
}

/// One filter.
#[derive(Debug)]
pub(super) struct Clause<'a> {
    group: Group<'a>,
    condition: Condition,
    /// What a facet of the same field keeps to instead.
    wider: Option<Condition>,
}

/// A question's filters.
#[derive(Debug)]
pub(super) struct Clauses<'a>(Vec<Clause<'a>>);

impl<'a> Clauses<'a> {
    pub(super) fn of(filters: &'a Filters) -> Self {
        let mut all = Vec::new();
        let mut add = |group, condition, wider| all.push(Clause { group, condition, wider });
        if let Some(category) = &filters.category {
            let parent = category.ancestors().collect::<Vec<_>>().into_iter().rev().nth(1);
            let within = |path: &str| one_of(Field::Categories, [path]);
            add(Group::Category, within(category.as_str()), parent.map(|parent| within(parent.as_str())));
        }
        if !filters.brands.is_empty() {
            add(Group::Brand, one_of(Field::Brand, filters.brands.iter().map(Brand::as_str)), None);
        }
        add(Group::Status, statuses(&filters.statuses), Some(other_statuses(&filters.statuses)));
        if let Some(currency) = filters.currency {
            add(Group::Currency, one_of(Field::Currency, [currency.as_str()]), None);
        }
        if filters.price_min.is_some() || filters.price_max.is_some() {
            let Filters { price_min: min, price_max: max, .. } = *filters;
            add(Group::Price, Condition::Price { min, max }, None);
        }
        let mut of_name: AHashMap<&str, usize> = AHashMap::new();
        let mut pairs: Vec<(&str, Vec<String>)> = Vec::new();
        for (name, value) in &filters.attributes {
            let at = *of_name.entry(name.as_str()).or_insert(pairs.len());
            if at == pairs.len() {
                pairs.push((name.as_str(), Vec::new()));
            }
            pairs[at].1.push(pair(name.as_str(), value.as_str()));
        }
        for (name, pairs) in pairs {
            add(Group::Attribute(name), one_of(Field::AttributePairs, pairs), None);
        }
        for tag in &filters.tags {
            add(Group::Tag, one_of(Field::Tags, [tag.as_str()]), None);
        }
        Self(all)
    }

    /// What every facet keeps to.
    pub(super) fn of_all(&self, facets: &[Facet]) -> Vec<Condition> {
        let kept = self.0.iter().filter(|it| !facets.iter().any(|facet| leaves_out(facet, it.group)));
        kept.map(|it| it.condition.clone()).collect()
    }

    /// What the products keep to beside that.
    pub(super) fn of_products(&self, facets: &[Facet]) -> Vec<Condition> {
        let moved = self.0.iter().filter(|it| facets.iter().any(|facet| leaves_out(facet, it.group)));
        moved.map(|it| it.condition.clone()).collect()
    }

    /// What `facet`, one of `facets`, keeps to beside that.
    pub(super) fn of_facet(&self, facet: &Facet, facets: &[Facet]) -> Vec<Condition> {
        let moved = self.0.iter().filter(|it| facets.iter().any(|facet| leaves_out(facet, it.group)));
        let kept = moved.filter_map(|it| {
            if leaves_out(facet, it.group) { it.wider.clone() } else { Some(it.condition.clone()) }
        });
        kept.collect()
    }
}

/// Tags are all needed, so a product with another tag instead would not be found: their facet keeps to them. Amounts of another
/// currency are compared with nothing, so the facet of currencies leaves out the bounds of prices too.
fn leaves_out(facet: &Facet, group: Group<'_>) -> bool {
    match facet {
        Facet::Category => group == Group::Category,
        Facet::Brand => group == Group::Brand,
        Facet::Status => group == Group::Status,
        Facet::Currency => matches!(group, Group::Currency | Group::Price),
        Facet::Price { .. } => group == Group::Price,
        Facet::Attribute { name } => group == Group::Attribute(name.as_str()),
        Facet::Tags | Facet::AttributeNames => false,
    }
}

/// None given: all but deleted.
pub(super) fn statuses(statuses: &[Status]) -> Condition {
    let names: Vec<&str> = if statuses.is_empty() {
        Status::ALL.iter().filter(|s| **s != Status::Deleted).map(|s| s.as_str()).collect()
    } else {
        statuses.iter().map(|s| s.as_str()).collect()
    };
    one_of(Field::Status, names)
}

fn one_of(field: Field, values: impl IntoIterator<Item = impl Into<String>>) -> Condition {
    Condition::OneOf { field, values: values.into_iter().map(Into::into).collect() }
}

/// Deleted products are counted only for those who ask for them.
fn other_statuses(asked: &[Status]) -> Condition {
    let all: &[Status] = if asked.contains(&Status::Deleted) { &Status::ALL } else { &[] };
    statuses(all)
}
