//! A later release, whose rows of `products` have another format: each name ends with a mark. Its other rows are those of this
//! release.
//!
//! Promises: whatever it writes of a product is marked, whoever gave the product its name; it opens no build of the release
//! before it, as the statements of a real one would not fit there.

use domain::Name;
use read_models::history::HistoryModel;
use read_models::marks::Marks;
use read_models::model::{Opens, Store, Wanted, Writes};
use read_models::products::{ProductState, Products};
use read_models::search::SearchModel;
use read_models::{Error, Generation, Servers, StoredProduct};
use std::sync::Arc;
use toolkit::lanes::Lane;
use toolkit::retry::{GaveUp, Retry};

/// What each name in its rows ends with.
pub const MARK: &str = " (later)";

/// The servers, as the later release uses them.
#[derive(Clone, Debug)]
pub struct Later {
    servers: Servers,
    /// The first build is the release's before it.
    is_upgrade: bool,
}

impl Later {
    /// Where another release was before it, and made the first build.
    pub fn after_another(servers: Servers) -> Self {
        Self { servers, is_upgrade: true }
    }

    /// Where nobody was before it: the first build is its own.
    pub fn from_the_start(servers: Servers) -> Self {
        Self { servers, is_upgrade: false }
    }
}

impl Opens<Products> for Later {
    type Store = Marked<<Servers as Opens<Products>>::Store>;

    fn format(&self) -> u32 {
        2
    }

    async fn open(&self, generation: Generation) -> Result<Self::Store, Error> {
        if self.is_upgrade && generation == Generation::FIRST {
            let (table, problem) = ("products".to_owned(), "it has no such column".to_owned());
            return Err(Error::Corrupt { table, row: generation.to_string(), problem });
        }
        Ok(Marked(Opens::<Products>::open(&self.servers, generation).await?))
    }

    fn in_lane(&self, lane: &Lane) -> Self {
        Self { servers: Opens::<Products>::in_lane(&self.servers, lane), ..*self }
    }

    async fn positions(
        &self,
        generation: Generation,
    ) -> Result<<Self::Store as Store<Products>>::Positions, Error> {
        Opens::<Products>::positions(&self.servers, generation).await
    }
}

impl Opens<HistoryModel> for Later {
    type Store = <Servers as Opens<HistoryModel>>::Store;

    async fn open(&self, generation: Generation) -> Result<Self::Store, Error> {
        Opens::<HistoryModel>::open(&self.servers, generation).await
    }

    fn in_lane(&self, lane: &Lane) -> Self {
        Self { servers: Opens::<HistoryModel>::in_lane(&self.servers, lane), ..*self }
    }
}

impl Opens<SearchModel> for Later {
    type Store = <Servers as Opens<SearchModel>>::Store;

    async fn open(&self, generation: Generation) -> Result<Self::Store, Error> {
        Opens::<SearchModel>::open(&self.servers, generation).await
    }

    fn in_lane(&self, lane: &Lane) -> Self {
        Self { servers: Opens::<SearchModel>::in_lane(&self.servers, lane), ..*self }
    }
}

/// A store whose rows are marked.
#[derive(Clone, Debug)]
pub struct Marked<S>(S);

impl<S: Store<Products>> Store<Products> for Marked<S> {
    type Positions = S::Positions;

    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<ProductState>>, Error> {
        self.0.load(wanted).await
    }

    async fn write(&self, mut writes: Writes<Products>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        writes.states.iter_mut().for_each(|state| mark(Arc::make_mut(&mut state.stored)));
        writes
            .rows
            .iter_mut()
            .filter_map(|change| change.row.as_mut())
            .for_each(|it| mark(Arc::make_mut(it)));
        self.0.write(writes, retry).await
    }

    fn positions(&self) -> &S::Positions {
        self.0.positions()
    }

    fn marks(&self) -> &dyn Marks {
        self.0.marks()
    }
}

fn mark(stored: &mut StoredProduct) {
    let name = &mut stored.product.name;
    if !name.as_str().ends_with(MARK) {
        *name = Name::parse(&format!("{}{MARK}", name.as_str())).expect("a name with a mark is a name");
    }
}
