//! What answers look like in JSON.

use contract::json::{EventData, MoneyView, ProductView, schemas};
use read_models::marks::Mark;
use read_models::products::CategoryItem;
use read_models::search::{Bucket, FacetCounts, Hit, Matched, SearchResponse, Suggestion};
use read_models::{Page, ProductId, StoredProduct};
use serde::Serialize;
use serde_json::Value;
use toolkit::dead_letters::Kind;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use uuid::Uuid;

use crate::ask::{Batch, Found, Listed, NamedEntry, Read, since};

/// A product, with the event that made it so.
#[derive(Serialize, ToSchema)]
#[schema(as = StoredProduct)]
pub(super) struct StoredView {
    #[serde(flatten)]
    product: ProductView,
    /// The event that gave the product this version.
    event_id: Uuid,
    /// When that event was appended, by the broker's clock.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&StoredProduct> for StoredView {
    fn from(stored: &StoredProduct) -> Self {
        Self {
            product: ProductView::from(&stored.product),
            event_id: stored.event_id,
            updated_at: stored.updated_at.to_string(),
        }
    }
}

/// Says that later events of a product could not be applied, and are parked.
#[derive(Serialize, ToSchema)]
#[schema(as = Stale)]
pub(super) struct StaleView {
    /// When the first of them failed first.
    #[schema(format = DateTime)]
    since: String,
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// They were given up: the product stays as it is until somebody takes that back.
    is_discarded: bool,
}

fn kinds() -> Object {
    schemas::one_of(Kind::ALL.map(Kind::name), "Why that one could not be applied (docs/operating.md).")
}

impl From<Mark> for StaleView {
    fn from(mark: Mark) -> Self {
        Self { since: since(&mark).to_string(), kind: mark.kind.name(), is_discarded: mark.is_discarded }
    }
}

/// A product that was asked for by its id.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadProduct)]
pub(super) struct ReadView {
    #[serde(flatten)]
    found: StoredView,
    /// Only if later events of it are parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stale: Option<StaleView>,
}

impl ReadView {
    pub(super) fn new(found: &StoredProduct, stale: Option<Mark>) -> Self {
        Self { found: StoredView::from(found), stale: stale.map(StaleView::from) }
    }
}

/// How many products are parked, if any are; and whether that is not known.
fn parked(count: Option<u64>) -> (Option<u64>, Option<bool>) {
    (count.filter(|count| *count > 0), count.is_none().then_some(true))
}

/// Several products.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Products)]
pub(super) struct BatchView {
    items: Vec<ReadView>,
    /// Those that were deleted.
    gone: Vec<String>,
    /// Those that never were.
    missing: Vec<String>,
    /// Those of which it is not known whether there is a product: it was deleted or is not there, and later events of it are parked.
    unknown: Vec<String>,
    /// Those that the answer had no room for: ask for them again.
    remaining: Vec<String>,
    /// How many products are parked in the build that answered; not there if none is, and 1000 if that many or more are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parked: Option<u64>,
    /// Only there, and true, if it cannot be told now how many are parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parked_unknown: Option<bool>,
}

impl From<Listed<Batch>> for BatchView {
    fn from(Listed { found: batch, parked: count }: Listed<Batch>) -> Self {
        let remaining = batch.remaining.iter().map(ProductId::to_string).collect();
        let (parked, parked_unknown) = parked(count);
        let mut view = Self { remaining, parked, parked_unknown, ..Self::default() };
        for each in batch.each() {
            match each {
                (Found::Here(found), stale) => view.items.push(ReadView::new(&found, stale)),
                (Found::Gone(id) | Found::Missing(id), Some(_)) => view.unknown.push(id.to_string()),
                (Found::Gone(id), None) => view.gone.push(id.to_string()),
                (Found::Missing(id), None) => view.missing.push(id.to_string()),
            }
        }
        view
    }
}

/// One event of a product.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
pub(super) struct EntryView<'a> {
    /// The version the event gave the product.
    version: u64,
    event_id: Uuid,
    /// What happened.
    #[schema(example = "PriceChanged")]
    event_type: &'a str,
    #[schema(value_type = EventData)]
    event: &'a Value,
    /// Who did it. A pseudonym, `person:<uuid>`, where `actor_erased` is true.
    #[schema(required)]
    actor: Option<&'a str>,
    /// Only of a person who was erased, and then true: the name is nowhere any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    actor_erased: bool,
    /// The front end that gave the command on behalf of the actor, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[schema(required)]
    command_id: Option<Uuid>,
    /// What the client calls the work it belongs to.
    #[schema(required)]
    correlation_id: Option<&'a str>,
    partition: i32,
    offset: i64,
    /// The broker's append time.
    #[schema(format = DateTime)]
    appended_at: String,
    /// The writer's clock; information only.
    #[schema(required, format = DateTime)]
    occurred_at: Option<String>,
}

impl<'a> From<&'a NamedEntry> for EntryView<'a> {
    fn from(NamedEntry { entry, actor_erased }: &'a NamedEntry) -> Self {
        Self {
            version: entry.version.get(),
            event_id: entry.event_id,
            event_type: &entry.event_type,
            event: &entry.event,
            actor: entry.actor.as_deref(),
            actor_erased: *actor_erased,
            principal: entry.principal.as_deref(),
            command_id: entry.command_id,
            correlation_id: entry.correlation_id.as_deref(),
            partition: entry.partition,
            offset: entry.offset,
            appended_at: entry.appended_at.to_string(),
            occurred_at: entry.occurred_at.map(|time| time.to_string()),
        }
    }
}

/// A page of a product's history.
#[derive(Serialize, ToSchema)]
#[schema(as = History)]
pub(super) struct HistoryView<'a> {
    product_id: &'a str,
    items: Vec<EntryView<'a>>,
    /// Null after the last page.
    #[schema(required)]
    next_page_token: Option<&'a str>,
    /// Only if later events of it are parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stale: Option<StaleView>,
}

impl<'a> HistoryView<'a> {
    pub(super) fn new(product: &'a ProductId, read: &'a Read<Page<NamedEntry>>) -> Self {
        let Read { found: page, stale } = read;
        let items = page.items.iter().map(EntryView::from).collect();
        let (product_id, stale) = (product.as_str(), stale.map(StaleView::from));
        Self { product_id, items, next_page_token: page.next.as_deref(), stale }
    }
}

/// A product as a category's list shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = CategoryItem)]
pub(super) struct ItemView<'a> {
    product_id: &'a str,
    sku: &'a str,
    name: &'a str,
    brand: &'a str,
    price: MoneyView,
    #[schema(schema_with = schemas::status)]
    status: &'a str,
    version: u64,
    /// When its last event was appended, by the broker's clock.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl<'a> From<&'a CategoryItem> for ItemView<'a> {
    fn from(item: &'a CategoryItem) -> Self {
        Self {
            product_id: item.product_id.as_str(),
            sku: item.sku.as_str(),
            name: item.name.as_str(),
            brand: item.brand.as_str(),
            price: MoneyView(item.price),
            status: item.status.as_str(),
            version: item.version.get(),
            updated_at: item.updated_at.to_string(),
        }
    }
}

/// A page of a category: it may have fewer items than asked for, and yet a next one.
#[derive(Serialize, ToSchema)]
#[schema(as = Category)]
pub(super) struct CategoryView<'a> {
    items: Vec<ItemView<'a>>,
    /// Null after the last page.
    #[schema(required)]
    next_page_token: Option<&'a str>,
    /// How many products are parked in the build that answered; not there if none is, and 1000 if that many or more are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parked: Option<u64>,
    /// Only there, and true, if it cannot be told now how many are parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parked_unknown: Option<bool>,
}

impl<'a> From<&'a Listed<Page<CategoryItem>>> for CategoryView<'a> {
    fn from(Listed { found: page, parked: count }: &'a Listed<Page<CategoryItem>>) -> Self {
        let items = page.items.iter().map(ItemView::from).collect();
        let (parked, parked_unknown) = parked(*count);
        Self { items, next_page_token: page.next.as_deref(), parked, parked_unknown }
    }
}

/// A product that was found.
#[derive(Serialize, ToSchema)]
#[schema(as = Hit)]
pub(super) struct HitView {
    #[serde(flatten)]
    found: StoredView,
    /// Its relevance; not there if sorted by something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    score: Option<f64>,
}

/// The values of one facet that count most, and those that are filtered by.
#[derive(Serialize, ToSchema)]
#[schema(as = FacetCounts)]
pub(super) struct FacetView<'a> {
    #[schema(example = "attr.color")]
    facet: String,
    buckets: Vec<BucketView<'a>>,
    /// Values that are not shown; null: not counted, because there are more than 1,000 in all or they are too long.
    #[schema(required)]
    other_values: Option<u64>,
    /// The products that have those; one that has several counts as often.
    other_count: u64,
}

/// A value, or a range of prices.
#[derive(Serialize, ToSchema)]
#[schema(as = Bucket)]
pub(super) struct BucketView<'a> {
    value: &'a str,
    count: u64,
    /// Of a price range: inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from: Option<u64>,
    /// Of a price range: exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    to: Option<u64>,
}

impl<'a> From<&'a FacetCounts> for FacetView<'a> {
    fn from(counts: &'a FacetCounts) -> Self {
        let bucket = |Bucket { value, count, from, to }: &'a Bucket| BucketView {
            value,
            count: *count,
            from: *from,
            to: *to,
        };
        Self {
            facet: facet_name(&counts.facet),
            buckets: counts.buckets.iter().map(bucket).collect(),
            other_values: counts.other_values,
            other_count: counts.other_count,
        }
    }
}

/// As callers ask for it: `attributes.color` of the read model is `attr.color` here.
fn facet_name(name: &str) -> String {
    match name.strip_prefix("attributes") {
        Some(rest) => format!("attr{rest}"),
        None => name.to_owned(),
    }
}

/// A page of what was found.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchResults)]
pub(super) struct SearchView<'a> {
    /// How many products match in all.
    total: u64,
    #[schema(schema_with = matched)]
    matched: &'static str,
    items: Vec<HitView>,
    /// In the order asked for.
    facets: Vec<FacetView<'a>>,
    /// Null after the last page.
    #[schema(required)]
    next_page_token: Option<&'a str>,
    /// How many products are parked in the build that answered; not there if none is, and 1000 if that many or more are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parked: Option<u64>,
    /// Only there, and true, if it cannot be told now how many are parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parked_unknown: Option<bool>,
}

fn matched() -> Object {
    let says = "`similar`: a word that no product has was taken for one that is written nearly so.";
    schemas::one_of([Matched::Exact, Matched::Similar].map(Matched::as_str), says)
}

impl<'a> From<&'a Listed<SearchResponse>> for SearchView<'a> {
    fn from(Listed { found, parked: count }: &'a Listed<SearchResponse>) -> Self {
        let (parked, parked_unknown) = parked(*count);
        let hit = |hit: &Hit| HitView { found: StoredView::from(&hit.found), score: hit.score };
        Self {
            total: found.total,
            matched: found.matched.as_str(),
            items: found.hits.iter().map(hit).collect(),
            facets: found.facets.iter().map(FacetView::from).collect(),
            next_page_token: found.next.as_deref(),
            parked,
            parked_unknown,
        }
    }
}

/// A completion.
#[derive(Serialize, ToSchema)]
#[schema(as = Suggestion)]
pub(super) struct SuggestionView<'a> {
    product_id: &'a str,
    sku: &'a str,
    name: &'a str,
    category: &'a str,
    #[schema(schema_with = schemas::status)]
    status: &'a str,
}

/// Completions of what someone is typing.
#[derive(Serialize, ToSchema)]
#[schema(as = Suggestions)]
pub(super) struct SuggestionsView<'a> {
    items: Vec<SuggestionView<'a>>,
    /// How many products are parked in the build that answered; not there if none is, and 1000 if that many or more are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parked: Option<u64>,
    /// Only there, and true, if it cannot be told now how many are parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parked_unknown: Option<bool>,
}

impl<'a> From<&'a Listed<Vec<Suggestion>>> for SuggestionsView<'a> {
    fn from(Listed { found, parked: count }: &'a Listed<Vec<Suggestion>>) -> Self {
        let item = |it: &'a Suggestion| SuggestionView {
            product_id: it.product_id.as_str(),
            sku: &it.sku,
            name: &it.name,
            category: it.category.as_str(),
            status: it.status.as_str(),
        };
        let (parked, parked_unknown) = parked(*count);
        Self { items: found.iter().map(item).collect(), parked, parked_unknown }
    }
}
