//! Which build of a read model is read: told in the store that has its rows, so that whoever can read them can read that, too.
//!
//! Promises: where nothing was published yet it is the first; the next question after a publication is told the new one.

use std::sync::Arc;

use adapter_cql::Prepared;
use tokio::sync::OnceCell;

use crate::declared::On;
use crate::{Error, Generation, ReadModel, Servers};

const TABLE: &str = "published";

/// Where the build of one read model is told. Cheap to clone.
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

impl Publication {
    /// The build that is read.
    pub async fn generation(&self) -> Result<Generation, Error> {
        match &self.read_model.declared().on {
            On::Cql(_) => {
                let cql = self.servers.cql().await?;
                let select = format!("SELECT generation FROM {{keyspace}}.{TABLE} WHERE read_model = ?");
                let read = match self.read.get_or_try_init(|| cql.prepare(&select)).await {
                    Ok(read) => read,
                    // Of a release that knew no other builds.
                    Err(error) if error.is_missing() => return Ok(Generation::FIRST),
                    Err(error) => return Err(error.into()),
                };
                let row: Option<(i32,)> = cql.row(read, (self.read_model.name(),)).await?;
                let Some((number,)) = row else { return Ok(Generation::FIRST) };
                let generation = u32::try_from(number).ok().and_then(|it| Generation::try_from(it).ok());
                generation.ok_or_else(|| corrupt(TABLE, self.read_model, number))
            }
            // The alias that outsiders read by: every node of the cluster knows it, and it is moved in one step.
            On::Search { index, .. } => {
                let number = self.servers.search().await?.published(index).await?;
                Generation::try_from(number).map_err(|_| corrupt(index.name, self.read_model, number))
            }
        }
    }

    /// Says that this build is read from now on, if all of it is there: what was decided in `revision`, and no earlier
    /// revision has an effect any more. What was written to it before is found from then on; and in the one that was read
    /// `before`, as long as somebody still reads it.
    pub(crate) async fn publish(
        &self,
        generation: Generation,
        before: Option<Generation>,
        revision: u64,
    ) -> Result<(), Error> {
        match &self.read_model.declared().on {
            On::Cql(schema) => {
                let cql = self.servers.cql().await?;
                cql.require(schema, generation.get()).await?;
                // Not by a clock: of two publications the one that was decided later stays, whoever writes it and when.
                let insert = format!(
                    "INSERT INTO {{keyspace}}.{TABLE} (read_model, generation) VALUES (?, ?) USING TIMESTAMP ?"
                );
                let number = i32::try_from(generation.get()).unwrap_or(i32::MAX);
                let revision = i64::try_from(revision).unwrap_or(i64::MAX);
                let row = (self.read_model.name(), number, revision);
                Ok(cql.execute(&cql.prepare(&insert).await?, row).await?)
            }
            On::Search { index, positions } => {
                let search = self.servers.search().await?;
                search.ready(index, generation.get()).await?;
                if let Some(before) = before {
                    search.refresh(&index.index(search.prefix(), before.get())).await?;
                }
                for index in [positions, index] {
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
