//! `folio schemas`: the event schemas in the registry. Services never register: a schema is there before its first event.

use adapter_registry::{Compatibility, HttpRegistry, Registry};
use anyhow::{Context, bail};
use contract::avro::{KnownSchema, SchemaIds, known_schemas, subject};
use event_reader::SchemaSource as _;

use crate::config::Config;
use crate::say::say;

/// Registers every schema of this build; compatibility is set first, so that a breaking schema is refused.
///
/// # Errors
/// If the registry cannot be reached, or refuses a schema: why.
pub async fn register(config: &Config) -> anyhow::Result<()> {
    let registry = HttpRegistry::new(&config.registry)?;
    for schema in known_schemas() {
        let subject = subject(&config.topic, schema.fqn);
        registry.set_compatibility(&subject).await?;
        let id = registry.register(&subject, schema.text).await?;
        say!("schema {} v{}: id {id}, subject {subject}", schema.event_type, schema.version);
    }
    Ok(())
}

/// Compares the registry with the schemas of this build.
///
/// # Errors
/// If a schema is not registered, or could not be because it breaks an earlier version: what breaks.
pub async fn check(config: &Config) -> anyhow::Result<()> {
    let registry = HttpRegistry::new(&config.registry)?;
    let mut wrong = 0;
    for schema in known_schemas() {
        let subject = subject(&config.topic, schema.fqn);
        match registry.id_of(&subject, schema.text).await {
            Ok(id) => say!("schema {} v{}: registered as id {id}", schema.event_type, schema.version),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(_) => {
                wrong += 1;
                say!(
                    "schema {} v{}: {}",
                    schema.event_type,
                    schema.version,
                    could(&registry, &subject, schema).await?
                );
            }
        }
    }
    if wrong > 0 {
        bail!(
            "{wrong} schemas are not registered: run `folio schemas register`, or give a breaking change a new event type"
        );
    }
    Ok(())
}

async fn could(registry: &HttpRegistry, subject: &str, schema: &KnownSchema) -> anyhow::Result<String> {
    Ok(match registry.check_compatibility(subject, schema.text).await? {
        Compatibility::Compatible => "not registered, and compatible with what is".to_owned(),
        Compatibility::Incompatible(problems) => {
            format!("breaks what is registered: {}", problems.join("; "))
        }
    })
}

/// The ids the registry gave to this build's schemas.
///
/// # Errors
/// If one is not registered.
pub async fn ids(config: &Config) -> anyhow::Result<SchemaIds> {
    let ids = Registry::new(&config.registry)?.of_topic(&config.topic).ids().await?;
    SchemaIds::new(ids).context("making the table of schema ids")
}
