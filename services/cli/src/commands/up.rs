//! `folio up`, `down` and `status`: the whole system as local processes. Promises that `up` can be repeated (what runs is
//! kept, what died is started again), and that `down` leaves no process and no file behind.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use adapter_kafka::Profile;
use anyhow::{Context, bail};
use local_servers::{Addresses, Stack, down_servers, up_servers};
use read_models::ReadModel;
use serde::{Deserialize, Serialize};

use super::{schemas, stores, topics};
use crate::config::Config;
use crate::say::say;
use crate::system::{Listens, Names, Plan, Planner, Service};

const READY: Duration = Duration::from_secs(90);
const GRACE: Duration = Duration::from_secs(30);

/// The local system: where its servers are, and its services.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct System {
    pub addresses: Addresses,
    pub names: Names,
    pub command_service: Listens,
    pub query_gateway: Listens,
    pub services: Vec<Service>,
}

impl System {
    /// The tool's configuration for this system.
    pub fn config(&self) -> Config {
        Config::local(&self.addresses, &self.names)
    }

    /// Base address of the command service.
    pub fn commands(&self) -> String {
        format!("http://{}", self.command_service.http)
    }

    /// Base address of the query gateway.
    pub fn queries(&self) -> String {
        format!("http://{}", self.query_gateway.http)
    }
}

/// Starts what does not run yet, and waits until all of it is ready.
///
/// # Errors
/// If a server or a service cannot be started or does not become ready: with its last log lines.
pub async fn up(dir: &Path) -> anyhow::Result<System> {
    let began = Instant::now();
    refuse_strangers(dir)?;
    let known = load(dir)?;
    let servers = servers_dir(dir);
    let stack: Stack = tokio::task::spawn_blocking(move || up_servers(&servers)).await??;
    let mut system = match known {
        Some(system) if system.addresses == stack.addresses => system,
        _ => plan(&stack.addresses, dir)?,
    };
    let config = system.config();
    topics::run(&config.kafka, &topics::declared("")?, Profile::Local, true).await?;
    schemas::register(&config).await?;
    stores::apply(&config, &stores::Which::default()).await?;
    for service in &mut system.services {
        if !service.is_running() {
            *service = service.plan.clone().start()?;
        }
    }
    save(dir, &system)?;
    for service in &system.services {
        service.wait_ready(READY).await?;
        say!("{} is ready", service.plan.name);
    }
    say!("everything runs after {:.1} s", began.elapsed().as_secs_f64());
    Ok(system)
}

/// Stops everything that [`up`] started and removes its files.
///
/// # Errors
/// If a process does not end.
pub async fn down(dir: &Path) -> anyhow::Result<()> {
    refuse_strangers(dir)?;
    let system = load(dir).unwrap_or_else(|error| {
        say!("{error:#}; the services it named, if they run, go on");
        None
    });
    if let Some(system) = system {
        let stops = system.services.iter().map(|service| async move {
            let drained = service.stop(GRACE).await;
            (service, drained)
        });
        for (service, drained) in futures::future::join_all(stops).await {
            if service.is_running() {
                bail!("{} (pid {}) does not end", service.plan.name, service.pid);
            }
            say!("{} has {}", service.plan.name, if drained { "ended" } else { "been killed after 30 s" });
        }
    }
    let servers = servers_dir(dir);
    tokio::task::spawn_blocking(move || down_servers(&servers)).await??;
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", dir.display()))
        }
        _ => {
            say!("nothing of the local system is left");
            Ok(())
        }
    }
}

/// Shows what runs.
///
/// # Errors
/// If something is not ready.
pub async fn status(dir: &Path) -> anyhow::Result<()> {
    let Some(system) = load(dir)? else {
        bail!("nothing was started in {}: run `make up`", dir.display());
    };
    let mut unready = Vec::new();
    for service in &system.services {
        let state = match service.wait_ready(Duration::from_secs(3)).await {
            Ok(()) => "ready".to_owned(),
            Err(error) => {
                unready.push(service.plan.name.clone());
                error.to_string().lines().next().unwrap_or_default().to_owned()
            }
        };
        say!(
            "{:22} pid {:7} {state}; http://{}/readyz, log {}",
            service.plan.name,
            service.pid,
            service.plan.ops,
            service.plan.log_path().display()
        );
    }
    describe(&system);
    if unready.is_empty() { Ok(()) } else { bail!("not ready: {}", unready.join(", ")) }
}

/// Says where everything is.
pub fn describe(system: &System) {
    let Addresses { kafka_bootstrap, cql_contact_point, elasticsearch_url, registry_url } = &system.addresses;
    say!();
    say!("commands        {}/v1/products   gRPC {}", system.commands(), system.command_service.grpc);
    say!("queries         {}/v1/search     gRPC {}", system.queries(), system.query_gateway.grpc);
    say!("Kafka           {kafka_bootstrap}   topic {}", system.names.topic);
    say!("ScyllaDB (CQL)  {cql_contact_point}   keyspace {}", system.names.keyspace);
    say!("Elasticsearch   {elasticsearch_url}/{}-search", system.names.index_prefix);
    say!("registry        {registry_url}/subjects");
}

fn plan(addresses: &Addresses, dir: &Path) -> anyhow::Result<System> {
    let names = Names::default();
    let planner = Planner::new(addresses.clone(), names.clone(), &absolute(dir)?.join("services"))?;
    let (command_plan, command_service) = planner.command_service(1)?;
    let (query_plan, query_gateway) = planner.query_gateway(1)?;
    let mut plans = vec![command_plan];
    for read_model in ReadModel::ALL {
        plans.push(planner.projector(*read_model, 1)?.0);
    }
    plans.push(query_plan);
    let services = plans.into_iter().map(not_started).collect();
    Ok(System { addresses: addresses.clone(), names, command_service, query_gateway, services })
}

/// A service that [`up`] finds not running, and starts.
fn not_started(plan: Plan) -> Service {
    Service { plan, pid: 0 }
}

fn absolute(dir: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(dir).with_context(|| format!("finding {}", dir.display()))
}

fn servers_dir(dir: &Path) -> PathBuf {
    dir.join("servers")
}

fn state_path(dir: &Path) -> PathBuf {
    dir.join("system.json")
}

/// The system that was started in `dir`, if one was.
///
/// # Errors
/// If its state cannot be read.
pub(crate) fn load(dir: &Path) -> anyhow::Result<Option<System>> {
    let path = state_path(dir);
    let state = match std::fs::read(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        read => read.with_context(|| format!("reading {}", path.display()))?,
    };
    let system = serde_json::from_slice(&state);
    system
        .map(Some)
        .with_context(|| format!("{} is no state of a local system: run `folio down`", path.display()))
}

/// What [`up`] makes in its folder. Nothing else may be there: [`down`] removes the folder with all that is in it.
const OURS: [&str; 5] = ["servers", "servers.lock", "services", "system.json", "system.new"];

/// Refuses a folder that is somebody else's.
fn refuse_strangers(dir: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("looking into the folder {}", dir.display()))?,
    };
    for entry in entries {
        let name = entry.with_context(|| format!("looking into the folder {}", dir.display()))?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            bail!(
                "{} holds {}, which is none of a local system's files: give a folder of its own with --dir (`folio down` \
                 removes it with all that is in it)",
                dir.display(),
                name.display()
            );
        }
    }
    Ok(())
}

fn save(dir: &Path, system: &System) -> anyhow::Result<()> {
    let path = state_path(dir);
    let text = serde_json::to_vec_pretty(system)?;
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Leaves the state of a system in `dir`, as `up` does.
    pub(crate) fn started_in(dir: &Path) {
        let addresses = Addresses {
            kafka_bootstrap: "127.0.0.1:1".to_owned(),
            cql_contact_point: "127.0.0.1:2".to_owned(),
            elasticsearch_url: "http://127.0.0.1:3".to_owned(),
            registry_url: "http://127.0.0.1:4".to_owned(),
        };
        let command_service = Listens { http: "127.0.0.1:5".to_owned(), ..Listens::default() };
        let (names, query_gateway) = (Names::default(), Listens::default());
        let system = System { addresses, names, command_service, query_gateway, services: Vec::new() };
        save(dir, &system).unwrap();
    }

    #[tokio::test]
    async fn a_folder_that_is_somebody_elses_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let thesis = dir.path().join("thesis.tex");
        std::fs::write(&thesis, "years of work").unwrap();
        for error in [down(dir.path()).await.unwrap_err(), up(dir.path()).await.map(drop).unwrap_err()] {
            assert!(error.to_string().contains("thesis.tex"), "{error:#}");
        }
        assert!(thesis.is_file());
        let error = down(&thesis).await.unwrap_err();
        assert!(format!("{error:#}").contains("thesis.tex"), "{error:#}");
        let error = status(dir.path()).await.unwrap_err();
        assert!(error.to_string().contains("nothing was started"), "{error:#}");
    }
}
