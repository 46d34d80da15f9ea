//! An independent judge of a log: the rule of the log written down a second time, in the plainest way, so that a test
//! does not believe the code it tests. Reads every record and tells what is effective.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::ensure;
use contract::avro::SchemaIds;
use contract::envelope::read_meta;
use domain::{Event, Product, ProductId, Version, evolve};
use event_reader::{LogReader, SchemaSource};
use ledger::Partition;

/// How far a writer may lag, in offsets: a constant of the log's format.
const WINDOW: i64 = 100_000;

/// An effective record.
#[derive(Clone, Debug)]
pub struct Effective {
    pub partition: i32,
    pub offset: i64,
    pub version: u64,
    pub event_id: uuid::Uuid,
    pub command_id: Option<uuid::Uuid>,
    pub event: Event,
    /// The product after it.
    pub after: Product,
}

/// Everything a log holds.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    /// Effective records by product, in order of their versions.
    pub products: BTreeMap<String, Vec<Effective>>,
    pub void: u64,
    /// Records, effective or not, with a key that an earlier record has: keys are unique by construction.
    pub repeated_keys: u64,
    /// End offset by partition.
    pub ends: BTreeMap<i32, i64>,
    event_ids: HashSet<uuid::Uuid>,
}

impl Oracle {
    /// Reads the log to its end and judges it.
    ///
    /// # Errors
    /// If the log does not answer, an effective record cannot be decoded, or two are the same event.
    pub async fn of(log: &LogReader, ids: &SchemaIds) -> anyhow::Result<Self> {
        Self::but(log, ids, |_| false).await
    }

    /// The same without the products that are `left_out`: their values may be anything.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub async fn but(
        log: &LogReader,
        ids: &SchemaIds,
        left_out: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Self> {
        let mut oracle = Self::default();
        let mut current: HashMap<(Partition, String), u64> = HashMap::new();
        let mut keys = HashSet::new();
        let mut problem = Ok(());
        let read = log.read(|partition, record| {
            oracle.repeated_keys += u64::from(!keys.insert(record.key.clone()));
            let Some((id, version, basis, event_id)) = parse(&record.key) else {
                oracle.void += 1;
                return;
            };
            let head = current.entry((partition, id.to_owned())).or_insert(0);
            let lag = record.offset - basis;
            if !(0..=WINDOW).contains(&lag) || version != *head + 1 {
                oracle.void += 1;
                return;
            }
            *head = version;
            if left_out(id) {
                return;
            }
            let place = (partition.0, record.offset, version, event_id);
            if let Err(error) = oracle.add(id, place, &record, ids)
                && problem.is_ok()
            {
                problem = Err(error);
            }
        });
        let ends = read.await?;
        problem?;
        oracle.ends = ends.into_iter().map(|(partition, end)| (partition.0, end)).collect();
        Ok(oracle)
    }

    /// The same with the schemas that `registry` holds.
    ///
    /// # Errors
    /// If the registry does not answer, and as for [`Self::of`].
    pub async fn by(log: &LogReader, registry: &impl SchemaSource) -> anyhow::Result<Self> {
        Self::of(log, &SchemaIds::new(registry.ids().await?)?).await
    }

    fn add(
        &mut self,
        id: &str,
        (partition, offset, version, event_id): (i32, i64, u64, uuid::Uuid),
        record: &ledger::LogRecord,
        ids: &SchemaIds,
    ) -> anyhow::Result<()> {
        let event = contract::avro::decode(record.value.as_deref().unwrap_or_default(), ids)?;
        ensure!(self.event_ids.insert(event_id), "two effective records are event {event_id}");
        let history = self.products.entry(id.to_owned()).or_default();
        let before = history.last().map(|it| it.after.clone());
        let after = evolve(before, &ProductId::parse(id)?, Version(version), &event)?;
        let command_id = read_meta(&record.headers).command_id.map(|it| it.0);
        history.push(Effective { partition, offset, version, event_id, command_id, event, after });
        Ok(())
    }

    /// How many effective records there are.
    pub fn effective(&self) -> u64 {
        self.products.values().map(|it| it.len() as u64).sum()
    }

    /// The product as of `offset` (exclusive): what had been effective below it.
    pub fn before(&self, product: &str, offset: i64) -> Option<&Effective> {
        let history = self.products.get(product)?;
        history[..history.partition_point(|it| it.offset < offset)].last()
    }
}

/// `<product id>/<version>/<basis>/<event id>`.
fn parse(key: &[u8]) -> Option<(&str, u64, i64, uuid::Uuid)> {
    let mut parts = std::str::from_utf8(key).ok()?.split('/');
    let (id, version, basis, event_id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let parsed = (id, version.parse().ok()?, basis.parse().ok()?, event_id.parse().ok()?);
    parts.next().is_none().then_some(parsed)
}
