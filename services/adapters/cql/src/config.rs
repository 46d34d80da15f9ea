//! The section of a service's configuration that says how to reach ScyllaDB or Cassandra.

use serde::{Deserialize, Serialize};
use toolkit::config::{Secret, list, optional};

/// How to reach ScyllaDB or Cassandra.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CqlConfig {
    /// `host:port` of some nodes; the driver finds the others.
    #[serde(deserialize_with = "list")]
    pub contact_points: Vec<String>,
    /// The data centre whose nodes are preferred; none: any.
    #[serde(deserialize_with = "optional")]
    pub local_datacenter: Option<String>,
    pub keyspace: String,
    #[serde(deserialize_with = "optional")]
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// CQL map of the keyspace's replication, used when the keyspace is created.
    pub replication: String,
    /// How long one statement may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many writes may be in flight at once.
    pub concurrency: usize,
}

impl Default for CqlConfig {
    fn default() -> Self {
        Self {
            contact_points: vec!["localhost:9042".to_owned()],
            local_datacenter: None,
            keyspace: "folio".to_owned(),
            username: None,
            password: None,
            replication: "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}".to_owned(),
            timeout_ms: 5_000,
            concurrency: 256,
        }
    }
}
