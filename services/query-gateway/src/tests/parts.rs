use std::collections::BTreeMap;
use std::future::ready;

use domain::{Attributes, Brand, Description, Money, Name, Product, Sku, Tags};
use futures::FutureExt;
use read_models::marks::Marks;
use read_models::model::Position;
use read_models::products::{CategoryItem, CategoryKey, Queries, Rows};
use read_models::{Answer, CategoryPath, Generation, ProductId, Status, StoredProduct, Version};

use super::parked::MarksInMemory;
use super::*;

/// Products by id, in no list.
#[derive(Debug)]
struct InMemory(BTreeMap<ProductId, StoredProduct>, MarksInMemory);

pub(super) fn answer<'a, T: Send + 'a>(answer: T) -> Answer<'a, T> {
    ready(Ok(answer)).boxed()
}

impl Rows for InMemory {
    fn by_id<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>> {
        answer(self.0.get(id).cloned())
    }

    fn several<'a>(&'a self, ids: &'a [ProductId]) -> Answer<'a, Vec<Option<StoredProduct>>> {
        answer(ids.iter().map(|id| self.0.get(id).cloned()).collect())
    }

    fn in_bucket<'a>(
        &'a self,
        _category: &'a CategoryPath,
        _bucket: u8,
        _after: Option<&'a ProductId>,
        _limit: usize,
    ) -> Answer<'a, Vec<CategoryItem>> {
        answer(Vec::new())
    }

    fn listed<'a>(&'a self, _key: &'a CategoryKey) -> Answer<'a, Option<Version>> {
        answer(None)
    }

    fn position<'a>(&'a self, _group: &'a str, _partition: i32) -> Answer<'a, Position> {
        answer(Position::default())
    }

    fn marks(&self) -> &dyn Marks {
        &self.1
    }
}

pub(super) fn stored(id: &str, status: Status) -> (ProductId, StoredProduct) {
    let id = ProductId::parse(id).unwrap();
    let product = Product {
        id: id.clone(),
        sku: Sku::parse("S").unwrap(),
        name: Name::parse("n").unwrap(),
        description: Description::parse("").unwrap(),
        category: CategoryPath::parse("c").unwrap(),
        brand: Brand::parse("b").unwrap(),
        price: Money::new(1, "EUR").unwrap(),
        attributes: Attributes::default(),
        tags: Tags::default(),
        status,
        deleted_from: (status == Status::Deleted).then_some(Status::Listed),
        version: Version(7),
    };
    (id, StoredProduct { product, event_id: uuid::Uuid::nil(), updated_at: jiff::Timestamp::UNIX_EPOCH })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_stands_on_any_parts() {
    let mut config = Config::default();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.listen.http, config.listen.grpc, config.listen.ops) = (free, free, free);
    config.telemetry.level = "off".to_owned();
    config.auth.allow_anonymous = true;
    let rows = [stored("here", Status::Listed), stored("gone", Status::Deleted)].into();
    let parts = InMemory(rows, MarksInMemory::default());
    let stores = Stores::new(&config);
    stores.products.opened(Generation::FIRST, Queries::new(parts));
    let gateway = Application::build_on(&config, stores).await.unwrap();
    let Addresses { http, ops, .. } = gateway.addresses;
    // Whoever brings the parts says what is needed of them, and when it is there.
    gateway.process.lifecycle.readiness().dependency("parts").up();
    let stop = CancellationToken::new();
    let running = tokio::spawn(gateway.process.run_until_stopped(stop.clone()));
    assert_eq!(get(ops, "/readyz").await.0, 200);
    for (path, status) in [
        ("/v1/products/here", 200),
        ("/v1/products/gone", 410),
        ("/v1/products/nowhere", 404),
        ("/v1/products?category=c", 200),
        ("/v1/search?q=anything", 503),
    ] {
        let answered = get(http, path).await;
        assert_eq!(answered.0, status, "{path}: {}", answered.1);
    }
    let found: Value = serde_json::from_str(&get(http, "/v1/products/here").await.1).unwrap();
    assert_eq!(found["version"], 7);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap().unwrap();
}
