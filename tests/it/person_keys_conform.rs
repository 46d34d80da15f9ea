//! The keys of persons in ScyllaDB (Cassandra) and on local disk are what services rely on: [`testkit::person_keys_suite`].

use std::sync::Arc;

use adapter_cql::Cql;
use adapter_embedded::person_keys::EmbeddedKeys;
use adapter_person_keys::{CqlKeys, SCHEMA};
use anyhow::ensure;
use testkit::person_keys_suite::person_keys_conform;
use testkit::{OnServers, System};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_cql() -> anyhow::Result<()> {
    let system = OnServers::prepare().await?;
    let config = &system.config.cql;
    let without = CqlKeys::connect(config).await.map(drop).unwrap_err();
    ensure!(without.is_missing() && without.to_string().contains("folio stores apply"), "{without}");
    let cql = Cql::connect(config).await?;
    let applied = cql.apply(&SCHEMA, &config.replication, 1).await?;
    ensure!(applied.len() == 3 && applied.iter().all(|it| it.created), "{applied:?}");
    person_keys_conform(Arc::new(CqlKeys::connect(config).await?)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_local_disk() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    person_keys_conform(Arc::new(EmbeddedKeys::open(&dir.path().join("person-keys"))?)).await
}
