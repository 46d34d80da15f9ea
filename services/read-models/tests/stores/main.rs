//! The read models on an adapter, whichever: what is written is answered, older writes change nothing, pages are whole; and
//! every adapter answers alike. And on real servers, what becomes of what a server lost; on local disk, what a crash leaves.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod alike;
mod builds;
mod cut;
mod embedded;
mod history;
mod lost;
mod parked;
mod products;
mod records;
mod refused;
mod relevance;
mod search;
mod whole;

use std::sync::Arc;

use adapter_cql::CqlConfig;
use adapter_search::SearchConfig;
use read_models::control::BuildStore;
use read_models::declared::On;
use read_models::history::HistoryModel;
use read_models::model::{Fold, Opens, Position, Positions, Store};
use read_models::products::Products;
use read_models::publication::Published;
use read_models::search::SearchModel;
use read_models::{Generation, LogId, ReadModel, Servers};
use testkit::servers::{servers, test_prefix};

const GROUP: &str = "test.g1";
const GENERATION: Generation = Generation::FIRST;

/// The parts of an adapter that the suite runs on.
trait Parts: Opens<Products> + Opens<HistoryModel> {
    /// With room for these read models that nobody else has.
    async fn fresh(read_models: &[ReadModel]) -> Self;

    async fn product_queries(&self) -> read_models::products::Queries;
    async fn history_queries(&self) -> read_models::history::Queries;

    /// Leaves nothing behind.
    async fn end(self);
}

/// An adapter that has the read model `search`, too.
trait SearchParts: Parts + Opens<SearchModel> {
    async fn search_queries(&self) -> read_models::search::Queries;
}

/// Opens the store of a read model.
async fn open<M: Fold, A: Opens<M>>(parts: &A) -> A::Store {
    parts.open(GENERATION).await.unwrap()
}

/// Each promise as a test of every adapter.
macro_rules! promises {
    (@of $name:ident: $adapter:ty { $($module:ident::$promise:ident,)+ }) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    super::$module::$promise::<$adapter>().await;
                }
            )+
        }
    };
    ($($name:ident: $adapter:ty,)+ => $promises:tt) => {
        $(promises!(@of $name: $adapter $promises);)+
    };
}

promises! {
    on_servers: read_models::Servers,
    in_this_process: crate::embedded::InThisProcess,
    => {
        products::products_are_found_by_id_and_listed_by_category,
        products::a_list_shows_only_the_statuses_asked_for_page_by_page,
        history::rows_that_a_store_lost_are_noticed_and_written_again_by_the_same_events,
        history::a_history_that_comes_again_is_folded_from_just_before_it,
        history::a_history_is_paged_and_folded_to_any_past,
        whole::every_question_is_answered_as_the_folds_say_after_any_batches_crashes_and_late_writes,
        whole::a_list_ends_where_its_last_row_is_whatever_the_size_of_its_pages,
        whole::a_history_ends_where_its_last_row_is_whatever_the_size_of_its_pages,
        search::products_are_searched_with_typos_filters_and_facets,
        relevance::every_question_of_the_table_has_the_right_first_hit_and_finds_the_right_products,
        parked::marks_are_what_was_written_last_of_each_product,
        builds::a_build_is_made_filled_and_dropped_beside_another_one,
        builds::whoever_reads_is_told_the_build_that_was_published_last_and_those_with_names,
        builds::builds_are_the_same_or_it_is_told_what_differs,
    }
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

    async fn end(self) {
        self.cql().await.unwrap().drop_keyspace().await.unwrap();
        let search = self.search().await.unwrap();
        for read_model in ReadModel::ALL {
            let On::Search { index, positions, parked } = read_model.declared().on else { continue };
            for index in [index, positions, parked] {
                search.delete_index(&index.index(search.prefix(), GENERATION.get())).await.unwrap();
            }
        }
    }
}

impl SearchParts for Servers {
    async fn search_queries(&self) -> read_models::search::Queries {
        let index = read_models::search::ServedIndex::new(self.search().await.unwrap(), GENERATION);
        read_models::search::Queries::new(index)
    }
}

impl builds::BuildParts for Servers {
    fn builds(&self) -> &dyn BuildStore {
        self
    }

    fn told(&self, read_model: ReadModel) -> Arc<dyn Published> {
        Arc::new(self.publication(read_model))
    }

    fn is_published_by_revision(&self, read_model: ReadModel) -> bool {
        matches!(read_model.declared().on, On::Cql(_))
    }
}

async fn positions_never_go_back<M: Fold>(store: &impl Store<M>) {
    let log = LogId::from_number(7);
    let position = |applied, durable| Position { applied, durable, log };
    let positions = store.positions();
    positions.is_there().await.unwrap();
    assert_eq!(positions.read(GROUP, 0).await.unwrap(), None);
    let starts = positions.starts().await.unwrap().expect("the store tells when it was started");
    // What no process can lose is durable as far as it is applied.
    let stored = if starts.is_empty() { position(7, 7) } else { position(7, 3) };
    for (applied, durable) in [(7, 3), (5, 5)] {
        positions.write(GROUP, 0, position(applied, durable)).await.unwrap();
        assert_eq!(positions.read(GROUP, 0).await.unwrap(), Some(stored));
    }
    // A release before this one writes no log, and takes none away.
    positions.write(GROUP, 0, Position { log: None, ..position(5, 5) }).await.unwrap();
    assert_eq!(positions.read(GROUP, 0).await.unwrap(), Some(stored));
    for (group, partition) in [(GROUP, 1), ("test.g", 0), ("test.g10", 0), ("test", 0)] {
        assert_eq!(positions.read(group, partition).await.unwrap(), None, "{group} {partition}");
    }
}
