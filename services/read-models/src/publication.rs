//! Which build of a read model is read: told in the store that has its rows, so that whoever can read them can read that, too.
//!
//! Promises: where nothing was published yet it is the first; the next question after a publication is told the new one.

use std::fmt::Debug;
use std::sync::Arc;

use adapter_cql::Prepared;
use futures::FutureExt;
use tokio::sync::OnceCell;

use crate::declared::On;
use crate::{Answered, Error, Generation, ReadModel, Servers};

const TABLE: &str = "published";

/// Where whoever reads is told which build of one read model is the one to read.
pub trait Published: Debug + Send + Sync {
    /// The build that is read.
    fn read(&self) -> Answered<'_, Generation>;

    /// The build that has this name; it may be gone.
    fn named<'a>(&'a self, name: &'a str) -> Answered<'a, Option<Generation>>;
}

/// What is published, and by which decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedBuild {
    pub generation: Generation,
    /// [`crate::control::Builds::published_order`] of then; 0 where nothing was published, or by a release that did not say.
    pub order: u64,
}

/// Where the build of one read model is told on servers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publication {
    servers: Servers,
    read_model: ReadModel,
    read: Arc<OnceCell<Prepared>>,
}

impl Servers {
    /// Connects to nothing yet.
    pub fn publication(&self, read_model: ReadModel) -> Publication {
        Publication { servers: self.clone(), read_model, read: Arc::default() }
    }
}

impl Published for Publication {
    fn read(&self) -> Answered<'_, Generation> {
        async {
            match &self.read_model.declared().on {
                On::Cql(_) => Ok(self.row(self.read_model.name()).await?.unwrap_or(Generation::FIRST)),
                // The alias that outsiders read by: every node of the cluster knows it, and it is moved in one step.
                On::Search { index, .. } => {
                    let number = self.servers.search().await?.published(index).await?;
                    Generation::try_from(number).map_err(|_| corrupt(index.name, self.read_model, number))
                }
            }
        }
        .boxed()
    }

    fn named<'a>(&'a self, name: &'a str) -> Answered<'a, Option<Generation>> {
        async move {
            match &self.read_model.declared().on {
                On::Cql(_) => self.row(&named(self.read_model, name)).await,
                On::Search { index, .. } => {
                    let number = self.servers.search().await?.named(index, name).await?;
                    let generation = number.map(Generation::try_from).transpose();
                    generation.map_err(|_| corrupt(index.name, self.read_model, name))
                }
            }
        }
        .boxed()
    }
}

/// What the row of a build with a name is called.
fn named(read_model: ReadModel, name: &str) -> String {
    format!("{read_model}@{name}")
}

impl Publication {
    /// What is published, and by which decision.
    pub(crate) async fn told(&self) -> Result<PublishedBuild, Error> {
        let (generation, order) = match &self.read_model.declared().on {
            On::Cql(_) => {
                let generation = self.read().await?;
                (generation, self.order(self.read_model.name()).await?)
            }
            On::Search { index, .. } => {
                let search = self.servers.search().await?;
                let number = search.published(index).await?;
                let generation =
                    Generation::try_from(number).map_err(|_| corrupt(index.name, self.read_model, number))?;
                (generation, search.published_order(index, number).await?)
            }
        };
        Ok(PublishedBuild { generation, order })
    }

    /// What is told in ScyllaDB.
    async fn row(&self, name: &str) -> Result<Option<Generation>, Error> {
        let cql = self.servers.cql().await?;
        let select = format!("SELECT generation FROM {{keyspace}}.{TABLE} WHERE read_model = ?");
        let read = match self.read.get_or_try_init(|| cql.prepare(&select)).await {
            Ok(read) => read,
            // Of a release that knew no other builds.
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some((number,)) = cql.row::<(i32,)>(read, (name,)).await? else { return Ok(None) };
        let generation = u32::try_from(number).ok().and_then(|it| Generation::try_from(it).ok());
        generation.map(Some).ok_or_else(|| corrupt(TABLE, self.read_model, number))
    }

    /// In which order a name was told in ScyllaDB last.
    async fn order(&self, name: &str) -> Result<u64, Error> {
        let cql = self.servers.cql().await?;
        let select = format!("SELECT WRITETIME(generation) FROM {{keyspace}}.{TABLE} WHERE read_model = ?");
        let select = match cql.prepare(&select).await {
            Ok(select) => select,
            // Of a release that knew no other builds.
            Err(error) if error.is_missing() => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let order = cql.row::<(i64,)>(&select, (name,)).await?;
        Ok(order.and_then(|(order,)| u64::try_from(order).ok()).unwrap_or_default())
    }

    /// Tells it in ScyllaDB. Not by a clock: of two the one that was decided later stays, whoever writes it and when.
    async fn tell(&self, name: &str, generation: Generation, order: u64) -> Result<(), Error> {
        let cql = self.servers.cql().await?;
        let insert = format!(
            "INSERT INTO {{keyspace}}.{TABLE} (read_model, generation) VALUES (?, ?) USING TIMESTAMP ?"
        );
        let number = i32::try_from(generation.get()).unwrap_or(i32::MAX);
        let order = i64::try_from(order).unwrap_or(i64::MAX);
        Ok(cql.execute(&cql.prepare(&insert).await?, (name, number, order)).await?)
    }

    /// Gives a build that is there a name, told in this `order`, and takes it from whichever had it.
    pub(crate) async fn name(&self, generation: Generation, name: &str, order: u64) -> Result<(), Error> {
        match &self.read_model.declared().on {
            On::Cql(schema) => {
                self.servers.cql().await?.require(schema, generation.get()).await?;
                self.tell(&named(self.read_model, name), generation, order).await
            }
            On::Search { index, .. } => {
                Ok(self.servers.search().await?.name(index, generation.get(), name).await?)
            }
        }
    }

    /// Says that this build is read from now on, if all of it is there: and nothing of a lower `order` has an effect any more. What was written to it before is found from then on; and in the one that was read
    /// `before`, as long as somebody still reads it.
    pub(crate) async fn publish(
        &self,
        generation: Generation,
        before: Option<Generation>,
        order: u64,
    ) -> Result<(), Error> {
        match &self.read_model.declared().on {
            On::Cql(schema) => {
                self.servers.cql().await?.require(schema, generation.get()).await?;
                self.tell(self.read_model.name(), generation, order).await
            }
            On::Search { index, positions, parked } => {
                let search = self.servers.search().await?;
                search.ready(index, generation.get()).await?;
                if let Some(before) = before {
                    search.refresh(&index.index(search.prefix(), before.get())).await?;
                }
                // Before the alias is moved: what is published is never told with less than it was published with.
                search.tell_order(index, generation.get(), order).await?;
                for index in [positions, parked, index] {
                    search.publish(index, generation.get()).await?;
                }
                Ok(())
            }
        }
    }
}

/// What is told is no generation.
fn corrupt(table: &str, read_model: ReadModel, told: impl std::fmt::Display) -> Error {
    Error::Corrupt {
        table: table.to_owned(),
        row: read_model.to_string(),
        problem: format!("generation {told}"),
    }
}
