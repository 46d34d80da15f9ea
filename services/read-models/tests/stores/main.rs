//! The read models on an adapter, whichever: what is written is answered, older writes change nothing, pages are whole. And on
//! real servers, what becomes of what a server lost.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod alike;
mod history;
mod lost;
mod products;
mod records;
mod relevance;
mod search;

use std::sync::Arc;

use adapter_cql::CqlConfig;
use adapter_search::SearchConfig;
use embedded_read_models::EmbeddedSearch;
use read_models::declared::On;
use read_models::history::HistoryModel;
use read_models::model::{Fold, Opens, Position, Positions, Store};
use read_models::products::Products;
use read_models::search::SearchModel;
use read_models::{Adapter, Error, Generation, ReadModel, Servers};
use tempfile::TempDir;
use testkit::servers::{servers, test_prefix};

const GROUP: &str = "test.g1";
const GENERATION: Generation = Generation::FIRST;

/// The parts of an adapter that the suite runs on.
trait Parts: Adapter {
    /// With room for these read models that nobody else has.
    async fn fresh(read_models: &[ReadModel]) -> Self;

    async fn product_queries(&self) -> read_models::products::Queries;
    async fn history_queries(&self) -> read_models::history::Queries;
    async fn search_queries(&self) -> read_models::search::Queries;

    /// Leaves nothing behind.
    async fn end(self);
}

/// Opens the store of a read model.
async fn open<M: Fold, A: Opens<M>>(parts: &A) -> A::Store {
    parts.open(GENERATION).await.unwrap()
}

/// Each promise as a test of the adapter.
macro_rules! promises {
    ($name:ident: $adapter:ty { $($module:ident::$promise:ident,)+ }) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    super::$module::$promise::<$adapter>().await;
                }
            )+
        }
    };
}

promises! {
    on_servers: read_models::Servers {
        products::products_are_found_by_id_and_listed_by_category,
        products::a_list_shows_only_the_statuses_asked_for_page_by_page,
        history::rows_that_a_store_lost_are_noticed_and_written_again_by_the_same_events,
        history::a_history_that_comes_again_is_folded_from_just_before_it,
        history::a_history_is_paged_and_folded_to_any_past,
        search::products_are_searched_with_typos_filters_and_facets,
        relevance::every_question_of_the_table_has_the_right_first_hit_and_finds_the_right_products,
    }
}

promises! {
    in_this_process: super::InThisProcess {
        search::products_are_searched_with_typos_filters_and_facets,
        relevance::every_question_of_the_table_has_the_right_first_hit_and_finds_the_right_products,
    }
}

/// `search` in this process.
#[derive(Debug, Clone)]
struct InThisProcess {
    search: EmbeddedSearch,
    _dir: Arc<TempDir>,
}

impl Opens<SearchModel> for InThisProcess {
    type Store = EmbeddedSearch;

    async fn open(&self, _: Generation) -> Result<EmbeddedSearch, Error> {
        Ok(self.search.clone())
    }
}

impl Opens<Products> for InThisProcess {
    type Store = <Servers as Opens<Products>>::Store;

    async fn open(&self, _: Generation) -> Result<Self::Store, Error> {
        panic!("only search is in this process")
    }
}

impl Opens<HistoryModel> for InThisProcess {
    type Store = <Servers as Opens<HistoryModel>>::Store;

    async fn open(&self, _: Generation) -> Result<Self::Store, Error> {
        panic!("only search is in this process")
    }
}

impl Parts for InThisProcess {
    async fn fresh(_: &[ReadModel]) -> Self {
        let dir = TempDir::new().unwrap();
        let search = EmbeddedSearch::open(dir.path()).unwrap();
        Self { search, _dir: Arc::new(dir) }
    }

    async fn product_queries(&self) -> read_models::products::Queries {
        panic!("only search is in this process")
    }

    async fn history_queries(&self) -> read_models::history::Queries {
        panic!("only search is in this process")
    }

    async fn search_queries(&self) -> read_models::search::Queries {
        read_models::search::Queries::new(self.search.clone())
    }

    async fn end(self) {}
}

impl Parts for Servers {
    async fn fresh(read_models: &[ReadModel]) -> Self {
        let cql = CqlConfig {
            contact_points: vec![servers().addresses.cql_contact_point.clone()],
            keyspace: test_prefix(),
            replication: "{'class': 'SimpleStrategy', 'replication_factor': 1}".to_owned(),
            ..CqlConfig::default()
        };
        let search = SearchConfig {
            url: servers().addresses.elasticsearch_url.clone(),
            index_prefix: test_prefix(),
            ..SearchConfig::default()
        };
        let servers = Self::new(&cql, &search);
        assert!(!servers.missing(read_models, GENERATION).await.unwrap().is_empty());
        let applied = servers.apply(read_models, GENERATION).await.unwrap();
        assert!(applied.iter().all(|a| a.created), "{applied:?}");
        let again = servers.apply(read_models, GENERATION).await.unwrap();
        assert!(again.iter().all(|a| !a.created), "{again:?}");
        assert!(servers.missing(read_models, GENERATION).await.unwrap().is_empty());
        servers
    }

    async fn product_queries(&self) -> read_models::products::Queries {
        let rows = read_models::products::CqlRows::open(self.cql().await.unwrap(), GENERATION).await;
        read_models::products::Queries::new(rows.unwrap())
    }

    async fn history_queries(&self) -> read_models::history::Queries {
        let rows = read_models::history::CqlRows::open(self.cql().await.unwrap(), GENERATION).await;
        read_models::history::Queries::new(rows.unwrap())
    }

    async fn search_queries(&self) -> read_models::search::Queries {
        let index = read_models::search::ServedIndex::new(self.search().await.unwrap(), GENERATION);
        read_models::search::Queries::new(index)
    }

    async fn end(self) {
        self.cql().await.unwrap().drop_keyspace().await.unwrap();
        let search = self.search().await.unwrap();
        for read_model in ReadModel::ALL {
            let On::Search { index, positions } = read_model.declared().on else { continue };
            for index in [index, positions] {
                search.delete_index(&index.index(search.prefix(), GENERATION.get())).await.unwrap();
            }
        }
    }
}

async fn positions_never_go_back<M: Fold>(store: &impl Store<M>) {
    let position = |applied, durable| Position { applied, durable };
    let positions = store.positions();
    assert_eq!(positions.read(GROUP, 0).await.unwrap(), None);
    for (written, stored) in [((7, 3), (7, 3)), ((5, 5), (7, 3))] {
        positions.write(GROUP, 0, position(written.0, written.1)).await.unwrap();
        assert_eq!(positions.read(GROUP, 0).await.unwrap(), Some(position(stored.0, stored.1)));
    }
    assert!(positions.starts().await.unwrap().is_some(), "the store tells when it was started");
}
