//! P13 Old events stay readable, and a breaking schema change is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adapter_registry::{BACKWARD_TRANSITIVE, Compatibility, HttpRegistry};
use anyhow::Context as _;
use contract::avro::{KnownSchema, SchemaIds, decode, known_schemas, subject};
use event_reader::SchemaSource as _;
use ledger::{Headers, NewRecord, RecordKey, Subject};
use testkit::{Client, OnServers, System, promised};
use uuid::Uuid;

promised! {
    every_golden_sample_in_the_log_is_read_back_and_goes_on,
}

/// Every golden sample, by the schema it was written with, decodes to today's event.
#[test]
fn every_golden_sample_decodes() -> anyhow::Result<()> {
    let ids = SchemaIds::without_registry();
    for schema in known_schemas() {
        let id = ids.id_of(schema.event_type).unwrap_or_default();
        let event = decode(&framed(sample(schema), id)?, &ids).context(schema.fqn)?;
        assert_eq!(event.type_name(), schema.event_type);
    }
    Ok(())
}

/// Every golden sample as a record of a log, written by a release of before: it is answered by the read models, and its product
/// takes commands.
async fn every_golden_sample_in_the_log_is_read_back_and_goes_on<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let ids: BTreeMap<Sample, u32> =
        system.registry()?.ids().await?.into_iter().map(|(schema, id)| (sample(&schema), id)).collect();
    let mut records = Vec::new();
    for &last in ids.keys() {
        for (version, one) in (1..).zip(life(last)) {
            let key = RecordKey {
                subject: Subject::parse(&product_of(last))?,
                version,
                basis: 0,
                event_id: Uuid::from_u128(records.len() as u128 + 1),
            };
            records.push(NewRecord { key, value: framed(one, ids[&one])?.into(), headers: Headers::new() });
        }
    }
    let count = records.len() as u64;
    system.append(records).await?;
    assert_eq!(system.oracle().await?.effective(), count);

    let commands = Client::new(&system.command_service().await?.url());
    system.projectors().await?;
    let queries = Client::new(&system.query_gateway().await?.url());
    system.caught_up().await?;
    for &last in ids.keys() {
        let (id, life) = (product_of(last), life(last));
        let history = queries.get(&format!("/v1/products/{id}/history?order=asc")).await?;
        assert_eq!(history.status, 200, "{id}: {}", history.body);
        let entries = history.body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(entries.len(), life.len(), "{}", history.body);
        for (entry, (event_type, version)) in entries.iter().zip(&life) {
            assert_eq!(entry["event_type"], *event_type, "{entry}");
            let json = std::fs::read(samples().join(format!("{event_type}.v{version}.json")))?;
            assert_eq!(entry["event"], serde_json::from_slice::<serde_json::Value>(&json)?, "{id}");
        }
        let product = queries.get(&format!("/v1/products/{id}")).await?;
        let next = if last.0 == "ProductDeleted" {
            assert_eq!((product.status.as_u16(), product.code()), (410, "product-gone"), "{}", product.body);
            commands.post(&format!("/v1/products/{id}:restore"), &[], &serde_json::json!({})).await?
        } else {
            assert_eq!(product.body["version"], life.len() as u64, "{id}: {}", product.body);
            commands.change_price(&id, 7, &[]).await?
        };
        assert_eq!(next.body["version"], life.len() as u64 + 1, "{id}: {}", next.body);
    }
    Ok(())
}

/// The type of an event, and the version of the schema that its golden sample is written with.
type Sample = (&'static str, u32);

fn sample(schema: &KnownSchema) -> Sample {
    (schema.event_type, schema.version)
}

fn product_of((event_type, version): Sample) -> String {
    format!("golden-{event_type}-{version}")
}

/// What brings a product to where this event makes sense, and this event.
fn life(last: Sample) -> Vec<Sample> {
    match last.0 {
        "ProductCreated" => vec![last],
        "ProductRestored" => vec![("ProductCreated", 1), ("ProductDeleted", 1), last],
        _ => vec![("ProductCreated", 1), last],
    }
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden")
}

/// The sample as a value of a record. Samples hold the datum alone: registries give ids, and every registry others.
fn framed((event_type, version): Sample, id: u32) -> anyhow::Result<Vec<u8>> {
    let path = samples().join(format!("{event_type}.v{version}.avro"));
    let datum = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok([&[0_u8][..], &id.to_be_bytes(), &datum].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_refuses_a_breaking_change() -> anyhow::Result<()> {
    let system = OnServers::prepare().await?;
    let registry = HttpRegistry::new(&system.config.registry)?;
    for schema in known_schemas() {
        let subject = subject(system.topic(), schema.fqn);
        assert_eq!(
            registry.compatibility(&subject).await?.as_deref(),
            Some(BACKWARD_TRANSITIVE),
            "{subject}"
        );
        let mut broken: serde_json::Value = serde_json::from_str(schema.text)?;
        let field = serde_json::json!({ "name": "new_and_required", "type": "string" });
        broken["fields"].as_array_mut().expect("a record has fields").push(field);
        let judged = registry.check_compatibility(&subject, &broken.to_string()).await?;
        assert!(
            matches!(judged, Compatibility::Incompatible(_)),
            "{subject} took a required field without a default"
        );
        let refused = registry.register(&subject, &broken.to_string()).await;
        assert!(refused.is_err(), "{subject} was registered with a breaking change: {refused:?}");

        let mut grown: serde_json::Value = serde_json::from_str(schema.text)?;
        let field =
            serde_json::json!({ "name": "new_and_optional", "type": ["null", "string"], "default": null });
        grown["fields"].as_array_mut().expect("a record has fields").push(field);
        assert_eq!(
            registry.check_compatibility(&subject, &grown.to_string()).await?,
            Compatibility::Compatible
        );
    }
    cli::commands::schemas::check(&system.config).await?;
    Ok(())
}
