//! P13 Old events stay readable, and a breaking schema change is refused.

use adapter_registry::{BACKWARD_TRANSITIVE, Compatibility, HttpRegistry};
use contract::avro::{SchemaIds, decode, known_schemas, subject};
use testkit::System;

/// Every golden sample, by the schema it was written with, decodes to today's event.
#[test]
fn every_golden_sample_decodes() -> anyhow::Result<()> {
    let ids = SchemaIds::without_registry();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden");
    for schema in known_schemas() {
        let path = golden.join(format!("{}.v{}.avro", schema.event_type, schema.version));
        let datum = std::fs::read(&path)?;
        let id = ids.id_of(schema.event_type).unwrap_or_default();
        // Samples hold the datum alone: registries give ids, and every registry others.
        let framed = [&[0_u8][..], &id.to_be_bytes(), &datum].concat();
        let event = decode(&framed, &ids).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        assert_eq!(event.type_name(), schema.event_type);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_refuses_a_breaking_change() -> anyhow::Result<()> {
    let system = System::prepare().await?;
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
