//! Cassandra and Elasticsearch, for the measures of the read side alone: while the write side is measured they must not run.

use local_servers::{Addresses, Kind, Running};

use crate::servers::Servers;

/// The running stores. Dropped, they are gone.
pub(crate) struct Stores {
    running: Vec<Running>,
    pub addresses: Addresses,
}

impl Stores {
    /// Starts both, empty, and waits until they can be used.
    pub(crate) fn start(servers: &Servers) -> anyhow::Result<Self> {
        let mut stores = Self { running: Vec::new(), addresses: servers.addresses() };
        let cassandra = servers.beside(Kind::Cassandra)?;
        stores.addresses.cql_contact_point = cassandra.address();
        stores.running.push(cassandra);
        let elasticsearch = servers.beside(Kind::Elasticsearch)?;
        stores.addresses.elasticsearch_url = format!("http://{}", elasticsearch.address());
        stores.running.push(elasticsearch);
        Ok(stores)
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        for server in &self.running {
            let ended =
                server.kill().and_then(|()| std::fs::remove_dir_all(server.dir()).map_err(Into::into));
            if let Err(error) = ended {
                eprintln!("ending {}: {error:#}", server.kind.title());
            }
        }
    }
}
