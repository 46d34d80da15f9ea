//! The tool's configuration: the same sections and names as the services', so one file can serve all.

use adapter_cql::CqlConfig;
use adapter_kafka::KafkaConfig;
use adapter_registry::RegistryConfig;
use adapter_search::SearchConfig;
use local_servers::Addresses;
use persons::PrivacyConfig;
use serde::{Deserialize, Serialize};
use toolkit::config::{ConfigError, TelemetryConfig};

use crate::system::Names;

/// The tool's name in configuration errors.
pub const SERVICE: &str = "folio";

/// Where the servers are, and what things on them are called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub cql: CqlConfig,
    pub search: SearchConfig,
    pub privacy: PrivacyConfig,
    /// The topic that holds the events.
    pub topic: String,
    /// The topic that holds the decisions about builds of read models.
    pub control_topic: String,
    pub telemetry: TelemetryConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kafka: KafkaConfig::default(),
            registry: RegistryConfig::default(),
            cql: CqlConfig::default(),
            search: SearchConfig::default(),
            privacy: PrivacyConfig::default(),
            topic: contract::topics::EVENTS.to_owned(),
            control_topic: contract::topics::CONTROL.to_owned(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Config {
    /// Finds what parses and yet cannot serve, or contradicts itself.
    ///
    /// # Errors
    /// That, with its key.
    pub fn check(&self) -> Result<(), ConfigError> {
        let sections = [
            self.kafka.check(),
            self.registry.check(),
            self.cql.check(),
            self.search.check(),
            self.privacy.check(),
        ];
        toolkit::config::usable(SERVICE, sections)
    }

    /// The configuration for servers started by [`local_servers`], with one replica of everything.
    pub fn local(addresses: &Addresses, names: &Names) -> Self {
        Self::default().at(addresses, names)
    }

    /// The same for other servers, which have one replica of everything.
    #[must_use]
    pub fn at(self, addresses: &Addresses, names: &Names) -> Self {
        let mut config = self;
        config.kafka.bootstrap_servers.clone_from(&addresses.kafka_bootstrap);
        config.registry.url.clone_from(&addresses.registry_url);
        config.cql.contact_points = vec![addresses.cql_contact_point.clone()];
        config.cql.keyspace.clone_from(&names.keyspace);
        "{'class': 'SimpleStrategy', 'replication_factor': 1}".clone_into(&mut config.cql.replication);
        config.search.url.clone_from(&addresses.elasticsearch_url);
        config.search.index_prefix.clone_from(&names.index_prefix);
        config.topic.clone_from(&names.topic);
        config.control_topic.clone_from(&names.control_topic);
        config
    }
}
