//! P11 Anyone can read the topic: keys, headers and partitions are as documented.
//!
//! On the servers with `kcat`, a plain consumer that knows nothing of Folio, in one process from its log on disk; and with
//! apache-avro and the registry's schema.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use adapter_kafka::read_topic;
use anyhow::{Context as _, ensure};
use apache_avro::types::Value as Avro;
use event_reader::SchemaSource as _;
use serde_json::Value;
use testkit::plain::{PlainRecord, kcat};
use testkit::scenario::live;
use testkit::tools::require;
use testkit::{Client, OnServers, PARTITIONS, System, promised};

promised! {
    keys_headers_and_partitions_are_as_documented,
    the_stock_client_of_confluent_reads_every_type_of_event,
}

async fn keys_headers_and_partitions_are_as_documented<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    live(&commands, 40).await?;
    let headers = [("x-folio-actor", "ann"), ("idempotency-key", "k-1")];
    let changed = commands.change_price("p1", 7_700, &headers).await?;
    assert_eq!(changed.status, 200, "{}", changed.body);

    let records = system.plain_records().await?;
    assert!(records.len() > 120, "{} records", records.len());
    for PlainRecord { partition, offset, key, headers } in &records {
        let parts: Vec<&str> = key.split('/').collect();
        let [id, _version, basis, event_id] = parts[..] else { panic!("the key is {key}") };
        assert!(basis.parse::<i64>()? <= *offset, "{key}");
        assert_eq!(*partition, i64::from(murmur2(id.as_bytes()) % PARTITIONS), "{key}");
        let is = |name: &str, value: &str| {
            assert_eq!(headers.get(name).map(String::as_str), Some(value), "{name} of {key}");
        };
        is("ce_id", event_id);
        is("ce_specversion", "1.0");
        is("content-type", "application/avro");
        for name in ["ce_type", "ce_source", "ce_time", "ce_causationid", "folio_category", "folio_brand"] {
            assert!(headers.get(name).is_some_and(|value| !value.is_empty()), "{name} of {key}: {headers:?}");
        }
        for name in ["ce_subject", "ce_sequence"] {
            assert!(!headers.contains_key(name), "{name} of {key} says again what the key says");
        }
    }
    let event_id = changed.body["event_id"].as_str().context("an event id")?;
    let last = records.iter().find(|it| it.key.ends_with(event_id));
    let headers = &last.context("the changed price is on the topic")?.headers;
    assert_eq!(headers["folio_actor"], "ann");
    assert_eq!(headers["ce_type"], "folio.catalog.product.v1.PriceChanged");
    assert_eq!(price_of(&mut system, event_id).await?, 7_700);
    Ok(())
}

async fn the_stock_client_of_confluent_reads_every_type_of_event<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let mut draft = testkit::client::product("every");
    draft["status"] = "draft".into();
    draft["product_id"] = "every".into();
    let nothing = serde_json::json!({});
    for (path, body) in [
        ("/v1/products", &draft),
        ("/v1/products/every:revise-details", &serde_json::json!({ "description": "" })),
        (
            "/v1/products/every:change-price",
            &serde_json::json!({ "price": { "minor_units": 1, "currency": "USD" } }),
        ),
        ("/v1/products/every:move-to-category", &serde_json::json!({ "category": "c" })),
        ("/v1/products/every:list", &nothing),
        ("/v1/products/every:discontinue", &nothing),
        ("/v1/products/every:delete", &nothing),
        ("/v1/products/every:restore", &nothing),
    ] {
        let reply = commands.post(path, &[], body).await?;
        ensure!(reply.status.is_success(), "{path}: {}", reply.body);
    }
    let values = system
        .with_log(async |log| {
            let mut values = Vec::new();
            log.audit(|_, _, record| values.extend(record.value.clone())).await?;
            Ok(values)
        })
        .await?;
    let registry = system.registry()?;
    let mut types = Vec::new();
    for value in &values {
        let (id, datum) = unframed_as_confluent_does(value)?;
        let schema = apache_avro::Schema::parse_str(&registry.schema(id).await?.context("a schema")?)?;
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build()?;
        let Avro::Record(fields) = reader.read_value(&mut &*datum)? else {
            anyhow::bail!("an event is a record");
        };
        let name = schema.name().map(ToString::to_string).unwrap_or_default();
        ensure!(!fields.is_empty(), "{name} says something");
        types.push(name.rsplit('.').next().unwrap_or_default().to_owned());
    }
    types.sort_unstable();
    let mut expected = contract::avro::known_schemas().iter().map(|it| it.event_type).collect::<Vec<_>>();
    expected.sort_unstable();
    assert_eq!(types, expected);
    Ok(())
}

/// What `confluent_kafka.schema_registry` for Python does with a value before it looks at its schema.
fn unframed_as_confluent_does(value: &[u8]) -> anyhow::Result<(u32, &[u8])> {
    ensure!(
        value.len() > 5,
        "expecting data framing of length 6 bytes or more but total data size is {}",
        value.len()
    );
    ensure!(value[0] == 0, "unexpected magic byte {}", value[0]);
    Ok((u32::from_be_bytes(value[1..5].try_into()?), &value[5..]))
}

/// On servers only: in one process there is one writer, and no record is void.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consumer_of_the_documents_tells_effective_records_from_void_ones() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    // Two writers of the same products: some records lose their race.
    let (one, other) = (system.command_service().await?, system.command_service().await?);
    let (one, other) = (Client::new(&one.url()), Client::new(&other.url()));
    live(&one, 20).await?;
    let mut void = 0;
    for round in 0..50 {
        let price = |client: &Client, add: u64| {
            let client = client.clone();
            async move { client.change_price("p1", 10_000 + 10 * round + add, &[]).await }
        };
        let racing = (0..4).flat_map(|add| [price(&one, add), price(&other, 4 + add)]);
        for answer in futures::future::join_all(racing).await {
            assert_eq!(answer?.status, 200);
        }
        void = audited(&system).await?.1;
        if void >= 3 {
            break;
        }
    }
    assert!(void >= 3, "{void} void records: this test needs some");
    // What is no key, what is of another partition, and what skips versions is void for everyone.
    let strange = [
        "not a key",
        "p1/1/0/018f3a4e-0000-7000-8000-000000000001",
        "p1/999999/0/018f3a4e-0000-7000-8000-000000000002",
        "p1/01/0/018f3a4e-0000-7000-8000-000000000003",
    ];
    produce(&system, &strange).await?;

    let lines = kcat(&system.config.kafka.bootstrap_servers, system.topic()).await?;
    let (ours, _) = audited(&system).await?;
    assert!(ours.len() <= PlainRecord::all(&lines)?.len() - 3 - strange.len());
    // Values are Avro, and no UTF-8: the consumer gets them as kcat writes them.
    assert!(std::str::from_utf8(&lines).is_err(), "this test needs bytes that are no text");
    assert_eq!(consumed(lines)?, ours);
    Ok(())
}

/// (partition, offset) of every effective record, by our own reader, and how many are void.
async fn audited(system: &OnServers) -> anyhow::Result<(BTreeSet<(i64, i64)>, u64)> {
    let mut effective = BTreeSet::new();
    let log = read_topic(&system.config.kafka, system.topic()).await?;
    let judged = log.audit(|partition, _, record| {
        effective.insert((i64::from(partition.0), record.offset));
    });
    let void = judged.await?.void;
    Ok((effective, void))
}

/// The same by `examples/consumer.py`, which is shown what kcat writes, byte for byte.
fn consumed(lines: Vec<u8>) -> anyhow::Result<BTreeSet<(i64, i64)>> {
    require(&["python3"])?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/consumer.py");
    let mut consumer = Command::new("python3")
        .args([script, "-", "6"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = consumer.stdin.take().context("its input")?;
    let writing = std::thread::spawn(move || input.write_all(&lines));
    let out = consumer.wait_with_output()?;
    writing.join().map_err(|_| anyhow::anyhow!("writing to the consumer"))??;
    ensure!(out.status.success(), "consumer.py failed");
    let line = |line: &str| -> anyhow::Result<(i64, i64)> {
        let record: Value = serde_json::from_str(line)?;
        Ok((
            record["partition"].as_i64().context("a partition")?,
            record["offset"].as_i64().context("an offset")?,
        ))
    };
    String::from_utf8(out.stdout)?.lines().map(line).collect()
}

/// Appends records with these keys, as someone who does not know the rule would.
async fn produce(system: &OnServers, keys: &[&str]) -> anyhow::Result<()> {
    let (servers, topic) = (system.config.kafka.bootstrap_servers.clone(), system.topic().to_owned());
    let lines: Vec<String> = keys.iter().map(|key| format!("{key}|{{}}\n")).collect();
    let lines = lines.concat();
    tokio::task::spawn_blocking(move || {
        require(&["kcat"])?;
        let mut kcat = Command::new("kcat")
            .args(["-b", &servers, "-P", "-t", &topic, "-p", "1", "-K", "|"])
            .stdin(Stdio::piped())
            .spawn()?;
        kcat.stdin.take().context("its input")?.write_all(lines.as_bytes())?;
        ensure!(kcat.wait()?.success(), "kcat could not write");
        Ok(())
    })
    .await?
}

/// The price in the value of an event's record, read with the schema the registry holds for the id in its frame.
async fn price_of(system: &mut impl System, event_id: &str) -> anyhow::Result<i64> {
    let event_id: uuid::Uuid = event_id.parse()?;
    let value = system
        .with_log(async |log| {
            let mut value = None;
            let judged = log.audit(|_, key, record| {
                if key.event_id == event_id {
                    value.clone_from(&record.value);
                }
            });
            judged.await?;
            value.context("the record has a value")
        })
        .await?;
    let (id, datum) = unframed_as_confluent_does(&value)?;
    let schema = system.registry()?.schema(id).await?;
    let schema = apache_avro::Schema::parse_str(&schema.context("a schema")?)?;
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build()?;
    let Avro::Record(fields) = reader.read_value(&mut &*datum)? else {
        anyhow::bail!("an event is a record");
    };
    let price = fields.into_iter().find(|(name, _)| name == "price").context("a price")?.1;
    let Avro::Record(price) = price else { anyhow::bail!("a price is a record") };
    match price.into_iter().find(|(name, _)| name == "minor_units") {
        Some((_, Avro::Long(minor_units))) => Ok(minor_units),
        other => anyhow::bail!("minor units: {other:?}"),
    }
}

/// Kafka's murmur2, written down a second time, as another team's client would.
fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    for (index, byte) in rest.iter().enumerate().rev() {
        h ^= u32::from(*byte) << (8 * index);
    }
    if !rest.is_empty() {
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    ((h ^ (h >> 15)) & 0x7fff_ffff) as i32
}
