//! A catalog with read models: its tables and indices on stores, the log as events, and how far projectors have come.

use std::time::Duration;

use adapter_kafka::read_topic;
use adapter_registry::Registry;
use adapter_search::Use;
use anyhow::{Context, ensure};
use cli::commands::stores::{self, Which};
use cli::commands::verify;
use contract::AddressedCommand;
use contract::avro::{SchemaIds, decode};
use event_reader::SchemaSource as _;
use read_models::control::BuildStore as _;
use read_models::declared::On;
use read_models::model::EffectiveEvent;
use read_models::{Generation, ReadModel, Servers};

use crate::bench::{Bench, Catalog};
use crate::measures::Streams;
use crate::reached::Reached;
use crate::stores::Stores;

/// How long a projector may take for all of a log: a run that stands still ends.
pub(crate) const PATIENCE: Duration = Duration::from_mins(15);
/// Commands sent at once.
const AT_ONCE: usize = 50_000;

/// Events by partition, each partition's in the order of the log.
pub(crate) type Events = Vec<Vec<EffectiveEvent>>;

/// The catalog, and where its rows lie.
pub(crate) struct ReadSide<'a> {
    pub bench: &'a Bench,
    pub catalog: Catalog<'a>,
    pub stores: Servers,
}

impl<'a> ReadSide<'a> {
    /// A new catalog with the tables and indices of all read models, and no service yet.
    pub(crate) fn new(bench: &'a Bench, stores: &Stores, name: &str) -> anyhow::Result<Self> {
        let catalog = bench.catalog_on(stores.addresses.clone(), name)?;
        let stores = stores::servers(&catalog.config);
        bench.runtime.block_on(Box::pin(stores.apply(ReadModel::ALL, Generation::FIRST)))?;
        Ok(Self { bench, catalog, stores })
    }

    /// Sends commands whose time is not measured to the command service at `grpc`.
    pub(crate) fn send(
        &mut self,
        to: &cli::system::Listens,
        commands: &[AddressedCommand],
    ) -> anyhow::Result<()> {
        let streams = Streams::new()?;
        let mut sent = 0;
        for some in commands.chunks(AT_ONCE) {
            self.catalog.acknowledged.extend(streams.send(to, some.to_vec())?);
            sent += some.len();
            eprintln!("  {sent} of {} commands are acknowledged", commands.len());
        }
        Ok(())
    }

    /// Where the partitions end now.
    pub(crate) fn ends(&self) -> anyhow::Result<Vec<i64>> {
        let config = &self.catalog.config;
        self.bench.runtime.block_on(async {
            let log = read_topic(&config.kafka, &config.topic).await?;
            Ok(log.ends.of_all(log.partitions).await?)
        })
    }

    /// The effective events at these offsets and behind them.
    pub(crate) fn events(&self, from: &[i64]) -> anyhow::Result<Events> {
        self.bench.runtime.block_on(async {
            let config = &self.catalog.config;
            let log = read_topic(&config.kafka, &config.topic).await?;
            let ids = Registry::new(&config.registry)?.of_topic(&config.topic).ids().await?;
            let ids = SchemaIds::new(ids)?;
            let mut events: Events = from.iter().map(|_| Vec::new()).collect();
            let mut problem = Ok(());
            let audit = log.audit(|partition, key, record| {
                let at = partition.0 as usize;
                if from.get(at).is_none_or(|from| record.offset < *from) || problem.is_err() {
                    return;
                }
                let value = record.value.as_deref().unwrap_or_default();
                let event = decode(value, &ids).map_err(|error| error.to_string());
                match event.and_then(|event| EffectiveEvent::of(partition, record, key, event)) {
                    Ok(event) => events[at].push(event),
                    Err(error) => problem = Err(error),
                }
            });
            audit.await?;
            problem.map_err(|error| anyhow::anyhow!("an event cannot be decoded: {error}"))?;
            Ok(events)
        })
    }

    /// How far the group that makes a build has come with it.
    pub(crate) fn reached(&self, read_model: ReadModel, generation: Generation) -> Reached {
        Reached::of(&self.stores, read_model, generation, self.catalog.group(read_model, generation))
    }

    /// Makes place for rows, as for a further build: to be filled first, or read meanwhile.
    pub(crate) fn make(
        &self,
        read_model: ReadModel,
        generation: Generation,
        purpose: Use,
    ) -> anyhow::Result<()> {
        self.bench.runtime.block_on(async {
            match &read_model.declared().on {
                On::Search { index, .. } if purpose == Use::Read => {
                    self.stores.search().await?.make(index, generation.get(), purpose).await?;
                }
                On::Search { .. } | On::Cql(_) => self.stores.create(read_model, generation).await?,
            }
            Ok(())
        })
    }

    /// Drops them again.
    pub(crate) fn unmake(&self, read_model: ReadModel, generation: Generation) -> anyhow::Result<()> {
        Ok(self.bench.runtime.block_on(self.stores.drop_build(read_model, generation))?)
    }

    /// Checks that the tables or the index of a build have so many rows together.
    ///
    /// # Errors
    /// If they have not: what was measured is then worth nothing.
    pub(crate) fn has_rows(
        &self,
        read_model: ReadModel,
        generation: Generation,
        wanted: u64,
    ) -> anyhow::Result<()> {
        let which = Which::one(read_model, generation);
        let counts = self.bench.runtime.block_on(Box::pin(verify::count(&self.catalog.config, &which)))?;
        let rows: u64 = counts.tables.iter().map(|(_, _, rows)| rows).sum();
        ensure!(rows == wanted, "{read_model} {generation} has {rows} rows instead of {wanted}");
        Ok(())
    }

    /// Checks that the builds that are read hold what the log says, as soon as all of it is applied, and that the log holds what was
    /// acknowledged.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn check(&self, read_models: &[ReadModel]) -> anyhow::Result<()> {
        self.catalog.check()?;
        let ends = self.ends()?;
        for read_model in read_models {
            self.bench.runtime.block_on(async {
                let read = Which::default().generation(&self.stores, *read_model).await?;
                self.reached(*read_model, read).wait(&ends, PATIENCE).await?;
                let which = Which::one(*read_model, read);
                let counts = Box::pin(verify::count(&self.catalog.config, &which)).await?;
                ensure!(counts.agree(), "{read_model} {read} is not what the log says: {counts:?}");
                anyhow::Ok(())
            })?;
        }
        Ok(())
    }
}

/// The generation with this number.
pub(crate) fn generation(number: u32) -> anyhow::Result<Generation> {
    Generation::try_from(number).context("a generation's number")
}
