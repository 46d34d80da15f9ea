//! How far a group has come with a build: the positions beside its rows, asked for without a refresh of anything.

use std::time::{Duration, Instant};

use anyhow::ensure;
use read_models::declared::On;
use read_models::model::Positions as _;
use read_models::positions::{CqlPositions, SearchPositions};
use read_models::{Error, Generation, ReadModel, Servers};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is said how far it is.
const SAID: Duration = Duration::from_secs(10);

/// The positions of one group in one build.
pub(crate) struct Reached {
    stores: Servers,
    read_model: ReadModel,
    generation: Generation,
    group: String,
    kept: Option<Kept>,
}

enum Kept {
    Cql(CqlPositions),
    Search(SearchPositions),
}

/// When a group came how far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// When it was seen first that anything is applied.
    pub begun: Instant,
    pub ended: Instant,
}

impl Reached {
    /// Asks nobody yet: the build need not be there.
    pub(crate) fn of(stores: &Servers, read_model: ReadModel, generation: Generation, group: String) -> Self {
        Self { stores: stores.clone(), read_model, generation, group, kept: None }
    }

    /// The applied offset of each of so many partitions; 0 where there is none, or no build.
    pub(crate) async fn applied(&mut self, partitions: usize) -> Result<Vec<i64>, Error> {
        match self.look(partitions).await {
            Err(error) if error.is_missing() => Ok(vec![0; partitions]),
            looked => looked,
        }
    }

    async fn look(&mut self, partitions: usize) -> Result<Vec<i64>, Error> {
        if self.kept.is_none() {
            self.kept = Some(self.open().await?);
        }
        let mut applied = Vec::with_capacity(partitions);
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            let position = match &self.kept {
                Some(Kept::Cql(positions)) => positions.read(&self.group, partition).await?,
                Some(Kept::Search(positions)) => positions.read(&self.group, partition).await?,
                None => None,
            };
            applied.push(position.unwrap_or_default().applied);
        }
        Ok(applied)
    }

    async fn open(&self) -> Result<Kept, Error> {
        let declared = self.read_model.declared();
        Ok(match declared.on {
            On::Cql(schema) => {
                let cql = self.stores.cql().await?;
                Kept::Cql(CqlPositions::open(cql, declared.name, schema, self.generation).await?)
            }
            On::Search { index, positions, parked } => {
                let search = self.stores.search().await?;
                Kept::Search(SearchPositions::open(search, [index, parked], positions, self.generation))
            }
        })
    }

    /// Waits until everything below these offsets is applied.
    ///
    /// # Errors
    /// If it is not within `patience`.
    pub(crate) async fn wait(&mut self, ends: &[i64], patience: Duration) -> anyhow::Result<Came> {
        let (until, all) = (Instant::now() + patience, ends.iter().sum::<i64>());
        let (mut begun, mut said) = (None, Instant::now());
        loop {
            let applied = match self.applied(ends.len()).await {
                // A store that has much to do is asked again.
                Err(error) if error.is_transient() && Instant::now() < until => {
                    eprintln!("  {error}");
                    tokio::time::sleep(LOOK * 10).await;
                    continue;
                }
                applied => applied?,
            };
            let now = Instant::now();
            let done: i64 = applied.iter().zip(ends).map(|(applied, end)| applied.min(end)).sum();
            if done > 0 || all == 0 {
                begun.get_or_insert(now);
            }
            if let Some(begun) = begun
                && done == all
            {
                return Ok(Came { begun, ended: now });
            }
            ensure!(
                now < until,
                "{} {}: only {done} of {all} records are applied after {patience:?}",
                self.read_model,
                self.generation
            );
            if said.elapsed() >= SAID {
                eprintln!("  {} {}: {done} of {all} records", self.read_model, self.generation);
                said = now;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
