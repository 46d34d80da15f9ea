//! ScyllaDB and Cassandra: connection, prepared statements, pages, bounded writes, schema.
//!
//! Promises: every call is bounded in time; reads and writes are `LOCAL_QUORUM`; what is prepared here is idempotent, so the
//! driver and [`Cql::write_all`] may repeat it; an error says which statement was tried.
//!
//! Start at [`Cql::connect`].

mod config;
mod error;
mod login;
mod schema;
mod starts;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::response::PagingState;
use scylla::response::query_result::QueryResult;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use toolkit::config::Unusable;
use toolkit::lanes::{Lane, Lanes, Room};
use toolkit::telemetry::{StoreCall, traced};

/// The driver, for its derives: `#[derive(SerializeRow)] #[scylla(crate = "adapter_cql::scylla")]`.
pub use scylla;
pub use scylla::deserialize::row::DeserializeRow;
pub use scylla::serialize::row::SerializeRow;
pub use scylla::statement::prepared::PreparedStatement as Prepared;

pub use config::CqlConfig;
pub use error::CqlError;
pub use schema::{Applied, Schema};
pub use write::{BATCH, RefusedRow, Write};

/// What OpenTelemetry calls all that speaks CQL.
const SYSTEM: &str = "cassandra";
/// Of requests that give way a `BESIDE`th of all are in flight while there are others: a server works through its queue in order.
const BESIDE: usize = 16;

/// A row type that owns what it holds.
pub trait OwnedRow: for<'a, 'b> DeserializeRow<'a, 'b> {}
impl<T: for<'a, 'b> DeserializeRow<'a, 'b>> OwnedRow for T {}

/// Where the next page of an answer begins.
pub type PageState = PagingState;

/// A connection to a cluster, and the keyspace to use there. Cheap to clone.
#[derive(Clone)]
pub struct Cql {
    session: Arc<Session>,
    keyspace: Arc<str>,
    concurrency: usize,
    /// Room for the requests of [`Cql::write_all`] and [`Cql::read_all`], of all clones together.
    lanes: Arc<Lanes>,
    lane: Lane,
}

impl fmt::Debug for Cql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cql").field("keyspace", &self.keyspace).finish_non_exhaustive()
    }
}

impl Cql {
    /// Connects within `config.timeout_ms` twice over, or says which nodes did not answer.
    pub async fn connect(config: &CqlConfig) -> Result<Self, CqlError> {
        let timeout = Duration::from_millis(config.timeout_ms);
        let nodes = config.contact_points.join(", ");
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .request_timeout(Some(timeout))
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&config.contact_points)
            .connection_timeout(timeout)
            .schema_agreement_timeout(timeout)
            .fetch_full_schema_metadata(false)
            .keyspaces_to_fetch([&config.keyspace])
            .default_execution_profile_handle(profile.into_handle());
        if let Some(datacenter) = &config.local_datacenter {
            builder = builder.prefer_datacenter(datacenter.clone());
        }
        if let Some(user) = &config.username {
            let wrong = |it: Unusable| CqlError::Password(format!("{}: {}", it.key, it.problem));
            let login = login::Login { user: user.clone(), password: config.credential().map_err(wrong)? };
            builder = builder.authenticator_provider(Arc::new(login));
        }
        if config.use_tls {
            let tls = config.tls.client(config.tls_server_name.as_deref())?;
            builder = builder.tls_context(Some(Arc::new(tls)));
        }
        let limit = timeout * 2;
        let session = tokio::time::timeout(limit, builder.build())
            .await
            .map_err(|_| CqlError::ConnectTimeout { nodes: nodes.clone(), limit })?
            .map_err(|source| CqlError::connect(nodes, &source))?;
        Ok(Self {
            session: Arc::new(session),
            keyspace: config.keyspace.as_str().into(),
            concurrency: config.concurrency.max(1),
            lanes: Arc::new(Lanes::new(config.concurrency, config.concurrency / BESIDE)),
            lane: Lane::default(),
        })
    }

    pub fn keyspace(&self) -> &str {
        &self.keyspace
    }

    /// Prepares `statement`, with `{keyspace}` in it replaced. It must be idempotent: a read, or a write with its own timestamp.
    pub async fn prepare(&self, statement: &str) -> Result<Prepared, CqlError> {
        let text = statement.replace("{keyspace}", &self.keyspace);
        let mut prepared = self
            .session
            .prepare(text.as_str())
            .await
            .map_err(|source| CqlError::Prepare { statement: text, source: Box::new(source) })?;
        prepared.set_is_idempotent(true);
        prepared.set_consistency(Consistency::LocalQuorum);
        Ok(prepared)
    }

    /// Executes a statement whose answer has no rows.
    pub async fn execute(&self, statement: &Prepared, values: impl SerializeRow) -> Result<(), CqlError> {
        traced(|| self.call(statement, None), self.ask(statement, values)).await?;
        Ok(())
    }

    /// All rows of an answer that is known to be small.
    pub async fn rows<R: OwnedRow>(
        &self,
        statement: &Prepared,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, CqlError> {
        let result = traced(|| self.call(statement, None), self.ask(statement, values)).await?;
        collect(statement, result)
    }

    async fn ask(&self, statement: &Prepared, values: impl SerializeRow) -> Result<QueryResult, CqlError> {
        self.session.execute_unpaged(statement, values).await.map_err(|e| failed(statement, e))
    }

    /// A statement as traces show it.
    fn call<'c>(&'c self, statement: &'c Prepared, batch: Option<usize>) -> StoreCall<'c> {
        let (operation, collection) = words_of(statement.get_statement());
        StoreCall { system: SYSTEM, operation, namespace: Some(&self.keyspace), collection, batch }
    }

    /// The first row of an answer, if any.
    pub async fn row<R: OwnedRow>(
        &self,
        statement: &Prepared,
        values: impl SerializeRow,
    ) -> Result<Option<R>, CqlError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// Up to `size` rows from `from` on, and where the next page begins (`None`: nowhere).
    pub async fn page<R: OwnedRow>(
        &self,
        statement: &Prepared,
        values: impl SerializeRow,
        size: usize,
        from: PageState,
    ) -> Result<(Vec<R>, Option<PageState>), CqlError> {
        let mut sized: PreparedStatement = statement.clone();
        sized.set_page_size(i32::try_from(size.max(1)).unwrap_or(i32::MAX));
        let asked = async {
            self.session.execute_single_page(&sized, values, from).await.map_err(|e| failed(statement, e))
        };
        let (result, next) = traced(|| self.call(statement, None), asked).await?;
        let next = match next.into_paging_control_flow() {
            std::ops::ControlFlow::Break(()) => None,
            std::ops::ControlFlow::Continue(state) => Some(state),
        };
        Ok((collect(statement, result)?, next))
    }

    /// One row for each of `values` (`None`: there is none), in their order; as many reads at once as `config.concurrency`.
    pub async fn read_all<R: OwnedRow + Send, V: SerializeRow + Send>(
        &self,
        statement: &Prepared,
        values: Vec<V>,
    ) -> Result<Vec<Option<R>>, CqlError> {
        let count = values.len();
        let read = |values| async {
            let room = self.room().await;
            let rows = collect(statement, self.ask(statement, values).await?)?;
            leave(room).await;
            Ok::<Option<R>, CqlError>(rows.into_iter().next())
        };
        let all = async {
            let mut reads = futures::stream::iter(values.into_iter().map(read)).buffered(self.concurrency);
            let mut rows = Vec::new();
            while let Some(row) = reads.next().await {
                rows.push(row?);
            }
            Ok(rows)
        };
        // One span for all of them: there may be thousands.
        traced(|| self.call(statement, Some(count)), all).await
    }

    /// The same connection, whose many requests go in this lane.
    #[must_use]
    pub fn in_lane(&self, lane: &Lane) -> Self {
        Self { lane: lane.clone(), ..self.clone() }
    }

    /// The right to have one more request in flight.
    async fn room(&self) -> Option<Room<'_>> {
        self.lanes.enter(&self.lane).await
    }

    /// The same, if there is room now.
    fn room_now(&self) -> Option<Room<'_>> {
        self.lanes.enter_now(&self.lane)
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }
}

/// Leaves the room of a request that has ended.
async fn leave(room: Option<Room<'_>>) {
    if let Some(room) = room {
        room.leave().await;
    }
}

fn failed(statement: &Prepared, source: scylla::errors::ExecutionError) -> CqlError {
    CqlError::Execute { statement: short(statement.get_statement()), source: Box::new(source) }
}

fn collect<R: OwnedRow>(statement: &Prepared, result: QueryResult) -> Result<Vec<R>, CqlError> {
    let problem = |problem: String| CqlError::Decode { statement: short(statement.get_statement()), problem };
    let rows = result.into_rows_result().map_err(|e| problem(e.to_string()))?;
    rows.rows::<R>()
        .map_err(|e| problem(e.to_string()))?
        .collect::<Result<Vec<R>, _>>()
        .map_err(|e| problem(e.to_string()))
}

/// What a statement does, and to which table, as it writes both.
fn words_of(statement: &str) -> (&str, &str) {
    let mut words = statement.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let leads_to_table =
        |word: &&str| ["FROM", "INTO", "UPDATE"].iter().any(|it| word.eq_ignore_ascii_case(it));
    let table =
        if leads_to_table(&verb) { words.next() } else { words.skip_while(|it| !leads_to_table(it)).nth(1) };
    let table = table.unwrap_or_default();
    // The keyspace has a place of its own.
    (verb, table.rsplit_once('.').map_or(table, |(_, name)| name))
}

/// A statement as an error shows it: what it does to which table, without the list of columns.
fn short(statement: &str) -> String {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let at = |word: &str| words.iter().position(|w| w.eq_ignore_ascii_case(word));
    match (words.first(), at("FROM").or_else(|| at("INTO")).or_else(|| at("UPDATE"))) {
        (Some(verb), Some(0)) => format!("{verb} {}", words.get(1).unwrap_or(&"")),
        (Some(verb), Some(i)) => format!("{verb} .. {} {} ..", words[i], words.get(i + 1).unwrap_or(&"")),
        _ => statement.chars().take(100).collect(),
    }
}
