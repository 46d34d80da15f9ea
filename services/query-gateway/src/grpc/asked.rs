//! Requests as they come over gRPC, read into questions.
//!
//! Promises: every fault is told, all at once, by its field's name; a list that is too long is refused before its items are
//! looked at.

use std::fmt::Display;

use contract::proto::catalog::v1;
use edge::fields::{misspelt, one};
use edge::limits::Account;
use prost_types::{Duration, Timestamp as ProtoTimestamp};
use read_models::history::Past;
use read_models::search::{
    AttributeName, AttributeValue, Brand, Facet, Filters, SearchRequest, Sort, SuggestRequest, Tag,
    check_text, currency_needed,
};
use read_models::{CategoryPath, Currency, PageRequest, ProductId, Status, Version};
use tonic::Extensions;
use tonic::metadata::MetadataMap;

use super::service::caller;
use crate::ask::limits::{self, MAX_FACETS, MAX_IDS, MAX_PAGE_SIZE, MAX_VALUES};
use crate::ask::{ApiError, Faults, Moment, Named, Queries, Terms, facets};

/// The token as metadata.
const CONSISTENCY_TOKEN: &str = "consistency-token";
/// The most nanoseconds beside whole seconds.
const MAX_NANOS: i32 = 999_999_999;

/// What is wrong with a request, collected while it is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    faults: Faults,
}

impl Reading {
    fn fault(&mut self, field: &str, detail: impl Into<String>) {
        self.faults.add(field, detail);
    }

    /// Keeps what was read, or its error as the fault of `field`.
    fn check<T, E: Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        self.faults.check(field, read)
    }

    /// The value, if nothing was wrong; where it is none, a fault was told.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        self.faults.finish()?;
        value.ok_or_else(|| ApiError::malformed("", "a required field is missing"))
    }

    /// Every value of a list, read one by one; too many is a fault, and none of them is looked at.
    fn list<V, T, E: Display>(
        &mut self,
        field: &str,
        max: usize,
        values: &[V],
        read: impl Fn(&V) -> Result<T, E>,
    ) -> Vec<T> {
        if self.check(field, limits::count(values.len(), max)).is_none() {
            return Vec::new();
        }
        let values = values.iter().enumerate();
        values.filter_map(|(at, value)| self.check(&format!("{field}[{at}]"), read(value))).collect()
    }

    /// The same of texts, where a blank one is no value.
    fn texts<T, E: Display>(
        &mut self,
        field: &str,
        values: &[String],
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let read = |text: &String| if is_blank(text) { Ok(None) } else { read(text).map(Some) };
        self.list(field, MAX_VALUES, values, read).into_iter().flatten().collect()
    }

    pub(super) fn product_id(&mut self, field: &str, text: &str) -> Option<ProductId> {
        self.check(field, ProductId::parse(text))
    }

    pub(super) fn product_ids(&mut self, texts: &[String]) -> Option<Vec<ProductId>> {
        if texts.is_empty() || texts.len() > MAX_IDS {
            self.fault("product_ids", format!("names {} products: give 1 to {MAX_IDS}", texts.len()));
            return None;
        }
        let ids = texts.iter().enumerate();
        ids.map(|(at, text)| self.product_id(&format!("product_ids[{at}]"), text)).collect()
    }

    pub(super) fn category(&mut self, text: &str) -> Option<CategoryPath> {
        self.check("category", CategoryPath::parse(text))
    }

    /// The build that is asked; an empty text is none.
    pub(super) fn build(&mut self, text: Option<String>) -> Option<Named> {
        self.check("generation", given(text?)?.parse())
    }

    pub(super) fn past(&mut self, past: Option<v1::get_product_request::Past>) -> Option<Past> {
        match past? {
            v1::get_product_request::Past::Version(version) => {
                let version = self.check("version", limits::version(version))?;
                Some(Past::Version(Version(version)))
            }
            v1::get_product_request::Past::AsOf(ProtoTimestamp { seconds, nanos }) => {
                self.check("as_of", Moment::of_proto(seconds, nanos)).map(|moment| Past::Time(moment.0))
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
        let text = given(request.text).and_then(|text| self.check("text", check_text(&text)).map(|()| text));
        let filters = request.filters.unwrap_or_default();
        let has_currency = !is_blank(&filters.currency);
        let facet_size = Some(request.facet_size as usize).filter(|size| *size > 0);
        let asked = SearchRequest {
            text,
            filters: self.filters(filters),
            sort,
            facets: self.facets(&request.facets),
            facet_size: facet_size
                .and_then(|size| self.check("facet_size", limits::facet_size(size)))
                .unwrap_or_default(),
            page: page(request.page_size, request.page_token),
        };
        if let (Some(what), false) = (asked.compares_amounts(), has_currency) {
            self.fault("filters.currency", format!("is missing: {}", currency_needed(what)));
        }
        asked
    }

    pub(super) fn suggest(&mut self, prefix: String, size: u32, statuses: &[i32]) -> Option<SuggestRequest> {
        let statuses = self.list("statuses", MAX_VALUES, statuses, |number| status(*number));
        if is_blank(&prefix) {
            self.fault("prefix", "is missing: give the beginning of a name or SKU");
            return None;
        }
        self.check("prefix", check_text(&prefix)).map(|()| SuggestRequest { prefix, size, statuses })
    }

    pub(super) fn listed_statuses(&mut self, statuses: &[i32]) -> Vec<Status> {
        let listed = |number: &i32| status(*number).and_then(limits::listed_status);
        self.list("statuses", MAX_VALUES, statuses, listed)
    }

    fn filters(&mut self, filters: v1::Filters) -> Filters {
        let v1::Filters { category, brands, statuses, currency, price_min, price_max, attributes, tags } =
            filters;
        let attribute = |filter: &v1::AttributeFilter| {
            if is_blank(&filter.name) && is_blank(&filter.value) {
                return Ok(None);
            }
            let name = AttributeName::parse(&filter.name)?;
            if is_blank(&filter.value) {
                return Ok(None);
            }
            AttributeValue::parse(&filter.value).map(|value| Some((name, value)))
        };
        let (category, currency) = (given(category), given(currency));
        let mut price = |field: &str, price: Option<u64>| self.check(field, limits::price(price?));
        let price_min = price("filters.price_min", price_min);
        let price_max = price("filters.price_max", price_max);
        if let (Some(min), Some(max)) = (price_min, price_max)
            && min > max
        {
            self.fault("filters.price_min", format!("{min} is above price_max, {max}"));
        }
        Filters {
            category: category.and_then(|text| self.check("filters.category", CategoryPath::parse(&text))),
            brands: self.texts("filters.brands", &brands, Brand::parse),
            statuses: self.list("filters.statuses", MAX_VALUES, &statuses, |number| status(*number)),
            currency: currency.and_then(|text| self.check("filters.currency", Currency::parse(&text))),
            price_min,
            price_max,
            attributes: self
                .list("filters.attributes", MAX_VALUES, &attributes, attribute)
                .into_iter()
                .flatten()
                .collect(),
            tags: self.texts("filters.tags", &tags, Tag::parse),
        }
    }

    fn facets(&mut self, asked: &[v1::Facet]) -> Vec<Facet> {
        let facet = |asked: &v1::Facet| {
            if is_blank(&asked.field) {
                return Ok(None);
            }
            facets::facet(&asked.field, &asked.price_bounds).map(Some)
        };
        let mut found: Vec<Facet> = Vec::new();
        for facet in self.list("facets", MAX_FACETS, asked, facet).into_iter().flatten() {
            if !found.contains(&facet) {
                found.push(facet);
            }
        }
        found
    }
}

fn status(number: i32) -> Result<Status, String> {
    let status = contract::proto::status_from(number);
    status.ok_or_else(|| format!("{number} is not one of the enum's numbers"))
}

pub(super) fn page(size: u32, token: String) -> PageRequest {
    PageRequest::new(size.min(MAX_PAGE_SIZE), given(token))
}

/// A blank text is an absent one, as over HTTP: protobuf does not tell them apart.
fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !is_blank(text))
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Metadata that is read, or that clients send with all their calls and that asks nothing of a reading.
const READ: [&str; 4] = [CONSISTENCY_TOKEN, "x-folio-actor", "folio-actor", "idempotency-key"];
/// What other metadata means: passed over, it would give another answer than was asked for.
const MEANINGS: [(&str, &str); 10] = [
    ("generation", "name the build as the request's generation"),
    ("prefer", "give the time to wait as freshness.wait"),
    ("if-match", "compare the version that is answered"),
    ("if-none-match", "compare the version that is answered"),
    ("if-modified-since", "compare the updated_at that is answered"),
    ("if-unmodified-since", "compare the updated_at that is answered"),
    ("expected-version", "compare the version that is answered"),
    (CONSISTENCY_TOKEN, "write consistency-token, or give freshness.consistency_token"),
    ("actor", "write x-folio-actor, or leave it out"),
    ("idempotency-key", "a question needs none, leave it out"),
];

/// Reads how fresh the answer must be: a field of the request. The token may stand in the metadata instead, under the name that
/// it has over HTTP, where interceptors can put it. The build was read with the other fields.
pub(super) fn terms(
    questions: &Queries,
    (metadata, extensions): (&MetadataMap, &Extensions),
    asked: Option<v1::Freshness>,
    build: Option<Named>,
) -> Result<Terms, ApiError> {
    if let Some((name, advice)) = misspelt(metadata, &READ, &MEANINGS) {
        return Err(ApiError::metadata(name, format!("means nothing as metadata: {advice}")));
    }
    let sent = token(metadata)?;
    let mut reading = Reading::default();
    let asked = asked.unwrap_or_default();
    let wait = asked.wait.map(|Duration { seconds, nanos }| {
        let nanos = Some(nanos).filter(|nanos| (0..=MAX_NANOS).contains(nanos))?;
        Some(std::time::Duration::new(u64::try_from(seconds).ok()?, nanos as u32))
    });
    if wait == Some(None) {
        let detail = format!("must be 0 seconds or more, with 0 to {MAX_NANOS} nanoseconds, or left out");
        reading.fault("freshness.wait", detail);
    }
    let field = given(asked.consistency_token);
    reading.finish(Some(()))?;
    if let (Some(sent), Some(field)) = (sent, &field)
        && sent != field
    {
        let detail = "differs from freshness.consistency_token: give one of them";
        return Err(ApiError::metadata(CONSISTENCY_TOKEN, detail));
    }
    let freshness = questions.freshness(sent.or(field.as_deref()), wait.flatten());
    match freshness {
        Ok(freshness) => {
            if let Some(token) = &freshness.token {
                // Whether what it waits for is there would tell of another's product.
                caller(extensions)?.allow_product(token.product.as_str())?;
            }
            let account = extensions.get::<Account>().cloned().unwrap_or_default();
            Ok(Terms { build, freshness, account })
        }
        Err(ApiError::BadConsistencyToken(detail)) if sent.is_some() => {
            Err(ApiError::BadTokenInMetadata(detail))
        }
        Err(other) => Err(other),
    }
}

/// The token that the metadata holds.
fn token(metadata: &MetadataMap) -> Result<Option<&str>, ApiError> {
    let token = one(metadata, CONSISTENCY_TOKEN).map_err(|why| ApiError::metadata(CONSISTENCY_TOKEN, why))?;
    Ok(token.filter(|text| !is_blank(text)))
}
