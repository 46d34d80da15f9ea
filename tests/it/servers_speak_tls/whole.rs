//! All of Folio over TLS, with no right too many: what each service is allowed at Kafka is what docs/tls.md lists, and
//! without any one of these rights it says which is missing.

use adapter_kafka::{Mechanism, Profile, describe_topic};
use adapter_registry::RegistryConfig;
use adapter_search::SearchConfig;
use cli::commands::topics;
use cli::system::{Listens, Plan};
use read_models::ReadModel;
use testkit::authority::Authority;
use testkit::servers::servers;
use testkit::tls_front::TlsFront;
use testkit::{Client, OnServers, PATIENCE, Started, eventually};
use toolkit::tls::TlsConfig;

use super::kafka::{PASSWORD, Secured};
use super::stores::{cassandra, cassandra_is_up, cql, registry};
use super::{HERE, believes, serves};

/// The rights of each service, as an operator grants them.
const COMMANDS: [(&str, &[&str]); 1] = [("--topic", &["Read", "Write", "DescribeConfigs"])];
const PROJECTORS: [(&str, &[&str]); 2] = [("--topic", &["Read", "DescribeConfigs"]), ("--group", &["Read"])];
const SETUP: [(&str, &[&str]); 1] = [("--topic", &["Create", "DescribeConfigs", "Describe"])];

fn file(path: Option<&std::path::PathBuf>) -> String {
    path.map(|it| it.display().to_string()).unwrap_or_default()
}

/// What a service is told of TLS to one server.
fn told(section: &str, tls: &TlsConfig) -> Vec<(String, String)> {
    let key = |name: &str| format!("FOLIO__{section}__TLS__{name}");
    vec![
        (key("CA_FILE"), file(tls.ca_file.as_ref())),
        (key("CERTIFICATE_FILE"), file(tls.certificate_file.as_ref())),
        (key("KEY_FILE"), file(tls.key_file.as_ref())),
    ]
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (format!("FOLIO__{name}"), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_over_tls_with_the_rights_that_are_listed_and_no_others() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca")?;
    let (node, folio) = (ca.signs("node", &HERE)?, ca.signs("folio", &["folio"])?);
    let started = tokio::task::block_in_place(|| {
        let store = cassandra(dir.path(), &ca, &node)?;
        let registry = registry(&node)?;
        let kafka = Secured::start(dir.path(), &ca, &node)?;
        anyhow::Ok((kafka, store, registry, servers()))
    })?;
    let (kafka, store, (_registry, registry_port), stack) = started;
    let elasticsearch = stack.addresses.elasticsearch_url.trim_start_matches("http://");
    let search =
        TlsFront::before(elasticsearch, &serves(&node, Some(&ca)), Some("ApiKey dGhlOmtleQ==")).await?;

    let mut addresses = stack.addresses.clone();
    addresses.kafka_bootstrap.clone_from(&kafka.signed);
    addresses.cql_contact_point = store.address();
    addresses.elasticsearch_url = format!("https://{}", search.address());
    addresses.registry_url = format!("https://127.0.0.1:{registry_port}/apis/ccompat/v7");
    let mut system = OnServers::named(addresses.clone())?;
    let mutual = believes(&ca, Some(&folio));
    let as_named = system.config.clone();
    system.config.kafka = kafka.user(Mechanism::ScramSha512, "setup", &ca);
    system.config.cql = adapter_cql::CqlConfig {
        keyspace: as_named.cql.keyspace.clone(),
        replication: as_named.cql.replication.clone(),
        ..cql(&store.address(), &ca, &folio)
    };
    system.config.search =
        SearchConfig { api_key: Some("dGhlOmtleQ==".into()), tls: mutual.clone(), ..as_named.search.clone() };
    system.config.registry = RegistryConfig { tls: believes(&ca, None), ..as_named.registry.clone() };
    let prefix = system.prefix();
    let grant = |user: &str, rights: &[(&str, &[&str])]| {
        for (kind, operations) in rights {
            kafka.allow(user, kind, prefix.trim_end_matches('.'), operations)?;
        }
        anyhow::Ok(())
    };
    tokio::task::block_in_place(|| {
        grant("setup", &SETUP)?;
        grant("commands", &COMMANDS)?;
        grant("projectors", &PROJECTORS)?;
        kafka.allow("projectors", "--topic", &format!("{prefix}{}", contract::topics::CONTROL), &["Write"])
    })?;
    cassandra_is_up(&store, &system.config.cql).await;
    let mut system = system.make().await?;

    let of_kafka = |user: &str| {
        let mut all = variables(&[
            ("KAFKA__SECURITY_PROTOCOL", "SASL_SSL"),
            ("KAFKA__SASL__MECHANISM", "SCRAM-SHA-512"),
            ("KAFKA__SASL__USERNAME", user),
            ("KAFKA__SASL__PASSWORD", PASSWORD),
        ]);
        all.extend(told("KAFKA", &believes(&ca, None)));
        all.extend(told("REGISTRY", &believes(&ca, None)));
        all
    };
    let mut of_stores = variables(&[
        ("CQL__USE_TLS", "true"),
        ("CQL__USERNAME", "cassandra"),
        ("CQL__PASSWORD", "cassandra"),
        ("SEARCH__API_KEY", "dGhlOmtleQ=="),
    ]);
    of_stores.extend(told("CQL", &mutual));
    of_stores.extend(told("SEARCH", &mutual));

    let with = |(mut plan, listens): (Plan, Listens), more: &[&[(String, String)]]| {
        plan.environment.extend(more.iter().flat_map(|it| it.iter().cloned()));
        (plan, listens)
    };
    let mut all = vec![system.start(with(system.planner.command_service(0)?, &[&of_kafka("commands")]))?];
    for (number, read_model) in (1..).zip(ReadModel::ALL) {
        let plan =
            with(system.planner.projector(*read_model, number)?, &[&of_kafka("projectors"), &of_stores]);
        all.push(system.start(plan)?);
    }
    all.push(system.start(with(system.planner.query_gateway(9)?, &[&of_stores]))?);
    for one in &all {
        one.service.wait_ready(PATIENCE).await?;
    }
    let (commands, queries) = (Client::new(&all[0].url()), Client::new(&all[all.len() - 1].url()));
    let created = commands.create("p1").await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let token = created.header("consistency-token").to_owned();
    for path in ["/v1/products/p1", "/v1/products/p1/history", "/v1/search?q=p1"] {
        let read = queries.get_with(path, &[("consistency-token", &token), ("prefer", "wait=30")]).await?;
        assert_eq!(read.status, 200, "{path}: {}", read.body);
    }

    every_right_is_needed(&kafka, &ca, &system, &all[0], &all[1]).await
}

/// Without one of them, its service or tool says so, and with it again goes on.
async fn every_right_is_needed(
    kafka: &Secured,
    ca: &Authority,
    system: &OnServers,
    service: &Started,
    projector: &Started,
) -> anyhow::Result<()> {
    let commands = Client::new(&service.url());
    let prefix = system.prefix();
    let write = async || {
        let changed = commands.change_price("p1", 77, &[]).await?;
        // The answer says that its outcome is not known; why, the operator finds in the log.
        anyhow::ensure!(changed.status == 200, "{}\n{}", changed.body, service.log());
        Ok(())
    };
    without(kafka, &prefix, ("commands", "--topic", "Write"), write).await?;
    let topic = system.topic().to_owned();
    let reads = kafka.user(Mechanism::ScramSha512, "commands", ca);
    let look = async || anyhow::Ok(describe_topic(&reads, &topic).await.map(drop)?);
    without(kafka, &prefix, ("commands", "--topic", "DescribeConfigs"), look).await?;
    let setup = topics::declared(&format!("{prefix}second."))?;
    let make = async || topics::run(&system.config.kafka, &setup, Profile::Local, true).await;
    without(kafka, &prefix, ("setup", "--topic", "Create"), make).await?;
    let told_ready = async || {
        let told = Client::new(&projector.ops()).get("/readyz").await?;
        anyhow::ensure!(told.status == 200, "{}", told.body);
        Ok(())
    };
    without(kafka, &prefix, ("projectors", "--topic", "Read"), told_ready).await?;
    // A member that may not say where it is goes on, and its log says why another one would begin further back.
    let names = prefix.trim_end_matches('.');
    let before = projector.log().len();
    tokio::task::block_in_place(|| kafka.forbid("projectors", "--group", names, &["Read"]))?;
    let told = async || {
        let _changed = commands.change_price("p1", rand::random_range(100..10_000), &[]).await;
        projector.log().split_off(before).to_lowercase()
    };
    eventually("projectors without Read of their group say so", told, |it| it.contains("authoriz")).await;
    tokio::task::block_in_place(|| kafka.allow("projectors", "--group", names, &["Read"]))?;
    let changed = commands.change_price("p1", 4_711, &[]).await?;
    assert_eq!(changed.status, 200, "{}", changed.body);
    Ok(())
}

/// Takes a right away, and waits until what is done fails and names the authorization; gives it back, and waits until it works.
async fn without(
    kafka: &Secured,
    prefix: &str,
    (user, kind, operation): (&str, &str, &str),
    done: impl AsyncFn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let names = prefix.trim_end_matches('.');
    let told = async || done().await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    tokio::task::block_in_place(|| kafka.forbid(user, kind, names, &[operation]))?;
    let what = format!("{user} without {operation} of {kind} says so");
    eventually(&what, told, |it| it.to_lowercase().contains("authoriz")).await;
    tokio::task::block_in_place(|| kafka.allow(user, kind, names, &[operation]))?;
    eventually(&format!("{user} goes on with {operation} of {kind}"), told, String::is_empty).await;
    Ok(())
}
