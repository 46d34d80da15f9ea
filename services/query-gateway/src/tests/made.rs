//! Builds of read models in memory, which come and go as a test says. In build N every product has version N, and partitions
//! are applied below 100 * N.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::history::HistoryEntry;
use read_models::marks::{Mark, Marking, Marks};
use read_models::model::Position;
use read_models::products::{CategoryItem, CategoryKey};
use read_models::publication::Published;
use read_models::search::{
    Cursor, Find, Found, Hit, SearchRequest, Similar, SuggestRequest, Suggestion, Text,
};
use read_models::{
    Answer, Answered, CategoryPath, Error, Generation, ProductId, QueryError, ReadModel, Status,
    StoredProduct, Version, history, products, search,
};
use serde_json::json;
use toolkit::retry::{GaveUp, Retry};

use super::parked::MarksInMemory;
use super::parts::{answer, stored};

/// Which builds there are, of every read model alike, and what was asked of where they are told.
#[derive(Debug)]
pub(crate) struct Made {
    there: Mutex<BTreeSet<u32>>,
    names: Mutex<BTreeMap<String, u32>>,
    read: Mutex<u32>,
    /// Whether the store answers.
    is_up: Mutex<bool>,
    opening: Duration,
    pub(crate) opened: AtomicUsize,
    pub(crate) looked_up: AtomicUsize,
    /// Whose positions were looked at.
    pub(crate) groups: Mutex<BTreeSet<String>>,
    /// What is parked.
    pub(crate) marks: MarksInMemory,
}

/// The one product that is in no build.
pub(crate) const NONE: &str = "none";

pub(crate) fn generation(number: u32) -> Generation {
    Generation::try_from(number).unwrap()
}

impl Made {
    /// These; 1 is read.
    pub(crate) fn of(builds: impl IntoIterator<Item = u32>) -> Arc<Self> {
        Self::opening_in(Duration::from_millis(5), builds)
    }

    /// These, each of which takes so long to open, and to look up by its name.
    pub(crate) fn opening_in(opening: Duration, builds: impl IntoIterator<Item = u32>) -> Arc<Self> {
        Arc::new(Self {
            there: Mutex::new(builds.into_iter().collect()),
            names: Mutex::default(),
            read: Mutex::new(1),
            is_up: Mutex::new(true),
            opening,
            opened: AtomicUsize::new(0),
            looked_up: AtomicUsize::new(0),
            groups: Mutex::default(),
            marks: MarksInMemory::default(),
        })
    }

    pub(crate) fn publish(&self, build: u32) {
        *self.read.lock().unwrap() = build;
    }

    pub(crate) fn name(&self, name: &str, build: u32) {
        self.names.lock().unwrap().insert(name.to_owned(), build);
    }

    pub(crate) fn drop_build(&self, build: u32) {
        self.there.lock().unwrap().remove(&build);
    }

    pub(crate) fn up(&self, is_up: bool) {
        *self.is_up.lock().unwrap() = is_up;
    }

    /// As a store fails: whether a table is missing or the server is away, a question is not told.
    fn check(&self, build: u32) -> Result<(), Error> {
        if !*self.is_up.lock().unwrap() {
            return Err(Error::Unavailable("it is away".to_owned()));
        }
        let is_there = self.there.lock().unwrap().contains(&build);
        if is_there { Ok(()) } else { Err(Error::NoBuild(format!("build {build}"))) }
    }

    fn opens<Q: 'static>(
        self: &Arc<Self>,
        queries: impl Fn(InBuild) -> Q + Clone + Send + Sync + 'static,
    ) -> impl Fn(Generation) -> BoxFuture<'static, Result<Q, Error>> + Send + Sync + 'static {
        let made = Arc::clone(self);
        move |generation| {
            let (made, queries, build) = (Arc::clone(&made), queries.clone(), generation.get());
            async move {
                made.opened.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(made.opening).await;
                made.check(build)?;
                Ok(queries(InBuild { made, build }))
            }
            .boxed()
        }
    }

    pub(crate) fn products(
        self: &Arc<Self>,
    ) -> impl Fn(Generation) -> BoxFuture<'static, Result<products::Queries, Error>> + Send + Sync + 'static
    {
        self.opens(products::Queries::new)
    }

    pub(crate) fn history(
        self: &Arc<Self>,
    ) -> impl Fn(Generation) -> BoxFuture<'static, Result<history::Queries, Error>> + Send + Sync + 'static
    {
        self.opens(history::Queries::new)
    }

    pub(crate) fn search(
        self: &Arc<Self>,
    ) -> impl Fn(Generation) -> BoxFuture<'static, Result<search::Queries, Error>> + Send + Sync + 'static
    {
        self.opens(search::Queries::new)
    }
}

impl Published for Made {
    fn read(&self) -> Answered<'_, Generation> {
        let read = *self.read.lock().unwrap();
        std::future::ready(Ok(generation(read))).boxed()
    }

    fn named<'a>(&'a self, name: &'a str) -> Answered<'a, Option<Generation>> {
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        let named = self.names.lock().unwrap().get(name).copied();
        async move {
            tokio::time::sleep(self.opening).await;
            Ok(named.map(generation))
        }
        .boxed()
    }
}

/// What one build has.
#[derive(Debug)]
struct InBuild {
    made: Arc<Made>,
    build: u32,
}

impl InBuild {
    /// What this build has, as long as it is there.
    fn tell<'a, T: Send + 'a>(&'a self, told: impl FnOnce(u32) -> T) -> Answer<'a, T> {
        match self.made.check(self.build) {
            Ok(()) => answer(told(self.build)),
            Err(error) => std::future::ready(Err(QueryError::from(error))).boxed(),
        }
    }

    fn product(&self, id: &str) -> StoredProduct {
        product(id, self.build)
    }

    fn position_of<'a>(&'a self, group: &str) -> Answer<'a, Position> {
        self.made.groups.lock().unwrap().insert(group.to_owned());
        self.tell(|build| Position { applied: i64::from(build) * 100, ..Position::default() })
    }
}

/// As long as the build is there.
impl Marks for InBuild {
    fn write<'a>(
        &'a self,
        group: &'a str,
        partition: i32,
        marks: &'a Marking,
        retry: &'a Retry,
    ) -> BoxFuture<'a, Result<(), GaveUp<Error>>> {
        self.made.marks.write(group, partition, marks, retry)
    }

    fn of_partition<'a>(&'a self, group: &'a str, partition: i32) -> Answered<'a, BTreeMap<String, Mark>> {
        self.made.marks.of_partition(group, partition)
    }

    fn of_products<'a>(&'a self, group: &'a str, ids: &'a [ProductId]) -> Answered<'a, Vec<Option<Mark>>> {
        match self.made.check(self.build) {
            Ok(()) => self.made.marks.of_products(group, ids),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn count<'a>(&'a self, group: &'a str) -> Answered<'a, u64> {
        match self.made.check(self.build) {
            Ok(()) => self.made.marks.count(group),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }
}

impl products::Rows for InBuild {
    /// All but `none`.
    fn by_id<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>> {
        self.tell(|_| (id.as_str() != NONE).then(|| self.product(id.as_str())))
    }

    fn several<'a>(&'a self, ids: &'a [ProductId]) -> Answer<'a, Vec<Option<StoredProduct>>> {
        let product = |id: &ProductId| (id.as_str() != NONE).then(|| self.product(id.as_str()));
        self.tell(|_| ids.iter().map(product).collect())
    }

    /// `a` and `b`, in the first one.
    fn in_bucket<'a>(
        &'a self,
        _category: &'a CategoryPath,
        bucket: u8,
        after: Option<&'a ProductId>,
        limit: usize,
    ) -> Answer<'a, Vec<CategoryItem>> {
        let item = |id: &&str| {
            let StoredProduct { product, event_id, updated_at } = self.product(id);
            CategoryItem {
                product_id: product.id,
                sku: product.sku,
                name: product.name,
                brand: product.brand,
                price: product.price,
                status: product.status,
                version: product.version,
                event_id,
                updated_at,
            }
        };
        self.tell(|_| {
            let behind = ["a", "b"].iter().filter(|id| after.is_none_or(|after| **id > after.as_str()));
            behind.filter(|_| bucket == 0).take(limit).map(item).collect()
        })
    }

    fn listed<'a>(&'a self, _key: &'a CategoryKey) -> Answer<'a, Option<Version>> {
        self.tell(|build| Some(Version(u64::from(build))))
    }

    fn position<'a>(&'a self, group: &'a str, _partition: i32) -> Answer<'a, Position> {
        self.position_of(group)
    }

    fn marks(&self) -> &dyn Marks {
        self
    }
}

impl history::Rows for InBuild {
    fn head<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<read_models::model::Head>> {
        self.tell(|build| {
            let (version, event_id) = (Version(u64::from(build)), uuid::Uuid::nil());
            (id.as_str() != NONE).then_some(read_models::model::Head { version, event_id })
        })
    }

    /// One event for each version.
    fn entries<'a>(
        &'a self,
        id: &'a ProductId,
        order: history::Order,
        after: Option<Version>,
        limit: usize,
    ) -> Answer<'a, Vec<history::Row>> {
        let row = |version: u64| history::Row {
            version: Version(version),
            head: Some(Version(u64::from(self.build))),
            bytes: 1,
            entry: Ok(HistoryEntry {
                version: Version(version),
                event_id: uuid::Uuid::nil(),
                event_type: "PriceChanged".to_owned(),
                event: json!({"price": {"minor_units": 1, "currency": "EUR"}}),
                actor: None,
                principal: None,
                command_id: None,
                correlation_id: None,
                partition: 0,
                offset: 0,
                appended_at: jiff::Timestamp::UNIX_EPOCH,
                occurred_at: None,
            }),
        };
        self.tell(|build| {
            let after = after.map(Version::get);
            let last = if id.as_str() == NONE { 0 } else { u64::from(build) };
            let mut versions: Vec<u64> = (1..=last).collect();
            if order == history::Order::NewestFirst {
                versions.reverse();
                versions.retain(|version| after.is_none_or(|after| *version < after));
            } else {
                versions.retain(|version| after.is_none_or(|after| *version > after));
            }
            versions.into_iter().take(limit).map(row).collect()
        })
    }

    fn position<'a>(&'a self, group: &'a str, _partition: i32) -> Answer<'a, Position> {
        self.position_of(group)
    }

    fn marks(&self) -> &dyn Marks {
        self
    }
}

impl search::Index for InBuild {
    /// `a` and `b`, which score more in a later build.
    fn find<'a>(&'a self, find: Find<'a>) -> Answer<'a, Found> {
        let hit = |id: &str| {
            let score = f64::from(self.build);
            let hit = Hit { found: self.product(id), score: Some(score) };
            (hit, Cursor::Score(score, id.to_owned()))
        };
        let size = find.request.page.effective_size();
        self.tell(|_| {
            let id = if find.behind.is_none() { "a" } else { "b" };
            Found { total: 2, hits: vec![hit(id)], more: size == 1 && id == "a", facets: Vec::new() }
        })
    }

    fn unknown<'a>(&'a self, _request: &'a SearchRequest, _text: &'a Text<'a>) -> Answer<'a, Similar> {
        self.tell(|_| Similar::default())
    }

    fn suggest<'a>(
        &'a self,
        _request: &'a SuggestRequest,
        _text: &'a Text<'a>,
    ) -> Answer<'a, Vec<Suggestion>> {
        self.tell(|_| Vec::new())
    }

    fn product<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>> {
        self.tell(|_| Some(Self::product(self, id.as_str())))
    }

    fn position<'a>(&'a self, group: &'a str, _partition: i32) -> Answer<'a, Position> {
        self.position_of(group)
    }

    fn marks(&self) -> &dyn Marks {
        self
    }

    fn refresh(&self) -> Answer<'_, ()> {
        self.tell(|_| ())
    }
}

/// A product that has this version.
pub(crate) fn product(id: &str, version: u32) -> StoredProduct {
    let mut stored = stored(id, Status::Listed).1;
    stored.product.version = Version(u64::from(version));
    stored
}

/// The group that makes a build, as gateways call it.
pub(crate) fn group(read_model: ReadModel, build: u32) -> String {
    read_model.group_id("folio", generation(build))
}
