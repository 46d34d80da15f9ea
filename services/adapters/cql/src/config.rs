//! The section of a service's configuration that says how to reach ScyllaDB or Cassandra.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toolkit::config::{Credential, Secret, Unusable, list, optional, optional_path};
use toolkit::tls::TlsConfig;

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
    /// A file that holds the password instead, and may be replaced at any time: connections that are made from then on sign in with it.
    #[serde(deserialize_with = "optional_path")]
    pub password_file: Option<PathBuf>,
    /// Whether the nodes' port speaks TLS.
    pub use_tls: bool,
    /// How nodes are known then, and what they are shown.
    pub tls: TlsConfig,
    /// The name that every node's certificate has; none: the node's address, which the driver learns from the cluster.
    #[serde(deserialize_with = "optional")]
    pub tls_server_name: Option<String>,
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
            password_file: None,
            use_tls: false,
            tls: TlsConfig::default(),
            tls_server_name: None,
            replication: "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}".to_owned(),
            timeout_ms: 5_000,
            concurrency: 256,
        }
    }
}

impl CqlConfig {
    /// Finds what parses and yet cannot serve, or contradicts itself.
    pub fn check(&self) -> Result<(), Unusable> {
        if !self.use_tls && (self.tls.is_given() || self.tls_server_name.is_some()) {
            let problem = "it is given, and cql.use_tls is false";
            return Err(Unusable::new("cql.tls", problem, "set cql.use_tls to true, or leave it out"));
        }
        self.credential()?;
        self.tls.check("cql.tls")
    }

    /// The password, as it is whenever it is asked for.
    pub(crate) fn credential(&self) -> Result<Option<Credential>, Unusable> {
        Credential::of("cql.password", self.password.as_ref(), self.password_file.as_deref())
    }
}
