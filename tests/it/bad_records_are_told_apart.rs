//! P33 Of many records that are bad in every way exactly those are parked that count and cannot be applied, by each read model for itself; all other rows are what the log says.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use contract::avro::{SchemaIds, encode};
use domain::{Event, Product, ProductId, Version, evolve};
use event_reader::SchemaSource as _;
use ledger::{CommandId, Headers, NewRecord, RecordKey, Subject, partition_of};
use read_models::ReadModel;
use serde_json::Value;
use testkit::rows::Rows;
use testkit::scenario::caught_up;
use testkit::{InOneProcess, OnServers, Oracle, PARTITIONS, System, eventually, expected, promised};
use uuid::Uuid;

use super::a_poisoned_record_stops_nothing_else::inject;
use super::what_cannot_be_applied_is_parked::{Admin, TOO_MUCH, small_amounts, with_admin};

promised!(exactly_what_cannot_be_applied_is_parked);

/// Products, each with [`VERSIONS`] records: ten thousand together.
const PRODUCTS: usize = 2_500;
const VERSIONS: u64 = 4;
/// Of each kind there are so many, which makes one record of a hundred bad;
const OF_EACH: usize = 10;
/// and of refused products so many: more than may be refused in a row, all in one partition.
const REFUSED: usize = 12;
/// Nobody ever registered it.
const UNKNOWN_SCHEMA: u32 = 999_999;

/// A way for a record to be bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    GarbageValue,
    UnknownSchema,
    Truncated,
    Trailing,
    NoValue,
    GarbageKey,
    /// A key as another version of the format might have it.
    OtherKey,
    /// Its version skips some.
    Ahead,
    /// The second event that gives its product the same version.
    Twin,
    /// An event that cannot follow the one before it.
    Unfoldable,
    /// The search index has no place for it.
    Refused,
    /// Of a writer that knows nothing of our headers; bad only to look at.
    NoHeaders,
}

impl Bad {
    const ALL: [Self; 12] = [
        Self::GarbageValue,
        Self::UnknownSchema,
        Self::Truncated,
        Self::Trailing,
        Self::NoValue,
        Self::GarbageKey,
        Self::OtherKey,
        Self::Ahead,
        Self::Twin,
        Self::Unfoldable,
        Self::Refused,
        Self::NoHeaders,
    ];

    /// As what such a record is parked. What does not count is never; what a read model can apply is not by that one.
    fn parked_as(self, by: ReadModel) -> Option<&'static str> {
        match self {
            Self::GarbageValue | Self::UnknownSchema | Self::Truncated | Self::Trailing | Self::NoValue => {
                Some("undecodable")
            }
            // A history lists events, and folds none.
            Self::Unfoldable => (by != ReadModel::History).then_some("unfoldable"),
            Self::Refused => (by == ReadModel::Search).then_some("refused-by-store"),
            Self::GarbageKey | Self::OtherKey | Self::Ahead | Self::Twin | Self::NoHeaders => None,
        }
    }

    /// Whether some read model does not apply all of such a product.
    fn poisons(self) -> bool {
        ReadModel::ALL.iter().any(|it| self.parked_as(*it).is_some())
    }

    /// Whether it can be made: a log in one process takes only records that have a key and a value, and its stores refuse no row.
    fn is_made_on<S: Strangers>(self) -> bool {
        S::HAS_STRANGERS || !matches!(self, Self::NoValue | Self::GarbageKey | Self::OtherKey | Self::Refused)
    }
}

/// What only servers have: others who write to the topic, and an index that somebody changes.
trait Strangers: System {
    const HAS_STRANGERS: bool;

    /// Appends what no writer of ours could.
    async fn inject(&mut self, partition: i32, key: &str, value: Option<&[u8]>) -> anyhow::Result<()>;

    /// Documents with a price of [`TOO_MUCH`] are refused from now on.
    async fn refuse_large_prices(&mut self) -> anyhow::Result<()>;

    /// Waits until all of the log is applied or parked.
    async fn is_through(&mut self) -> anyhow::Result<()>;
}

impl Strangers for OnServers {
    const HAS_STRANGERS: bool = true;

    async fn inject(&mut self, partition: i32, key: &str, value: Option<&[u8]>) -> anyhow::Result<()> {
        inject(self, partition, key, value).await.map(drop)
    }

    async fn refuse_large_prices(&mut self) -> anyhow::Result<()> {
        small_amounts(self, false).await
    }

    async fn is_through(&mut self) -> anyhow::Result<()> {
        // Counts differ, for what is parked is in no row.
        caught_up(self, &self.planner.names.group_prefix).await
    }
}

impl Strangers for InOneProcess {
    const HAS_STRANGERS: bool = false;

    async fn inject(&mut self, _: i32, key: &str, _: Option<&[u8]>) -> anyhow::Result<()> {
        anyhow::bail!("nobody else writes to this log: {key}")
    }

    async fn refuse_large_prices(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    async fn is_through(&mut self) -> anyhow::Result<()> {
        self.caught_up().await
    }
}

/// A product of the test, and what is bad of it.
#[derive(Debug)]
struct Made {
    id: String,
    /// In which way, and from which version on.
    bad: Option<(Bad, u64)>,
}

/// What of a product is parked.
#[derive(Debug, PartialEq, Eq)]
struct Parked {
    kind: String,
    records: u64,
    /// The version that its first letter would give it.
    first: u64,
}

/// All products: the bad ones among the others.
fn products<S: Strangers>() -> Vec<Made> {
    let mut made: Vec<Made> = Vec::with_capacity(PRODUCTS);
    for bad in Bad::ALL.into_iter().filter(|it| it.is_made_on::<S>()) {
        let name = |n: usize| {
            let what = if bad.poisons() { "bad" } else { "odd" };
            format!("{what}-{}-{n}", format!("{bad:?}").to_lowercase())
        };
        if bad == Bad::Refused {
            // From the first on: whatever a batch holds of it, its document is refused.
            let home = (0..).map(name).filter(|id| partition_of(id, PARTITIONS).0 == 0);
            made.extend(home.take(REFUSED).map(|id| Made { id, bad: Some((bad, 1)) }));
            continue;
        }
        // Of what others write nobody tells here what comes when, but between two parts.
        let version = |n: usize| if bad == Bad::NoValue { 3 } else { 3 + n as u64 % 2 };
        made.extend((0..OF_EACH).map(|n| Made { id: name(n), bad: Some((bad, version(n))) }));
    }
    let others = PRODUCTS - made.len();
    made.extend((0..others).map(|n| Made { id: format!("good-{n}"), bad: None }));
    // So that they lie among one another.
    made.sort_by_key(|it| Uuid::new_v5(&Uuid::NAMESPACE_OID, it.id.as_bytes()));
    made
}

/// Makes records.
struct Writer {
    ids: SchemaIds,
    states: BTreeMap<String, Product>,
}

impl Writer {
    fn event(made: &Made, version: u64) -> anyhow::Result<Event> {
        let price = match made.bad {
            Some((Bad::Refused, _)) => TOO_MUCH + version,
            _ => 1_000 + version,
        };
        let price = format!(r#""price": {{"minor_units": {price}, "currency": "USD"}}"#);
        let (kind, data) = match (version, made.bad) {
            (1, _) => (
                "ProductCreated",
                format!(
                    r#"{{"sku": "S-1", "name": "n", "description": "", "category": "tests/bad", "brand": "b", "status": "draft",
                        {price}, "attributes": {{}}, "tags": []}}"#
                ),
            ),
            (at, Some((Bad::Unfoldable, from))) if at + 1 == from => {
                ("ProductDeleted", r#"{"reason": null}"#.to_owned())
            }
            _ => ("PriceChanged", format!("{{{price}}}")),
        };
        contract::json::event_from_data(kind, &data).with_context(|| format!("{kind} {data}"))
    }

    /// The records that give the product this version, as its way of being bad wants it.
    fn records(&mut self, made: &Made, version: u64) -> anyhow::Result<Vec<NewRecord>> {
        let event = Self::event(made, version)?;
        let mut value = encode(&event, &self.ids)?.to_vec();
        let bad = made.bad.filter(|(_, from)| *from == version).map(|(bad, _)| bad);
        match bad {
            Some(Bad::NoValue) => return Ok(Vec::new()),
            Some(Bad::GarbageValue) => value = b"garbage".to_vec(),
            Some(Bad::UnknownSchema) => value[1..5].copy_from_slice(&UNKNOWN_SCHEMA.to_be_bytes()),
            Some(Bad::Truncated) => value.truncate(value.len() - 1),
            Some(Bad::Trailing) => value.extend_from_slice(b"more"),
            _ => {}
        }
        let record = |version, value: &[u8], headers| {
            let key =
                RecordKey { subject: Subject::parse(&made.id)?, version, basis: 0, event_id: Uuid::new_v4() };
            anyhow::Ok(NewRecord { key, value: Bytes::copy_from_slice(value), headers })
        };
        let headers =
            if bad == Some(Bad::NoHeaders) { Headers::new() } else { self.headers(made, version, &event)? };
        let mut records = vec![record(version, &value, headers.clone())?];
        match bad {
            Some(Bad::Ahead) => records.insert(0, record(version + 5, &value, headers)?),
            Some(Bad::Twin) => {
                let other =
                    Self::event(&Made { id: made.id.clone(), bad: Some((Bad::Refused, 0)) }, version)?;
                records.push(record(version, &encode(&other, &self.ids)?, headers)?);
            }
            _ => {}
        }
        Ok(records)
    }

    /// As a command service writes them.
    fn headers(&mut self, made: &Made, version: u64, event: &Event) -> anyhow::Result<Headers> {
        let before = self.states.remove(&made.id);
        let after = match evolve(before.clone(), &ProductId::parse(&made.id)?, Version(version), event) {
            Ok(after) => after,
            // One that cannot be folded says what the product was.
            Err(_) => before.context("there is one before")?,
        };
        let meta = contract::envelope::EventMeta {
            event_id: Uuid::new_v4(),
            time: jiff::Timestamp::now(),
            source: "/test",
            correlation_id: None,
            command_id: CommandId(Uuid::new_v4()),
            command_hash: None,
            actor: None,
            principal: None,
            traceparent: None,
        };
        let headers = contract::envelope::headers(&meta, &after, event.type_name());
        self.states.insert(made.id.clone(), Product { version: Version(version), ..after });
        Ok(headers)
    }
}

/// What each read model has to park, of every product of which it is something.
fn to_be_parked(made: &[Made], by: ReadModel) -> BTreeMap<String, Parked> {
    let parked = |it: &Made| {
        let (bad, from) = it.bad?;
        let (kind, records) = (bad.parked_as(by)?.to_owned(), VERSIONS - from + 1);
        Some((it.id.clone(), Parked { kind, records, first: from }))
    };
    made.iter().filter_map(parked).collect()
}

/// What it has parked; `keys`: of the log, by place.
fn parked(told: &Value, keys: &BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, Parked>> {
    let letters = told["parked"].as_array().context("what is parked")?;
    let of = |it: &Value| {
        let text = |name: &str| it[name].as_str().map(str::to_owned).context("a text");
        let key = keys.get(&text("id")?).with_context(|| format!("no record of the log is at {it}"))?;
        let key = RecordKey::parse(key.as_bytes())?;
        ensure!(key.subject.as_str() == text("product")?, "{it} is no record of its product: {key}");
        let records = it["records"].as_u64().context("a number")?;
        Ok((text("product")?, Parked { kind: text("kind")?, records, first: key.version }))
    };
    letters.iter().map(of).collect()
}

/// The version that a read model shows of a product.
fn shown(rows: &Rows, read_model: ReadModel, id: &str) -> Option<u64> {
    let lines = rows.get(&read_model.to_string())?;
    let named = format!("\"{id}\"");
    let versions = lines.iter().filter(|line| line.contains(&named)).filter_map(|line| {
        if read_model == ReadModel::Search {
            return line.split(' ').nth(1)?.strip_prefix('v')?.parse().ok();
        }
        serde_json::from_str::<Value>(line).ok()?["version"].as_u64()
    });
    versions.max()
}

async fn append<S: Strangers>(system: &mut S, made: &[Made]) -> anyhow::Result<()> {
    let ids = SchemaIds::new(system.registry()?.ids().await?)?;
    let mut writer = Writer { ids, states: BTreeMap::new() };
    for part in [1..=2, 3..=VERSIONS] {
        let mut records = Vec::new();
        for version in part.clone() {
            for it in made {
                records.extend(writer.records(it, version)?);
            }
        }
        system.append(records).await?;
        if part.contains(&VERSIONS) {
            break;
        }
        for it in made {
            let (home, id) = (partition_of(&it.id, PARTITIONS).0, Uuid::new_v4());
            match it.bad {
                Some((Bad::NoValue, version)) => {
                    system.inject(home, &format!("{}/{version}/0/{id}", it.id), None).await?;
                }
                Some((Bad::GarbageKey, _)) => {
                    system.inject(home, &format!("what {} is", it.id), Some(b"anything")).await?;
                }
                Some((Bad::OtherKey, version)) => {
                    system.inject(home, &format!("{}/{version}/0/{id}/v2", it.id), Some(b"x")).await?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

async fn exactly_what_cannot_be_applied_is_parked<S: Strangers>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let made = products::<S>();
    system.refuse_large_prices().await?;
    append(&mut system, &made).await?;
    let projectors = system.projectors_with(with_admin::<S>()).await?;
    let admin = Admin::of(&projectors);
    for read_model in ReadModel::ALL {
        let expected = to_be_parked(&made, *read_model);
        let records: u64 = expected.values().map(|it| it.records).sum();
        eventually(
            &format!("{} products of {read_model} are parked", expected.len()),
            async || admin.parked(*read_model).await,
            |it| it["products"] == expected.len() && it["records"] == records,
        )
        .await;
    }
    system.is_through().await?;

    let keys = system
        .with_log(async |log| {
            let mut keys = BTreeMap::new();
            let read = log.read(|partition, record| {
                let key = String::from_utf8_lossy(&record.key).into_owned();
                keys.insert(format!("{partition}/{}", record.offset), key);
            });
            read.await?;
            Ok(keys)
        })
        .await?;
    ensure!(keys.len() >= PRODUCTS * VERSIONS as usize - OF_EACH, "{} records", keys.len());
    let rows = system.rows().await?;
    for read_model in ReadModel::ALL {
        let expected = to_be_parked(&made, *read_model);
        let told = eventually(
            "the projectors tell what is parked",
            async || admin.parked(*read_model).await,
            |it| it["parked"].is_array(),
        )
        .await;
        let found = parked(&told, &keys)?;
        // Precision and recall: none too many, and none too few.
        let more: Vec<_> = found.iter().filter(|(id, it)| expected.get(*id) != Some(*it)).collect();
        let fewer: Vec<_> = expected.iter().filter(|(id, it)| found.get(*id) != Some(*it)).collect();
        ensure!(
            more.is_empty() && fewer.is_empty(),
            "{read_model} has parked {more:?}, and should have {fewer:?}"
        );
        // What came before it is applied, and nothing of what is behind it.
        for it in made.iter().filter(|it| it.bad.is_some()) {
            let until = expected.get(&it.id).map_or(VERSIONS, |parked| parked.first - 1);
            let shown = shown(&rows, *read_model, &it.id).unwrap_or_default();
            ensure!(shown == until, "{read_model} shows version {shown} of {}, and not {until}", it.id);
        }
    }
    // Row for row, all others are what the log says.
    let is_bad = |id: &str| id.starts_with("bad-");
    let ids = SchemaIds::new(system.registry()?.ids().await?)?;
    let oracle = system.with_log(async |log| Oracle::but(&log, &ids, is_bad).await).await?;
    let mut others = rows;
    for rows in others.values_mut() {
        rows.retain(|row| !row.contains("\"bad-"));
    }
    let (compared, differences) = expected::differences(&oracle, &others, S::NOT_GIVEN_BACK)?;
    ensure!(differences.is_empty(), "{differences:#?}");
    ensure!(compared > PRODUCTS * 7 - 1_000, "{compared} rows were compared");
    Ok(())
}
