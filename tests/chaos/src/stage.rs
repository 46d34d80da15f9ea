//! Everything that faults fall on: three brokers behind proxies, three command services, a projector for each read model,
//! both stores, and the clients.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use local_servers::free_port;
use testkit::history::{Catalog, Load, Recorded, Writer};
use testkit::kafka_proxy::{KafkaProxies, Route};
use testkit::servers::{Kind as Server, PrivateKafka, PrivateServer, servers};
use testkit::{Client, OnServers, PATIENCE, Started, System};
use tokio::task::JoinHandle;

use crate::watch::Leaders;

pub(crate) const BROKERS: usize = 3;
pub(crate) const INSTANCES: usize = 3;
pub(crate) const PARTITIONS: i32 = 6;
const WRITERS: usize = 24;
const LOAD: Load = Load {
    products: 400,
    hot: 24,
    hot_share: 0.7,
    unknown: 4,
    impatient: 0.3,
    repeated: 0.05,
    pause: Duration::from_millis(5),
};

pub(crate) struct Stage {
    // Dropped in this order: services before their servers.
    pub(crate) system: OnServers,
    pub(crate) services: Vec<Started>,
    pub(crate) projectors: Vec<Started>,
    pub(crate) leaders: Leaders,
    pub(crate) proxies: KafkaProxies,
    pub(crate) kafka: PrivateKafka,
    pub(crate) cassandra: PrivateServer,
    pub(crate) elasticsearch: PrivateServer,
    pub(crate) catalog: Arc<Catalog>,
}

/// The clients at work.
pub(crate) type Writing = Vec<JoinHandle<Vec<Recorded>>>;

impl Stage {
    /// Starts everything; waits until every service is ready.
    pub(crate) async fn build() -> anyhow::Result<Self> {
        let mut routes = Vec::new();
        for node in 1..=BROKERS as i32 {
            routes.push(Route { node, proxy: free_port()?, broker: free_port()? });
        }
        let proxies = KafkaProxies::start(&routes).await?;
        let start = move || {
            let (kafka, stack) = (PrivateKafka::start_behind(&routes), servers());
            let (cassandra, elasticsearch) =
                (PrivateServer::start(Server::Cassandra), PrivateServer::start(Server::Elasticsearch));
            (stack, kafka, cassandra, elasticsearch)
        };
        let (stack, kafka, cassandra, elasticsearch) = tokio::task::spawn_blocking(start).await?;
        let (kafka, cassandra, elasticsearch) = (kafka?, cassandra?, elasticsearch?);
        // This program itself goes past the proxies: what it reads is not attacked.
        let mut addresses = stack.addresses.clone();
        addresses.kafka_bootstrap = kafka.bootstrap();
        addresses.cql_contact_point = cassandra.address();
        addresses.elasticsearch_url = format!("http://{}", elasticsearch.address());
        let mut system = OnServers::prepare_replicated(addresses, PARTITIONS).await?;
        system.planner.addresses.kafka_bootstrap = proxies.bootstrap();
        let mut services = Vec::new();
        for number in 0..INSTANCES {
            let (mut plan, listens) = system.planner.command_service(number)?;
            // So that the proxies can tell one instance from another.
            let variable = ("FOLIO__KAFKA__PROPERTIES__CLIENT_ID".to_owned(), client_id(number));
            plan.environment.push(variable);
            services.push(system.start((plan, listens))?);
        }
        let projectors = system.projectors().await?;
        for service in &services {
            service.service.wait_ready(PATIENCE).await?;
        }
        let leaders = Leaders::watch(&system.config.kafka, system.topic())?;
        let catalog = Arc::new(Catalog::new(LOAD, INSTANCES));
        Ok(Self { system, services, projectors, leaders, proxies, kafka, cassandra, elasticsearch, catalog })
    }

    /// Lets the clients begin: each creates its share of the products, then changes them until the catalog is stopped.
    pub(crate) fn write(&self, seed: u64) -> Writing {
        let instances: Vec<Client> = self.services.iter().map(|it| Client::new(&it.url())).collect();
        let one = |number| {
            let mut writer = Writer::new(number, seed, &self.catalog, &instances);
            tokio::spawn(async move {
                let mut recorded = writer.create(WRITERS).await;
                recorded.extend(writer.run(usize::MAX).await);
                recorded
            })
        };
        (0..WRITERS).map(one).collect()
    }

    /// Copies the brokers' logs beside the services', where all stay.
    pub(crate) fn keep_logs(&mut self) -> anyhow::Result<&Path> {
        let dir = self.system.keep_logs();
        for broker in self.kafka.brokers() {
            let copy = dir.join(format!("broker-{}.log", broker.node));
            std::fs::copy(broker.log_path(), &copy)
                .with_context(|| format!("keeping a broker's log as {}", copy.display()))?;
        }
        Ok(dir)
    }
}

/// What the instance calls itself before the brokers.
pub(crate) fn client_id(instance: usize) -> String {
    format!("command-{instance}")
}
