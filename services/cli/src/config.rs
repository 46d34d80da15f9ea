//! The tool's configuration: the same sections and names as the services', so one file can serve all.

use serde::{Deserialize, Serialize};
use toolkit::config::{CqlConfig, KafkaConfig, RegistryConfig, SearchConfig, TelemetryConfig};

use crate::local::Addresses;
use crate::system::Names;

/// The tool's name in configuration errors.
pub const SERVICE: &str = "folio";

/// Where the servers are, and what things on them are called.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub cql: CqlConfig,
    pub search: SearchConfig,
    pub topic: Topic,
    pub telemetry: TelemetryConfig,
}

/// The topic that holds the events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topic {
    pub name: String,
}

impl Default for Topic {
    fn default() -> Self {
        Self { name: contract::topics::EVENTS.to_owned() }
    }
}

impl Config {
    /// The configuration for servers started by [`crate::local`], with one replica of everything.
    pub fn local(addresses: &Addresses, names: &Names) -> Self {
        let mut config = Self::default();
        config.kafka.bootstrap_servers.clone_from(&addresses.kafka_bootstrap);
        config.registry.url.clone_from(&addresses.registry_url);
        config.cql.contact_points = vec![addresses.cql_contact_point.clone()];
        config.cql.keyspace.clone_from(&names.keyspace);
        "{'class': 'SimpleStrategy', 'replication_factor': 1}".clone_into(&mut config.cql.replication);
        config.search.url.clone_from(&addresses.elasticsearch_url);
        config.search.index_prefix.clone_from(&names.index_prefix);
        config.topic.name.clone_from(&names.topic);
        config
    }
}
