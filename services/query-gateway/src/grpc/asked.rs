//! Requests as they come over gRPC, read into questions. Every fault is told, all at once, by its field's name.

use std::fmt::Display;

use contract::proto::catalog::v1;
use jiff::Timestamp;
use prost_types::{Duration, Timestamp as ProtoTimestamp};
use read_models::history::Past;
use read_models::search::{Facet, Filters, SearchRequest, Sort};
use read_models::{CategoryPath, Currency, PageRequest, ProductId, Version};

use crate::ask::{AskError, Fault, Freshness, MOST_IDS, MOST_ITEMS, Questions, facets};

/// What is wrong with a request, collected while it is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    faults: Vec<Fault>,
}

impl Reading {
    fn fault(&mut self, field: &str, detail: impl Into<String>) {
        self.faults.push(Fault::new(field, detail));
    }

    /// Keeps what was read, or its error as the fault of `field`.
    fn check<T, E: Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.fault(field, error.to_string())).ok()
    }

    /// The value, if nothing was wrong; where it is none, a fault was told.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, AskError> {
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(AskError::Malformed(self.faults)),
        }
    }

    pub(super) fn product_id(&mut self, field: &str, text: &str) -> Option<ProductId> {
        self.check(field, ProductId::parse(text))
    }

    pub(super) fn product_ids(&mut self, texts: &[String]) -> Option<Vec<ProductId>> {
        if texts.is_empty() || texts.len() > MOST_IDS {
            self.fault("product_ids", format!("names {} products: give 1 to {MOST_IDS}", texts.len()));
            return None;
        }
        let ids = texts.iter().enumerate();
        ids.map(|(at, text)| self.product_id(&format!("product_ids[{at}]"), text)).collect()
    }

    pub(super) fn category(&mut self, text: &str) -> Option<CategoryPath> {
        self.check("category", CategoryPath::parse(text))
    }

    pub(super) fn past(&mut self, past: Option<v1::get_product_request::Past>) -> Option<Past> {
        match past? {
            v1::get_product_request::Past::Version(0) => {
                self.fault("version", "0 is before the first: versions begin at 1");
                None
            }
            v1::get_product_request::Past::Version(version) => Some(Past::Version(Version(version))),
            v1::get_product_request::Past::AsOf(ProtoTimestamp { seconds, nanos }) => {
                self.check("as_of", Timestamp::new(seconds, nanos)).map(Past::Time)
            }
        }
    }

    pub(super) fn search(&mut self, request: v1::SearchRequest) -> SearchRequest {
        let sort = match request.sort() {
            v1::Sort::Unspecified | v1::Sort::Relevance => Sort::Relevance,
            v1::Sort::PriceAscending => Sort::PriceAscending,
            v1::Sort::PriceDescending => Sort::PriceDescending,
            v1::Sort::NameAscending => Sort::NameAscending,
            v1::Sort::Newest => Sort::Newest,
        };
        if v1::Sort::try_from(request.sort).is_err() {
            self.fault("sort", format!("{} is not one of the enum's numbers", request.sort));
        }
        SearchRequest {
            text: Some(request.text).filter(|text| !text.trim().is_empty()),
            filters: self.filters(request.filters.unwrap_or_default()),
            sort,
            facets: self.facets(request.facets),
            page: page(request.page_size, request.page_token),
        }
    }

    fn filters(&mut self, filters: v1::Filters) -> Filters {
        let mut statuses = Vec::new();
        for number in filters.statuses {
            match contract::proto::status_from(number) {
                Some(status) => statuses.push(status),
                None => self.fault("filters.statuses", format!("{number} is not one of the enum's numbers")),
            }
        }
        let category = Some(filters.category).filter(|text| !text.is_empty());
        let currency = Some(filters.currency).filter(|text| !text.is_empty());
        Filters {
            category: category.and_then(|text| self.check("filters.category", CategoryPath::parse(&text))),
            brands: filters.brands,
            statuses,
            currency: currency.and_then(|text| self.check("filters.currency", Currency::parse(&text))),
            price_min: filters.price_min,
            price_max: filters.price_max,
            attributes: filters.attributes.into_iter().map(|filter| (filter.name, filter.value)).collect(),
            tags: filters.tags,
        }
    }

    fn facets(&mut self, asked: Vec<v1::Facet>) -> Vec<Facet> {
        if asked.len() > facets::MOST {
            self.fault("facets", format!("names {} facets: give at most {}", asked.len(), facets::MOST));
        }
        let asked = asked.into_iter().enumerate().take(facets::MOST);
        asked
            .filter_map(|(at, asked)| {
                self.check(&format!("facets[{at}]"), facets::facet(&asked.field, &asked.price_bounds))
            })
            .collect()
    }
}

pub(super) fn page(size: u32, token: String) -> PageRequest {
    PageRequest::new(size.min(MOST_ITEMS), Some(token).filter(|token| !token.is_empty()))
}

pub(super) fn freshness(questions: &Questions, asked: Option<v1::Freshness>) -> Result<Freshness, AskError> {
    let asked = asked.unwrap_or_default();
    let wait = asked.wait.map(|Duration { seconds, nanos }| {
        let (seconds, nanos) = (u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
        Some(std::time::Duration::new(seconds, nanos))
    });
    let Some(wait) = wait.map_or(Some(None), |wait| wait.map(Some)) else {
        return Err(AskError::malformed("freshness.wait", "is negative: leave it out, or give 0 or more"));
    };
    questions.freshness(Some(asked.consistency_token.as_str()).filter(|token| !token.is_empty()), wait)
}
