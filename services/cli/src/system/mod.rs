//! Folio's services as local processes: which there are, how each is configured, and how all of them start and stop.

mod service;

use std::path::{Path, PathBuf};

use local_servers::{Addresses, free_port};
use read_models::ReadModel;
use serde::{Deserialize, Serialize};

pub use service::{Plan, Service, binaries};

/// The names that keep one catalog apart from another on the same servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    pub topic: String,
    pub control_topic: String,
    pub keyspace: String,
    pub index_prefix: String,
    /// What consumer group ids begin with.
    pub group_prefix: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            topic: contract::topics::EVENTS.to_owned(),
            control_topic: contract::topics::CONTROL.to_owned(),
            keyspace: "folio".to_owned(),
            index_prefix: "folio".to_owned(),
            group_prefix: "folio".to_owned(),
        }
    }
}

impl Names {
    /// Names that begin with `prefix`, for a catalog of one test.
    pub fn prefixed(prefix: &str) -> Self {
        Self {
            topic: format!("{prefix}.{}", contract::topics::EVENTS),
            control_topic: format!("{prefix}.{}", contract::topics::CONTROL),
            keyspace: prefix.replace('-', "_"),
            index_prefix: prefix.to_owned(),
            group_prefix: prefix.to_owned(),
        }
    }
}

/// Where a started service listens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Listens {
    /// `host:port`; empty if it has no such port.
    pub http: String,
    pub grpc: String,
    pub ops: String,
}

/// Makes the plans of services for one catalog.
#[derive(Clone, Debug)]
pub struct Planner {
    pub addresses: Addresses,
    pub names: Names,
    /// Where the binaries are.
    pub binaries: PathBuf,
    /// Where logs go.
    pub dir: PathBuf,
}

impl Planner {
    /// A planner for the binaries beside the running one.
    ///
    /// # Errors
    /// If the running binary's own path cannot be found.
    pub fn new(addresses: Addresses, names: Names, dir: &Path) -> anyhow::Result<Self> {
        Ok(Self { addresses, names, binaries: binaries()?, dir: dir.to_owned() })
    }

    /// A command service; `number` tells instances apart.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn command_service(&self, number: usize) -> anyhow::Result<(Plan, Listens)> {
        let listens = listens(true)?;
        let mut environment = self.kafka();
        environment.extend(self.registry());
        environment.extend(listen(&listens));
        let name = format!("command-service-{number}");
        let cache = self.dir.join(format!("{name}.cache")).display().to_string();
        environment.extend(variables([("CACHE__DIR", &cache)]));
        Ok((self.plan(&name, "command-service", &[], environment, &listens), listens))
    }

    /// A projector of `read_model`; `number` tells instances apart.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn projector(&self, read_model: ReadModel, number: usize) -> anyhow::Result<(Plan, Listens)> {
        let listens = listens(false)?;
        let mut environment = self.kafka();
        environment.extend(self.registry());
        environment.extend(self.stores());
        environment.extend(variables([
            ("GROUP_PREFIX", &self.names.group_prefix),
            ("CONTROL_TOPIC", &self.names.control_topic),
        ]));
        environment.extend(listen(&listens));
        let name = format!("projector-{read_model}-{number}");
        Ok((
            self.plan(&name, "projector", &["--read-model", read_model.name()], environment, &listens),
            listens,
        ))
    }

    /// A query gateway; `number` tells instances apart.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn query_gateway(&self, number: usize) -> anyhow::Result<(Plan, Listens)> {
        let listens = listens(true)?;
        let mut environment = self.stores();
        environment.extend(variables([("QUERIES__GROUP_PREFIX", &self.names.group_prefix)]));
        environment.extend(listen(&listens));
        Ok((
            self.plan(&format!("query-gateway-{number}"), "query-gateway", &[], environment, &listens),
            listens,
        ))
    }

    fn plan(
        &self,
        name: &str,
        binary: &str,
        arguments: &[&str],
        mut environment: Vec<(String, String)>,
        listens: &Listens,
    ) -> Plan {
        // They are for this machine, and listen on it alone.
        environment.extend(variables([("AUTH__ALLOW_ANONYMOUS", "true")]));
        Plan {
            name: name.to_owned(),
            binary: self.binaries.join(binary),
            arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
            environment,
            ops: listens.ops.clone(),
            dir: self.dir.clone(),
        }
    }

    fn kafka(&self) -> Vec<(String, String)> {
        variables([
            ("KAFKA__BOOTSTRAP_SERVERS", &self.addresses.kafka_bootstrap),
            ("TOPIC", &self.names.topic),
        ])
    }

    fn registry(&self) -> Vec<(String, String)> {
        variables([("REGISTRY__URL", &self.addresses.registry_url)])
    }

    fn stores(&self) -> Vec<(String, String)> {
        variables([
            ("CQL__CONTACT_POINTS", &self.addresses.cql_contact_point),
            ("CQL__KEYSPACE", &self.names.keyspace),
            ("SEARCH__URL", &self.addresses.elasticsearch_url),
            ("SEARCH__INDEX_PREFIX", &self.names.index_prefix),
        ])
    }
}

fn variables<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.into_iter().map(|(key, value)| (format!("FOLIO__{key}"), value.to_owned())).collect()
}

fn listens(serves_clients: bool) -> anyhow::Result<Listens> {
    let address = || Ok::<_, anyhow::Error>(format!("127.0.0.1:{}", free_port()?));
    if serves_clients {
        Ok(Listens { http: address()?, grpc: address()?, ops: address()? })
    } else {
        Ok(Listens { ops: address()?, ..Listens::default() })
    }
}

fn listen(listens: &Listens) -> Vec<(String, String)> {
    let pairs =
        [("LISTEN__HTTP", &listens.http), ("LISTEN__GRPC", &listens.grpc), ("LISTEN__OPS", &listens.ops)];
    pairs
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (format!("FOLIO__{key}"), value.clone()))
        .collect()
}
